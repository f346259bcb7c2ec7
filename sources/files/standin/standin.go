// Package standin plays the upstreams of the examples of the kind files: files whose content
// follows from their address.
package standin

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/gapbundle/gapbundle/internal/test/journey"
)

// Examples returns the examples of the kind.
func Examples() []journey.Example {
	start := func(*testing.T) journey.Upstream { return journey.Upstream{Check: check} }
	return []journey.Example{{Spec: "files.yaml", Start: start}}
}

var listed = regexp.MustCompile(`\blist: *(\S+)`)

// check looks for the content of every URL of the spec, and of the lists that it
// names, in what is published.
func check(j *journey.Journey) {
	j.T.Helper()
	text := j.Read(j.Spec)
	for _, list := range listed.FindAllSubmatch(text, -1) {
		text = append(append(text, '\n'), j.Read(string(list[1]))...)
	}
	published := contents(j.T, filepath.Join(j.Dir, "mirror", "current", "files"))
	urls := journey.Wanted(text, j.URL)
	if len(urls) == 0 {
		j.T.Fatalf("%s: no address found in it", j.Spec)
	}
	for _, url := range urls {
		if !published[journey.Digest(journey.Content(url))] {
			j.T.Errorf("%s: not in the mirror", url)
		}
	}
}

// contents returns the digests of all files below dir, links followed.
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
		found[journey.Digest(b)] = true
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
