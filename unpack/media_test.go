package unpack_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/test/bundletest"
	"github.com/gapbundle/gapbundle/unpack"
	"github.com/gapbundle/gapbundle/verify"
)

// spread exports content of several volumes, one blob of which spans three,
// and deals the volumes out to media: medium i gets those of volumes[i]; the
// last one the rest of the bundle as well.
func spread(t *testing.T, e *bundletest.Exporter, volumes ...[]int) (media []string, want map[string]string) {
	t.Helper()
	files := map[string]string{"long": noise("long", 2<<20+5000)}
	for i := range 20 {
		files[fmt.Sprintf("f%02d", i)] = noise(fmt.Sprint(i), 200<<10)
	}
	made := e.Export(t, []bundletest.Repository{apt(files)}, bundletest.Options{})
	dir := made.Dirs[0]
	if n := len(volumesOf(t, dir)); n < 5 {
		t.Fatalf("%d volumes, want more", n)
	}
	for i, some := range volumes {
		last := i == len(volumes)-1
		medium := filepath.Join(t.TempDir(), fmt.Sprint("medium", i+1))
		name := filepath.Base(dir)
		if !last {
			name += bundle.PartialSuffix
		}
		copyDir(t, dir, filepath.Join(medium, name), func(name string) bool {
			var n int
			if _, err := fmt.Sscanf(name, "volume-%d", &n); err != nil {
				return last
			}
			return slices.Contains(some, n)
		})
		media = append(media, medium)
	}
	want = map[string]string{}
	for name, content := range files {
		want["apt/debs/"+name] = content
	}
	return media, want
}

func volumesOf(t *testing.T, dir string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "volume-*"))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestMediaOneByOneInAnyOrder(t *testing.T) {
	volumes := [][]int{{1, 3}, {2, 5, 6, 7, 8}, {4}}
	for _, order := range [][]int{{2, 0, 1}, {2, 1, 0}} {
		e := bundletest.New(t, "site")
		r := newRig(t, e)
		media, want := spread(t, e, volumes...)
		var placed []int
		for step, i := range order[:2] {
			placed = append(placed, volumes[i]...)
			before := servedAll(t, r.dir)
			res, err := r.refused(bundle.ErrIncomplete, unpack.ImportOptions{}, media[i])
			var missing *verify.MissingVolumesError
			if !errors.As(err, &missing) || len(missing.Volumes) == 0 {
				t.Fatalf("step %d: %v", step, err)
			}
			for _, n := range placed {
				if slices.Contains(missing.Volumes, fmt.Sprintf("volume-%05d.tar.zst", n)) {
					t.Errorf("step %d: volume %d was placed and is missing", step, n)
				}
			}
			history, err := r.History()
			if err != nil {
				t.Fatal(err)
			}
			if last := history[len(history)-1]; last.Outcome != unpack.Pending || last.Sequence != 1 {
				t.Errorf("step %d: journal %+v", step, last)
			}
			if res.Bundles[0].Outcome != unpack.Pending || !slices.Equal(res.Bundles[0].MissingVolumes, missing.Volumes) {
				t.Errorf("step %d: %+v", step, res.Bundles[0])
			}
			st, err := r.Status(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if len(st.Pending) != 1 || !slices.Equal(st.Pending[0].Missing, missing.Volumes) {
				t.Errorf("step %d: pending %+v, want %v missing", step, st.Pending, missing.Volumes)
			}
			if after := servedAll(t, r.dir); len(after) != len(before) {
				t.Errorf("step %d: something was published", step)
			}
		}
		r.receive(media[order[2]])
		r.expect(want)
		r.intact()
		if left, err := os.ReadDir(filepath.Join(r.dir, "state", "pending")); err != nil || len(left) > 0 {
			t.Errorf("left in pending: %v, %v", left, err)
		}
		if left, err := os.ReadDir(filepath.Join(r.dir, "blobs", "partial")); err != nil || len(left) > 0 {
			t.Errorf("left in partial: %v, %v", left, err)
		}
	}
}

func TestSeveralMediaInOneRun(t *testing.T) {
	e := bundletest.New(t, "site")
	r := newRig(t, e)
	media, want := spread(t, e, []int{1, 3}, []int{2, 5, 6, 7, 8}, []int{4})
	r.receive(media...)
	r.expect(want)
}

func TestMediumWithoutRootComesTooEarly(t *testing.T) {
	e := bundletest.New(t, "site")
	r := newRig(t, e)
	media, _ := spread(t, e, []int{1, 3}, []int{2, 4, 5, 6, 7, 8})
	before := treeOf(t, filepath.Join(r.dir, "blobs"))
	_, err := r.refused(bundle.ErrIncomplete, unpack.ImportOptions{}, media[0])
	if !strings.Contains(err.Error(), bundle.RootName) {
		t.Errorf("does not say what is missing: %v", err)
	}
	if after := treeOf(t, filepath.Join(r.dir, "blobs")); !sameTree(before, after) {
		t.Error("something was stored")
	}
}

func TestMediumIsNotWritten(t *testing.T) {
	e := bundletest.New(t, "site")
	r := newRig(t, e)
	made := e.Export(t, []bundletest.Repository{apt(map[string]string{"a": noise("a", 2<<20)})}, bundletest.Options{})
	medium := filepath.Dir(made.Dirs[0])
	before := treeOf(t, medium)
	r.receive(medium)
	r.receive(medium)
	if after := treeOf(t, medium); !sameTree(before, after) {
		t.Error("the medium was changed")
	}
}

// months exports three states: full, delta, delta.
func months(t *testing.T, e *bundletest.Exporter, stick string) (made []bundletest.Made, last map[string]string) {
	t.Helper()
	files := map[string]string{"static": "static"}
	for i := range 3 {
		files[fmt.Sprint("month", i)] = noise(fmt.Sprint("month", i), 1<<20)
		files["index"] = fmt.Sprint("index ", i)
		made = append(made, e.Export(t, []bundletest.Repository{apt(files)}, bundletest.Options{Targets: []string{stick}}))
	}
	last = map[string]string{}
	for name, content := range files {
		last["apt/debs/"+name] = content
	}
	return made, last
}

func TestStickWithThree(t *testing.T) {
	e := bundletest.New(t, "site")
	r := newRig(t, e)
	stick := t.TempDir()
	_, want := months(t, e, stick)
	res := r.receive(stick)
	if got := outcomes(res); !slices.Equal(got, []string{"site-000001 superseded", "site-000002 superseded", "site-000003 imported"}) {
		t.Errorf("outcomes %v", got)
	}
	r.expect(want)
	if g, err := r.Generations(); err != nil || len(g) != 1 {
		t.Errorf("%d generations, %v; want 1", len(g), err)
	}
	res = r.receive(stick)
	if got := outcomes(res); !slices.Equal(got, []string{"site-000001 already imported", "site-000002 already imported", "site-000003 already imported"}) {
		t.Errorf("outcomes of the second time %v", got)
	}
}

func TestDeltaAppliesWhateverNumbersWereMissed(t *testing.T) {
	e := bundletest.New(t, "site")
	r := newRig(t, e)
	stick := t.TempDir()
	made, _ := months(t, e, stick)
	r.receive(made[0].Dirs...)
	served := servedAll(t, r.dir)
	blobs := treeOf(t, filepath.Join(r.dir, "blobs"))
	_, err := r.refused(bundle.ErrIncomplete, unpack.ImportOptions{}, made[2].Dirs...)
	var missing *verify.MissingBaseError
	if !errors.As(err, &missing) || missing.Bytes == 0 || !slices.Equal(missing.Repositories, []string{"debs"}) {
		t.Errorf("%v", err)
	}
	if !sameTree(blobs, treeOf(t, filepath.Join(r.dir, "blobs"))) || len(served) != len(servedAll(t, r.dir)) {
		t.Error("something changed")
	}
	// Against 1 instead, the number that was lost does not matter.
	again := e.Export(t, []bundletest.Repository{apt(map[string]string{"static": "static", "month3": "new"})}, bundletest.Options{Base: 1})
	r.receive(again.Dirs...)
	r.expect(map[string]string{"apt/debs/static": "static", "apt/debs/month3": "new"})

	_, err = r.refused(bundle.ErrUntrusted, unpack.ImportOptions{}, made[1].Dirs...)
	var replay *verify.ReplayError
	if !errors.As(err, &replay) {
		t.Errorf("an older one, never accepted: %v", err)
	}
}

func TestDamagedOlderBundleIsNotInTheWay(t *testing.T) {
	e := bundletest.New(t, "site")
	r := newRig(t, e)
	stick := t.TempDir()
	made, _ := months(t, e, stick)
	full := map[string]string{"only": "this"}
	last := e.Export(t, []bundletest.Repository{apt(full)}, bundletest.Options{Full: true, Targets: []string{stick}})
	flip(t, volumesOf(t, made[1].Dirs[0])[0], 1000)
	flip(t, filepath.Join(made[0].Dirs[0], bundle.RootName), 10)
	res := r.receive(stick)
	if got := outcomes(res); !slices.Equal(got, []string{
		"site-000001 refused", "site-000002 superseded", "site-000003 superseded", "site-000004 imported",
	}) && !slices.Equal(got, []string{
		"site-000001 refused", "site-000002 refused", "site-000003 refused", "site-000004 imported",
	}) {
		t.Errorf("outcomes %v", got)
	}
	if last.Manifest.Sequence != 4 {
		t.Fatal("the newest is not the fourth")
	}
	r.expect(map[string]string{"apt/debs/only": "this"})
}

func TestDamagedOlderBundleThatIsNeeded(t *testing.T) {
	e := bundletest.New(t, "site")
	r := newRig(t, e)
	stick := t.TempDir()
	made, want := months(t, e, stick)
	volume := volumesOf(t, made[1].Dirs[0])[0]
	flip(t, volume, 1000)
	_, err := r.refused(bundle.ErrCorrupt, unpack.ImportOptions{}, stick)
	if !strings.Contains(err.Error(), filepath.Base(volume)) {
		t.Errorf("does not name the volume: %v", err)
	}
	// The first month needs nothing of it, and is published.
	if g, err := r.Current(); err != nil || g.Sets[0].Sequence != 1 {
		t.Errorf("published %+v, %v", g, err)
	}
	flip(t, volume, 1000) // the same place back
	r.receive(stick)
	r.expect(want)
}

// flip inverts one bit of a file.
func flip(t *testing.T, name string, at int64) {
	t.Helper()
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 1)
	if _, err := f.ReadAt(b, at); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 1
	if _, err := f.WriteAt(b, at); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestBrokenVolumes(t *testing.T) {
	cases := map[string]struct {
		spoil func(t *testing.T, volumes []string)
		class error
	}{
		"flipped":  {func(t *testing.T, v []string) { flip(t, v[1], 5000) }, bundle.ErrCorrupt},
		"cut":      {func(t *testing.T, v []string) { truncate(t, v[1], 5000) }, bundle.ErrCorrupt},
		"emptied":  {func(t *testing.T, v []string) { truncate(t, v[1], 0) }, bundle.ErrCorrupt},
		"extended": {func(t *testing.T, v []string) { truncate(t, v[1], 2<<20) }, bundle.ErrCorrupt},
		"swapped": {func(t *testing.T, v []string) {
			rename(t, v[1], v[1]+"x")
			rename(t, v[2], v[1])
			rename(t, v[1]+"x", v[2])
		}, bundle.ErrCorrupt},
		"missing": {func(t *testing.T, v []string) { rename(t, v[1], filepath.Join(t.TempDir(), "gone")) }, bundle.ErrIncomplete},
		"doubled": {func(t *testing.T, v []string) { copyFile(t, v[1], v[2]) }, bundle.ErrCorrupt},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			e := bundletest.New(t, "site")
			r := newRig(t, e)
			first := e.Export(t, []bundletest.Repository{apt(map[string]string{"old": "old"})}, bundletest.Options{})
			r.receive(first.Dirs...)
			before := servedAll(t, r.dir)
			files := map[string]string{}
			want := map[string]string{}
			for i := range 15 {
				name := fmt.Sprintf("f%02d", i)
				files[name] = noise(name, 200<<10+i)
				want["apt/debs/"+name] = files[name]
			}
			made := e.Export(t, []bundletest.Repository{apt(files)}, bundletest.Options{})
			whole := filepath.Join(t.TempDir(), filepath.Base(made.Dirs[0]))
			copyDir(t, made.Dirs[0], whole, func(string) bool { return true })
			volumes := volumesOf(t, made.Dirs[0])
			c.spoil(t, volumes)
			_, err := r.refused(c.class, unpack.ImportOptions{}, made.Dirs...)
			if !strings.Contains(err.Error(), filepath.Base(volumes[1])) && !strings.Contains(err.Error(), filepath.Base(volumes[2])) {
				t.Errorf("names no volume: %v", err)
			}
			if after := servedAll(t, r.dir); !sameServed(before, after) {
				t.Error("what is served has changed")
			}
			r.receive(whole)
			r.expect(want)
			r.intact()
		})
	}
}

func sameServed(a, b map[string]stat) bool {
	if len(a) != len(b) {
		return false
	}
	for name, s := range a {
		if t, ok := b[name]; !ok || t.content != s.content || !t.mtime.Equal(s.mtime) {
			return false
		}
	}
	return true
}

func truncate(t *testing.T, name string, size int64) {
	t.Helper()
	if err := os.Truncate(name, size); err != nil {
		t.Fatal(err)
	}
}

func rename(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	if err := os.WriteFile(to, []byte(readFile(t, from)), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestOlderBundleByOverride(t *testing.T) {
	e := bundletest.New(t, "site")
	r := newRig(t, e)
	older := e.Export(t, []bundletest.Repository{apt(map[string]string{"a": "1"})}, bundletest.Options{})
	newer := e.Export(t, []bundletest.Repository{apt(map[string]string{"a": "2"})}, bundletest.Options{Full: true})
	r.receive(newer.Dirs...)
	r.refused(bundle.ErrUntrusted, unpack.ImportOptions{}, older.Dirs...)
	r.clock.t = r.clock.t.Add(time.Hour)
	res, err := r.Receive(context.Background(), older.Dirs, unpack.ImportOptions{AllowRollback: true})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(res.Bundles[0].Overrides, []string{verify.OverrideRollback}) {
		t.Errorf("%+v", res.Bundles[0])
	}
	r.expect(map[string]string{"apt/debs/a": "1"})
	st, err := r.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if s := st.Sets[0]; s.Sequence != 1 || s.Accepted != 2 {
		t.Errorf("published %d, accepted %d; want 1 and 2", s.Sequence, s.Accepted)
	}
	history, err := r.History()
	if err != nil {
		t.Fatal(err)
	}
	last := history[len(history)-1]
	if last.What != "import" || last.Outcome != unpack.Imported || !slices.Equal(last.Overrides, []string{verify.OverrideRollback}) {
		t.Errorf("journal %+v", last)
	}
}

func TestTwoBundlesWithOneNumber(t *testing.T) {
	e := bundletest.New(t, "site")
	r := newRig(t, e)
	first := e.Export(t, []bundletest.Repository{apt(map[string]string{"a": "1"})}, bundletest.Options{})
	e.Sequence = 0
	other := e.Export(t, []bundletest.Repository{apt(map[string]string{"a": "2"})}, bundletest.Options{Full: true})
	r.receive(first.Dirs...)
	_, err := r.refused(bundle.ErrUntrusted, unpack.ImportOptions{AllowRollback: true}, other.Dirs...)
	for _, d := range []bundle.Digest{first.Root, other.Root} {
		if !strings.Contains(err.Error(), d.String()) {
			t.Errorf("does not show %s: %v", d, err)
		}
	}
}

func TestRefusalsAreInTheJournal(t *testing.T) {
	e, stranger := bundletest.New(t, "site"), bundletest.New(t, "other")
	r := newRig(t, e)
	made := stranger.Export(t, []bundletest.Repository{apt(map[string]string{"a": "1"})}, bundletest.Options{})
	res, _ := r.refused(bundle.ErrUntrusted, unpack.ImportOptions{}, made.Dirs...)
	if res.Bundles[0].Outcome != unpack.Refused || res.Bundles[0].Reason == "" {
		t.Errorf("%+v", res.Bundles[0])
	}
	history, err := r.History()
	if err != nil {
		t.Fatal(err)
	}
	if last := history[len(history)-1]; last.Outcome != unpack.Refused || last.Set != "other" || last.Detail == "" {
		t.Errorf("journal %+v", last)
	}
	if _, err := os.Readlink(filepath.Join(r.dir, "current")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("something was published: %v", err)
	}
}
