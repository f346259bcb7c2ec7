package export

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/gapbundle/gapbundle/bundle/media"
)

// systemFolder returns an empty folder on the file system that the machine runs from.
func systemFolder(t *testing.T) string {
	t.Helper()
	for _, above := range []string{t.TempDir(), "/var/tmp", "/root", "/"} {
		dir, err := os.MkdirTemp(above, "gapbundle-export-")
		if err != nil {
			continue
		}
		t.Cleanup(func() { _ = os.RemoveAll(dir) })
		if removable, err := media.Removable(dir); err == nil && !removable {
			return dir
		}
	}
	t.Fatal("no folder on the system's file system can be written to")
	return ""
}

// TestRepeatedWithoutTheMedium: an export that was interrupted is repeated while its stick
// is not plugged in. Nothing is written to the folder that it was mounted at, or made in
// its place, on none of the targets; with the sticks it goes on. Links stand in for mounts.
func TestRepeatedWithoutTheMedium(t *testing.T) {
	for target := range 2 {
		for _, there := range []bool{true, false} {
			w := &world{content: mixed(), digests: true, sizes: true}
			b := newBench(t, w)
			disk := systemFolder(t)
			b.o.Targets = []string{filepath.Join(disk, "usb0"), filepath.Join(disk, "usb1")}
			var sticks [2]string
			for i := range sticks {
				var err error
				if sticks[i], err = os.MkdirTemp("/dev/shm", "gapbundle-export-"); err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = os.RemoveAll(sticks[i]) })
				if err := os.Symlink(sticks[i], b.o.Targets[i]); err != nil {
					t.Fatal(err)
				}
			}
			ctx, cancel := context.WithCancel(t.Context())
			w.before = func(path string) error {
				if path == "middle" {
					cancel()
				}
				return nil
			}
			if _, err := Run(ctx, b.o); !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
			w.before = nil
			if err := os.Remove(b.o.Targets[target]); err != nil {
				t.Fatal(err)
			}
			if there {
				if err := os.Mkdir(b.o.Targets[target], 0o755); err != nil {
					t.Fatal(err)
				}
			}
			_, err := b.run()
			var gone *media.GoneError
			if !errors.As(err, &gone) || gone.Number != target+1 || gone.Dir != b.o.Targets[target] {
				t.Errorf("target %d, its folder there %v: %v, want a GoneError", target, there, err)
			}
			if left, err := os.ReadDir(b.o.Targets[target]); there != (err == nil) || len(left) > 0 {
				t.Errorf("target %d: %v %v on the system's disk", target, left, err)
			}
			if err := errors.Join(os.RemoveAll(b.o.Targets[target]), os.Symlink(sticks[target], b.o.Targets[target])); err != nil {
				t.Fatal(err)
			}
			r := b.must()
			same(t, published(t, b, r.Dirs[0], r.Dirs...), b.expect("one"))
			if r.Sequence != 1 || filepath.Dir(r.Dirs[0]) != b.o.Targets[0] {
				t.Errorf("bundle %d in %q", r.Sequence, r.Dirs)
			}
		}
	}
}
