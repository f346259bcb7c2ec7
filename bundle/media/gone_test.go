package media

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
)

// TestMediumGone: a stick that is pulled out leaves its mount point, a folder of the
// system disk. Nothing is written there, and the export goes on when the stick is back.
// A link to another file system stands in for the mount.
func TestMediumGone(t *testing.T) {
	t.Run("its mount point stays", func(t *testing.T) { testMediumGone(t, true) })
	t.Run("its mount point goes too", func(t *testing.T) { testMediumGone(t, false) })
}

// otherDisk returns a folder on another file system than that of t.TempDir.
func otherDisk(t *testing.T) string {
	t.Helper()
	own, _, err := fileSystem(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, above := range []string{"/dev/shm", "/var/tmp"} {
		dir, err := os.MkdirTemp(above, "gapbundle-media-")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.RemoveAll(dir) })
		device, _, err := fileSystem(dir)
		if err != nil {
			t.Fatal(err)
		}
		if device != own {
			return dir
		}
	}
	t.Fatal("want folders on two file systems")
	return ""
}

func testMediumGone(t *testing.T, stays bool) {
	stick := otherDisk(t)
	j := newJob(t, bundle.MinVolumeSize)
	disk := t.TempDir()
	target := j.targets[0]
	mount := func(dir string) {
		t.Helper()
		if err := errors.Join(os.RemoveAll(target), os.Symlink(dir, target)); err != nil {
			t.Fatal(err)
		}
	}
	pull := func() {
		if mount(disk); !stays {
			if err := os.Remove(target); err != nil {
				t.Fatal(err)
			}
		}
	}
	mount(stick)
	data := content(3, 4*bundle.MinVolumeSize)
	j.tail = []testItem{{key: "a", data: data[:len(data)/2]}, {key: "b", data: data[len(data)/2:]}}
	w := j.writer()
	rw, err := w.Run(t.Context(), Run{First: 1})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := rw.Append(t.Context(), j.tail[0].item()); err != nil {
		t.Fatal(err)
	}
	pull()
	_, err = rw.Append(t.Context(), j.tail[1].item())
	err = errors.Join(err, rw.Close(context.Background()), w.Close())
	var gone *GoneError
	if !errors.As(err, &gone) || gone.Dir != target || gone.Number != 1 || !errors.Is(err, bundle.ErrIncomplete) {
		t.Fatalf("got %v, want a GoneError of %s", err, target)
	}
	if left, err := os.ReadDir(disk); err != nil || len(left) != 0 {
		t.Errorf("written to the system disk: %v %v", left, err)
	}
	mount(stick)
	w = j.writer()
	if _, err := j.write(w); err != nil {
		t.Fatal(err)
	}
	j.finish(w)
	if _, err := os.Stat(filepath.Join(stick, bundle.DirName("lab", 7), bundle.RootName)); err != nil {
		t.Error(err)
	}
	if bytes.Equal(data[:8], data[8:16]) {
		t.Error("the content compresses") // then one volume would do
	}
}

// TestMountPointIsGone: whatever looks at a medium finds that it was taken out, also where its
// mount point went with it.
func TestMountPointIsGone(t *testing.T) {
	m := &medium{number: 2, dir: filepath.Join(t.TempDir(), "usb")}
	for what, look := range map[string]func() error{
		"target": func() error { _, err := m.target(); return err },
		"open":   func() error { _, err := m.open("lab-000007.partial"); return err },
		"make":   func() error { _, err := m.make("lab-000007.partial"); return err },
	} {
		var gone *GoneError
		if err := look(); !errors.As(err, &gone) || gone.Number != 2 || !errors.Is(err, fs.ErrNotExist) || !errors.Is(err, bundle.ErrIncomplete) {
			t.Errorf("%s: %v, want a GoneError of medium 2", what, err)
		}
	}
}
