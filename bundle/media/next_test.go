package media

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
)

// slot is one mount point, into which sticks of one size are put. A link to a folder
// stands in for a mount: all have the same device, as sticks in one drive have.
type slot struct {
	t      *testing.T
	dir    string // where the sticks are
	mount  string
	size   int64
	inside string // the stick that is in it
}

func newSlot(t *testing.T, j *job, size int64) *slot {
	s := &slot{t: t, dir: filepath.Dir(j.targets[0]), mount: j.targets[0], size: size}
	for _, name := range []string{"one", "two", "three", "four", "five"} {
		if err := os.Mkdir(filepath.Join(s.dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	s.put("one")
	return s
}

func (s *slot) put(name string) {
	s.t.Helper()
	if err := os.Remove(s.mount); err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(s.dir, name), s.mount); err != nil {
		s.t.Fatal(err)
	}
	s.inside = name
}

func (s *slot) free(dir string) (int64, error) {
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return 0, err
	}
	free := s.size
	err = filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		free -= info.Size()
		return err
	})
	return free, err
}

// volumes returns the digests of all volumes on the sticks, and where each is.
func (s *slot) volumes() (digests map[string]bundle.Digest, on map[string]string) {
	s.t.Helper()
	digests, on = map[string]bundle.Digest{}, map[string]string{}
	found, err := filepath.Glob(filepath.Join(s.dir, "*", "lab-000007*", "volume-*"))
	if err != nil {
		s.t.Fatal(err)
	}
	for _, path := range found {
		if strings.HasPrefix(path, s.mount) {
			continue
		}
		b, err := os.ReadFile(path)
		if err != nil {
			s.t.Fatal(err)
		}
		digests[filepath.Base(path)], on[filepath.Base(path)] = bundle.DigestOf(b), filepath.Base(filepath.Dir(filepath.Dir(path)))
	}
	return digests, on
}

// alone returns the bundle of mixed on one large medium.
func alone(t *testing.T) map[string]bundle.Digest {
	j := mixed(t)
	w := j.writer()
	if _, err := j.write(w); err != nil {
		t.Fatal(err)
	}
	all := map[string]bundle.Digest{}
	for name, d := range tree(t, j.finish(w).Dirs[0]) {
		if strings.HasPrefix(name, "/volume-") {
			all[name[1:]] = d
		}
	}
	return all
}

func sameVolumes(t *testing.T, got, want map[string]bundle.Digest) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%d volumes, want %d", len(got), len(want))
	}
	for name, d := range want {
		if got[name] != d {
			t.Errorf("%s differs from that on one medium", name)
		}
	}
}

// TestNextMedium: the next medium is asked for by its number until one is named that can
// be written to; sticks take turns at one mount point.
func TestNextMedium(t *testing.T) {
	want := alone(t)
	j := mixed(t)
	s := newSlot(t, j, 11<<20)
	file := filepath.Join(s.dir, "a file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	steps := []struct{ answer, refused string }{
		{filepath.Join(s.dir, "nowhere"), "does not exist"},
		{file, "not a directory"},
		{s.mount, "medium 1 is still there"},
		{filepath.Join(s.dir, "one"), "medium 1 is still there"},
		{"too small", "bytes free"},
	}
	asked, changes := 0, 0
	var refused error
	j.next = func(_ context.Context, q NextMedium) (string, error) {
		if q.Dir != s.mount || q.Number != changes+2 || q.About < q.Number || q.Left < q.Need-1<<20 || len(q.Keep) > 0 {
			t.Errorf("asked by %+v after %d changes", q, changes)
		}
		if asked > 0 && asked <= len(steps) {
			if refused = q.Refused; refused == nil || !strings.Contains(refused.Error(), steps[asked-1].refused) {
				t.Errorf("%s: refused by %v, want %q", steps[asked-1].answer, refused, steps[asked-1].refused)
			}
		}
		if asked++; asked <= len(steps) {
			if steps[asked-1].answer != "too small" {
				return steps[asked-1].answer, nil
			}
			small := filepath.Join(s.dir, "five")
			return small, os.WriteFile(filepath.Join(small, "film"), make([]byte, 8<<20), 0o644)
		}
		changes++
		s.put([]string{"two", "three", "four"}[changes-1])
		return q.Dir, nil
	}
	w := j.writer()
	w.freeSpace = s.free
	for _, r := range j.runs() {
		w.o.Raw += r.Raw
	}
	if _, err := j.write(w); err != nil {
		t.Fatal(err)
	}
	f := j.finish(w)
	if changes < 2 || len(f.Dirs) != 1 || len(f.Without) != changes {
		t.Fatalf("%d changes, root on %q, without %q", changes, f.Dirs, f.Without)
	}
	got, on := s.volumes()
	sameVolumes(t, got, want)
	if on["volume-00001.tar.zst"] != "one" || on["volume-00004.tar.zst"] == "one" {
		t.Errorf("volumes on %v", on)
	}
	j.want(readBundle(t, filepath.Join(s.dir, "one"), filepath.Join(s.dir, "two"), filepath.Join(s.dir, "three"), filepath.Join(s.dir, "four")))
}

// TestNextMediumAfterTheKill: an export that is killed while it asks goes on with the
// same volumes when all media are named.
func TestNextMediumAfterTheKill(t *testing.T) {
	want := alone(t)
	for killed := range 2 {
		j := mixed(t)
		s := newSlot(t, j, 11<<20)
		kill := errors.New("killed")
		changes, again := 0, false
		j.next = func(_ context.Context, q NextMedium) (string, error) {
			if !again && changes == killed {
				return "", kill
			}
			changes++
			return filepath.Join(s.dir, []string{"two", "three", "four"}[changes-1]), nil
		}
		w := j.writer()
		w.freeSpace = s.free
		if _, err := j.write(w); !errors.Is(err, kill) {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		before, _ := s.volumes()
		if again = true; killed == 1 {
			j.targets = append(j.targets, filepath.Join(s.dir, "two"))
		}
		w = j.writer()
		w.freeSpace = s.free
		done, err := j.write(w)
		if err != nil || done == 0 {
			t.Fatalf("%d done, %v", done, err)
		}
		f := j.finish(w)
		got, _ := s.volumes()
		sameVolumes(t, got, want)
		if len(before) == 0 || len(f.Without) != 0 || len(f.Dirs) < 3 {
			t.Errorf("%d volumes before, root on %q, without %q", len(before), f.Dirs, f.Without)
		}
		j.want(readBundle(t, f.Dirs...))
	}
}

// TestMediumInUseStays: a medium that another volume is being written to is named, and
// nothing else is taken in its place.
func TestMediumInUseStays(t *testing.T) {
	j := mixed(t)
	s := newSlot(t, j, 11<<20)
	asked := 0
	j.next = func(_ context.Context, q NextMedium) (string, error) {
		switch asked++; asked {
		case 1:
			if len(q.Keep) != 1 || q.Keep[0] != s.mount {
				t.Errorf("to be kept: %q", q.Keep)
			}
			s.put("two")
			return q.Dir, nil
		case 2:
			if q.Refused == nil || !strings.Contains(q.Refused.Error(), "medium 1 is still being written") {
				t.Errorf("refused by %v", q.Refused)
			}
			s.put("one")
		}
		return "", nil
	}
	w := j.writer()
	w.freeSpace = s.free
	runs := j.runs()
	tail, err := w.Run(t.Context(), runs[len(runs)-1])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tail.Append(t.Context(), j.tail[1].item()); err != nil {
		t.Fatal(err)
	}
	if err := tail.do(func() error { return nil }); err != nil {
		t.Fatal(err)
	}
	items := j.planned
	for _, r := range runs[:len(runs)-1] {
		if _, err = writeRun(t.Context(), w, r, items[:r.Count]); err != nil {
			break
		}
		items = items[r.Count:]
	}
	var full *FullError
	if !errors.As(err, &full) || !errors.Is(err, bundle.ErrIncomplete) || asked != 2 || full.TooLarge {
		t.Errorf("asked %d times, then %v, want a FullError", asked, err)
	}
	if err := errors.Join(tail.Close(t.Context()), w.Close()); err != nil {
		t.Error(err)
	}
}

// TestNothingOnTheSystemDisk: the folder at which a stick was mounted is not taken for
// the next one when nothing is mounted there.
func TestNothingOnTheSystemDisk(t *testing.T) {
	j := mixed(t)
	s := newSlot(t, j, 11<<20)
	stick := otherDisk(t)
	s.put(stick)
	if err := os.Remove(s.mount); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(stick, s.mount); err != nil {
		t.Fatal(err)
	}
	var refused error
	j.next = func(_ context.Context, q NextMedium) (string, error) {
		if q.Refused == nil {
			s.put("two") // a folder of the disk on which the mount point is
			return q.Dir, nil
		}
		refused = q.Refused
		return "", nil
	}
	w := j.writer()
	w.freeSpace = s.free
	if _, err := j.write(w); !errors.Is(err, bundle.ErrIncomplete) {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if refused == nil || !strings.Contains(refused.Error(), "no medium is mounted there") {
		t.Errorf("refused by %v", refused)
	}
	if left, err := os.ReadDir(filepath.Join(s.dir, "two")); err != nil || len(left) > 0 {
		t.Errorf("written to the system's disk: %v %v", left, err)
	}
}
