package examples

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

func TestFiles(t *testing.T) {
	trip(t, example{spec: "files.yaml", check: checkFiles})
}

func TestDeepOpsSlurmFiles(t *testing.T) {
	trip(t, example{spec: "deepops-slurm-files.yaml", check: checkFiles})
}

var listed = regexp.MustCompile(`\blist: *(\S+)`)

// checkFiles looks for the content of every URL of the spec, and of the lists that it
// names, in what is published.
func checkFiles(j *journey) {
	j.t.Helper()
	text, err := os.ReadFile(filepath.Join(j.dir, j.spec))
	if err != nil {
		j.t.Fatal(err)
	}
	for _, list := range listed.FindAllSubmatch(text, -1) {
		more, err := os.ReadFile(filepath.Join(j.dir, string(list[1])))
		if err != nil {
			j.t.Fatal(err)
		}
		text = append(append(text, '\n'), more...)
	}
	published := contents(j.t, filepath.Join(j.dir, "mirror", "current", "files"))
	urls := wanted(text, j.url)
	if len(urls) == 0 {
		j.t.Fatalf("%s: no address found in it", j.spec)
	}
	for _, url := range urls {
		if !published[digest(content(url))] {
			j.t.Errorf("%s: not in the mirror", url)
		}
	}
}

// contents are the digests of all files below dir, links followed.
func contents(t *testing.T, dir string) map[string]bool {
	t.Helper()
	root, err := filepath.EvalSymlinks(dir)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := os.Stat(path)
		if err != nil || info.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		found[digest(b)] = true
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
