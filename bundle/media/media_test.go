package media

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
)

// smallMedia makes targets that hold at most size bytes.
func smallMedia(w *Writer, size int64) {
	w.freeSpace = func(dir string) (int64, error) {
		free := size
		err := filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() {
				return err
			}
			info, err := e.Info()
			free -= info.Size()
			return err
		})
		return free, err
	}
}

func TestSeveralMedia(t *testing.T) {
	one := mixed(t)
	w := one.writer()
	if _, err := one.write(w); err != nil {
		t.Fatal(err)
	}
	want := tree(t, one.finish(w).Dirs[0])

	j := mixed(t)
	dir := filepath.Dir(j.targets[0])
	j.targets = append(j.targets, filepath.Join(dir, "second"))
	j.next = func(_ context.Context, q NextMedium) (string, error) {
		if q.Need < 1<<20 {
			t.Errorf("a medium for %d bytes is asked for", q.Need)
		}
		next := filepath.Join(dir, fmt.Sprintf("asked-%d", len(j.targets)))
		j.targets = append(j.targets, next)
		return next, os.Mkdir(next, 0o755)
	}
	w = j.writer()
	smallMedia(w, 11<<20)
	if _, err := j.write(w); err != nil {
		t.Fatal(err)
	}
	f := j.finish(w)
	if len(f.Dirs) < 3 {
		t.Fatalf("on %q", f.Dirs)
	}
	got := make(map[string]bundle.Digest)
	for _, d := range f.Dirs {
		for name, digest := range tree(t, d) {
			if before, ok := got[name]; ok && before != digest && name != "/"+bundle.MediumName {
				t.Errorf("%s differs between media", name)
			}
			got[name] = digest
		}
	}
	delete(want, "/"+bundle.MediumName)
	for name, d := range want {
		if got[name] != d {
			t.Errorf("%s differs from that on one medium", name)
		}
	}
	j.want(readBundle(t, j.targets...))
}

// A medium that was taken out is asked for, and may stay away.
func TestMediumTakenOut(t *testing.T) {
	for _, comesBack := range []bool{true, false} {
		j := mixed(t)
		dir := filepath.Dir(j.targets[0])
		j.targets = append(j.targets, filepath.Join(dir, "second"))
		first, drawer, asked := j.targets[0], filepath.Join(dir, "drawer"), 0
		j.absent = func(_ context.Context, number int, where string) (bool, error) {
			if asked++; number != 1 || where != first {
				t.Errorf("asked for medium %d, %s", number, where)
			}
			if !comesBack {
				return false, nil
			}
			if asked == 1 {
				return true, nil // said too early
			}
			return true, os.Rename(drawer, first)
		}
		w := j.writer()
		smallMedia(w, 11<<20)
		small := w.freeSpace
		w.freeSpace = func(dir string) (int64, error) {
			if dir == first {
				return small(dir)
			}
			return 1 << 40, nil
		}
		if _, err := j.write(w); err != nil {
			t.Fatal(err)
		}
		w.waitEnding()
		if err := os.Rename(first, drawer); err != nil {
			t.Fatal(err)
		}
		f := j.finish(w)
		if comesBack {
			if len(f.Dirs) != 2 || len(f.Without) != 0 || asked != 2 {
				t.Errorf("came back: root on %q, without %q, asked %d times", f.Dirs, f.Without, asked)
			}
			continue
		}
		if len(f.Dirs) != 1 || len(f.Without) != 1 || filepath.Dir(f.Without[0]) != first || asked != 1 {
			t.Errorf("stayed away: root on %q, without %q, asked %d times", f.Dirs, f.Without, asked)
		}
		j.want(readBundle(t, drawer, j.targets[1]))
	}
}
