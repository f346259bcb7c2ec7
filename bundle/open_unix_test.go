//go:build unix

package bundle

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// TestOpenExchanged: what takes the place of a file after it was looked at is refused,
// and a pipe is not waited for.
func TestOpenExchanged(t *testing.T) {
	for name, exchange := range map[string]func(name string) error{
		"pipe":         func(name string) error { return syscall.Mkfifo(name, 0o644) },
		"another file": func(name string) error { return os.WriteFile(name, []byte("y"), 0o644) },
		"folder":       func(name string) error { return os.Mkdir(name, 0o755) },
		"link":         func(name string) error { return os.Symlink("other", name) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "x")
			for _, p := range []string{path, filepath.Join(dir, "other")} {
				if err := os.WriteFile(p, []byte("x"), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			root, err := os.OpenRoot(dir)
			if err != nil {
				t.Fatal(err)
			}
			defer root.Close()
			before, err := root.Lstat("x")
			if err != nil {
				t.Fatal(err)
			}
			// The old file keeps its number while it has a name, so that the new one has another.
			if err := errors.Join(os.Rename(path, path+".old"), exchange(path)); err != nil {
				t.Fatal(err)
			}
			done := make(chan error, 1)
			go func() {
				f, err := openSame(root, "x", before)
				if err == nil {
					f.Close()
				}
				done <- err
			}()
			select {
			case err := <-done:
				if !errors.Is(err, ErrCorrupt) && !errors.Is(err, fs.ErrInvalid) {
					t.Errorf("got %v", err)
				}
			case <-time.After(10 * time.Second):
				t.Fatal("waits for the other end of the pipe")
			}
		})
	}
}

// TestOpenFolderExchanged: so it is for folders.
func TestOpenFolderExchanged(t *testing.T) {
	for name, exchange := range map[string]func(name string) error{
		"pipe":           func(name string) error { return syscall.Mkfifo(name, 0o644) },
		"file":           func(name string) error { return os.WriteFile(name, []byte("y"), 0o644) },
		"another folder": func(name string) error { return os.Mkdir(name, 0o755) },
		"link":           func(name string) error { return os.Symlink("other", name) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "x")
			for _, p := range []string{path, filepath.Join(dir, "other")} {
				if err := os.Mkdir(p, 0o755); err != nil {
					t.Fatal(err)
				}
			}
			root, err := os.OpenRoot(dir)
			if err != nil {
				t.Fatal(err)
			}
			defer root.Close()
			before, err := root.Lstat("x")
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(os.Rename(path, path+".old"), exchange(path)); err != nil {
				t.Fatal(err)
			}
			soon(t, func() {
				if f, err := openSameFolder(root, "x", before); err == nil {
					f.Close()
					t.Error("opened")
				}
			})
		})
	}
}

// TestNamedPipesAreNotWaitedFor: what somebody names is opened in the same way.
func TestNamedPipesAreNotWaitedFor(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o644); err != nil {
		t.Fatal(err)
	}
	soon(t, func() {
		if b, err := ReadNamed(pipe, 10); err == nil && len(b) > 0 {
			t.Errorf("%q", b)
		}
	})
	soon(t, func() {
		if _, err := Discover([]string{pipe}); err == nil {
			t.Error("a pipe is no folder")
		}
	})
}

func soon(t *testing.T, f func()) {
	t.Helper()
	done := make(chan bool)
	go func() {
		defer close(done)
		f()
	}()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatal("waits for the other end of the pipe")
	}
}
