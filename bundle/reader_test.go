package bundle

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// lay writes files, given by path and content, below a new directory.
func lay(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func discover(t *testing.T, paths ...string) []*Reader {
	t.Helper()
	readers, err := Discover(paths)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, r := range readers {
			r.Close()
		}
	})
	return readers
}

func TestDiscover(t *testing.T) {
	root := func(set string) string { return `{"set":"` + set + `","sequence":12}` }
	one := lay(t, map[string]string{
		"lab-000010/bundle.json":             "{}",
		"lab-000009/bundle.json":             "{}",
		"alpha-1-000002.partial/volume-1":    "",
		"renamed by hand/bundle.json":        root("lab"),
		"holiday pictures/1.jpg":             "",
		"not-json/bundle.json":               "hello",
		"bad-set/bundle.json":                root("Lab"),
		"deeper/lab-000001/bundle.json":      "{}",
		"lab-0000011/bundle.json":            "{}", // no name of a bundle, and not a root
		"lab-000013":                         "a file",
		"System Volume Information/IndexerV": "",
	})
	two := lay(t, map[string]string{"lab-000010.partial/volume-00001.tar.zst": "x"})
	if err := os.Symlink(filepath.Join(two, "lab-000010.partial"), filepath.Join(one, "lab-000099")); err != nil {
		t.Fatal(err)
	}
	var names []string
	readers := discover(t, one, two, filepath.Join(one, "lab-000010"))
	for _, r := range readers {
		names = append(names, r.Name())
	}
	if want := []string{"alpha-1-000002", "lab-000009", "lab-000010", "lab-000012"}; !slices.Equal(names, want) {
		t.Fatalf("%q, want %q", names, want)
	}
	if dirs := readers[2].Dirs(); len(dirs) != 2 || !strings.HasSuffix(dirs[1], ".partial") {
		t.Errorf("%q", dirs)
	}
	if readers[0].HasRoot() || !readers[2].HasRoot() {
		t.Error("HasRoot")
	}
	if _, err := readers[0].Root(); !errors.Is(err, ErrIncomplete) {
		t.Error(err)
	}
	if _, err := Discover([]string{filepath.Join(one, "holiday pictures")}); !errors.Is(err, ErrIncomplete) {
		t.Error(err)
	}
	if _, err := Discover([]string{filepath.Join(one, "absent")}); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if r := discover(t, filepath.Join(one, "renamed by hand")); r[0].Name() != "lab-000012" {
		t.Error(r[0].Name())
	}
}

func TestReaderFiles(t *testing.T) {
	a := lay(t, map[string]string{
		"lab-000001/bundle.json":            "root",
		"lab-000001/SHA256SUMS":             "sums",
		"lab-000001/f":                      "short",
		"lab-000001/bundle.b.sigstore.json": "b",
		"lab-000001/bundle.a.sigstore.json": "a",
		"lab-000001/folder/x":               "",
		"secret":                            "secret",
	})
	b := lay(t, map[string]string{
		"lab-000001/bundle.json":            "root",
		"lab-000001/f":                      "longer",
		"lab-000001/bundle.a.sigstore.json": "a",
		"lab-000001/bundle.c.sigstore.json": "c",
	})
	if err := os.Symlink("../secret", filepath.Join(a, "lab-000001", "link")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("f", filepath.Join(a, "lab-000001", "inside")); err != nil {
		t.Fatal(err)
	}
	r := discover(t, a, b)[0]
	if root, err := r.Root(); err != nil || string(root) != "root" {
		t.Errorf("%q, %v", root, err)
	}
	sigs, err := r.Signatures()
	var got []string
	for _, s := range sigs {
		got = append(got, string(s.Data))
	}
	if err != nil || !slices.Equal(got, []string{"a", "b", "c"}) {
		t.Errorf("signatures %q, %v", got, err)
	}
	for size, want := range map[int64]string{-1: "short", 5: "short", 6: "longer", 7: "short"} {
		f, err := r.Open("f", size)
		if err != nil {
			t.Fatal(err)
		}
		if text, err := io.ReadAll(f); err != nil || string(text) != want || f.Size() != int64(len(want)) {
			t.Errorf("size %d: %q, %v", size, text, err)
		}
		f.Close()
	}
	if s, err := r.Sums(); err != nil {
		t.Error(err)
	} else {
		s.Close()
	}
	if !r.Has("f", 6) || r.Has("f", 7) || r.Has("folder", 4096) || r.Has("inside", 1) {
		t.Error("Has")
	}
	for name, want := range map[string]error{"absent": ErrIncomplete, "link": ErrMalformed, "inside": ErrMalformed, "folder": ErrMalformed} {
		if _, err := r.Open(name, -1); !errors.Is(err, want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if f, err := r.Open("../secret", -1); err == nil {
		f.Close()
		t.Error("left its directory")
	}
	files, err := r.Files()
	irregular := 0
	for _, f := range files {
		if !f.Regular {
			irregular++
		}
	}
	if err != nil || len(files) != 12 || irregular != 3 {
		t.Errorf("%d files, %d not regular, %v", len(files), irregular, err)
	}
}

func TestReaderBounds(t *testing.T) {
	files := map[string]string{"lab-000001/bundle.json": strings.Repeat("x", MaxRootSize+1)}
	for i := range MaxSignatures + 5 {
		files["lab-000001/bundle."+string(rune('a'+i))+".sigstore.json"] = string(rune('a' + i))
	}
	r := discover(t, lay(t, files))[0]
	if _, err := r.Root(); !errors.Is(err, ErrMalformed) {
		t.Error(err)
	}
	if sigs, err := r.Signatures(); err != nil || len(sigs) != MaxSignatures {
		t.Error(len(sigs), err)
	}
	r = discover(t, lay(t, map[string]string{"lab-000001/bundle.a.sigstore.json": strings.Repeat("x", MaxSignatureSize+1)}))[0]
	if sigs, err := r.Signatures(); err != nil || len(sigs) != 0 {
		t.Errorf("%d signatures with one that is too large, %v", len(sigs), err)
	}
	r = discover(t, lay(t, map[string]string{"lab-000001/bundle.json": "a"}), lay(t, map[string]string{"lab-000001/bundle.json": "b"}))[0]
	if _, err := r.Root(); !errors.Is(err, ErrCorrupt) {
		t.Errorf("two roots: %v", err)
	}
}
