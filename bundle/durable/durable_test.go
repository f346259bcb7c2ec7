package durable

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

func root(t *testing.T) *os.Root {
	t.Helper()
	r, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}

func read(t *testing.T, r *os.Root, name string) string {
	t.Helper()
	b, err := r.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestWriteFileReplaces(t *testing.T) {
	r := root(t)
	for _, content := range []string{"first", "the second, longer", ""} {
		if err := WriteFile(r, "name", []byte(content), 0o640); err != nil {
			t.Fatal(err)
		}
		if got := read(t, r, "name"); got != content {
			t.Fatalf("got %q, want %q", got, content)
		}
	}
	info, err := r.Stat("name")
	if err != nil || info.Mode().Perm() != 0o640 {
		t.Fatalf("mode %v %v, want 0640 whatever the umask", info.Mode(), err)
	}
}

func TestWriteFromKeepsTheOldOnError(t *testing.T) {
	r := root(t)
	if err := WriteFile(r, "name", []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	cause := errors.New("source gave out")
	err := WriteFrom(r, "name", 0o600, func(w io.Writer) error {
		_, _ = io.WriteString(w, "half of the ne")
		return cause
	})
	if !errors.Is(err, cause) {
		t.Fatalf("got %v", err)
	}
	if got := read(t, r, "name"); got != "old" {
		t.Fatalf("the old content became %q", got)
	}
	entries, err := fs.ReadDir(r.FS(), ".")
	if err != nil || len(entries) != 1 {
		t.Fatalf("left behind: %v %v", entries, err)
	}
}

func TestWriteStaysInTheRoot(t *testing.T) {
	r := root(t)
	if err := WriteFile(r, "../outside", []byte("x"), 0o600); err == nil {
		t.Fatal("wrote outside of the root")
	}
}

func TestRemoveTwice(t *testing.T) {
	r := root(t)
	if err := WriteFile(r, "name", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := Remove(r, "name"); err != nil {
			t.Fatal(err)
		}
	}
}

// Nothing is made through a link, wherever it leads, and the error names it.
func TestMakeDirDoesNotFollowLinks(t *testing.T) {
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if err := MakeDir(root, "new", 0o755); err != nil {
		t.Error(err)
	}
	if err := MakeDir(root, "new", 0o755); err != nil {
		t.Errorf("a folder that is there: %v", err)
	}
	for name, target := range map[string]string{"out": t.TempDir(), "in": "new", "nowhere": "gone"} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"out", "in", "nowhere", "file"} {
		err := MakeDir(root, name, 0o755)
		var other *FolderError
		if !errors.As(err, &other) || other.Path != filepath.Join(dir, name) || !errors.Is(err, syscall.ENOTDIR) {
			t.Errorf("%s instead of a folder: %v", name, err)
		}
	}
}
