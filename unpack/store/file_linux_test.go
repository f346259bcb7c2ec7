package store

import (
	"errors"
	"os"
	"testing"
)

// TestClosedOnce: a descriptor is another file's once it is closed, so a second Close leaves
// it alone, and so does a Write.
func TestClosedOnce(t *testing.T) {
	dir := t.TempDir()
	f, err := os.OpenFile(dir, os.O_RDONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	folder := &Folder{fd: f.Fd(), path: dir}
	first, err := folder.create("first")
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	second, err := folder.create("second") // it has the descriptor of the first
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Close(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("closed twice: %v", err)
	}
	if _, err := first.Write([]byte("x")); err == nil {
		t.Error("written after it was closed")
	}
	if _, err := second.Write([]byte("y")); err != nil {
		t.Error(err)
	}
	if err := second.Close(); err != nil {
		t.Error(err)
	}
}
