package media

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/gapbundle/gapbundle/bundle"
)

// writeAtOnce writes all runs at the same time.
func (j *job) writeAtOnce(w *Writer) error {
	var g errgroup.Group
	items := j.planned
	for _, r := range j.runs() {
		of := j.tail
		if r.Volumes > 0 {
			of, items = items[:r.Count], items[r.Count:]
		}
		g.Go(func() error {
			_, err := writeRun(context.Background(), w, r, of)
			return err
		})
	}
	return g.Wait()
}

func TestBytesDoNotDependOnJobs(t *testing.T) {
	one := mixed(t)
	one.jobs = 1
	w := one.writer()
	if _, err := one.write(w); err != nil {
		t.Fatal(err)
	}
	want := one.finish(w).Dirs[0]
	many := mixed(t)
	many.jobs = 8
	w = many.writer()
	if err := many.writeAtOnce(w); err != nil {
		t.Fatal(err)
	}
	sameTrees(t, "8 jobs, runs at the same time", many.finish(w).Dirs[0], want)
}

// Content that is wrong is cut off without a trace, however large, and the
// run goes on with the right one in its place.
func TestWrongContentIsCutOff(t *testing.T) {
	clean := mixed(t)
	w := clean.writer()
	if _, err := clean.write(w); err != nil {
		t.Fatal(err)
	}
	want := clean.finish(w).Dirs[0]

	j := mixed(t)
	w = j.writer()
	items, ctx := j.planned, context.Background()
	for _, r := range j.runs() {
		of := j.tail
		if r.Volumes > 0 {
			of, items = items[:r.Count], items[r.Count:]
		}
		rw, err := w.Run(ctx, r)
		if err != nil {
			t.Fatal(err)
		}
		for _, ti := range of {
			for what, spoil := range spoiled(ti) {
				if _, err := rw.Append(ctx, spoil); !errors.Is(err, bundle.ErrCorrupt) || strings.Contains(err.Error(), ti.key) {
					t.Fatalf("%s, %s: %v", ti.key, what, err)
				}
			}
			if _, err := rw.Append(ctx, ti.item()); err != nil {
				t.Fatal(err)
			}
		}
		if err := rw.Close(ctx); err != nil {
			t.Fatal(err)
		}
	}
	sameTrees(t, "wrong content before each", j.finish(w).Dirs[0], want)
}

func spoiled(ti testItem) map[string]Item {
	if len(ti.data) == 0 {
		return nil
	}
	longer, shorter := ti, ti
	longer.data = append(slices.Clone(ti.data), 1)
	shorter.data = ti.data[:len(ti.data)-1]
	m := map[string]Item{"longer": longer.item(), "shorter": shorter.item()}
	for what, it := range m {
		it.Size, it.Digest, it.Drop = int64(len(ti.data)), bundle.Digest{}, nil
		m[what] = it
	}
	if other := ti; ti.key != "f000019" { // which the run has already, so that it is not read
		other.known, other.wrong = true, true
		m["other"] = other.item()
	}
	return m
}

// What does not shrink grows a little in zstd, and no volume may reach its size.
func TestVolumesStayBelowTheirSize(t *testing.T) {
	for _, volumeSize := range []int64{bundle.MinVolumeSize, 4 << 20} {
		j := newJob(t, volumeSize)
		j.planned = items(8, func(i int) int64 { return []int64{3*volumeSize + 1, 1000, bundle.SmallBlob + 1, 200_000}[i%4] })
		for i, it := range j.planned {
			size := len(it.data)
			j.planned[i].data = content(int64(i), 2*int64(size))[:size] // the half that is random
		}
		w := j.writer()
		if _, err := j.write(w); err != nil {
			t.Fatal(err)
		}
		volumes, err := filepath.Glob(filepath.Join(j.finish(w).Dirs[0], "volume-*"))
		if err != nil {
			t.Fatal(err)
		}
		largest := int64(0)
		for _, v := range volumes {
			info, err := os.Stat(v)
			if err != nil {
				t.Fatal(err)
			}
			largest = max(largest, info.Size())
		}
		if largest >= volumeSize || largest < volumeSize-volumeSize/500-4096 {
			t.Errorf("volumes of %d bytes: the largest has %d", volumeSize, largest)
		}
	}
}

func TestNothingIsReadTwice(t *testing.T) {
	j := newJob(t, 8<<20)
	opened := 0
	j.tail = items(4, func(i int) int64 { return int64(i) << 20 })
	for i := range j.tail {
		j.tail[i].opened, j.tail[i].known = &opened, true
	}
	j.tail = append(j.tail, j.tail...) // equal ones are not even opened
	w := j.writer()
	if _, err := j.write(w); err != nil {
		t.Fatal(err)
	}
	if opened != 4 {
		t.Errorf("%d opened", opened)
	}
	if done, err := j.write(j.writer()); err != nil || done != 8 || opened != 4 {
		t.Errorf("again: %d done, %d opened, %v", done, opened, err)
	}
}

// Free space is promised to one volume only, and some is kept for the catalogue.
func TestPlaceKeepsItsPromises(t *testing.T) {
	j := newJob(t, 32<<20)
	second := filepath.Join(otherDisk(t), "second")
	j.targets = append(j.targets, second, filepath.Join(filepath.Dir(j.targets[0]), "on the first disk too"))
	w := j.writer()
	w.freeSpace = func(string) (int64, error) { return 100 << 20, nil }
	ctx := context.Background()
	for i, c := range []struct{ need, medium int64 }{{60 << 20, 1}, {60 << 20, 2}, {39 << 20, 1}, {39 << 20, 2}, {1, 0}} {
		m, err := w.place(ctx, i+1, c.need, false)
		switch {
		case c.medium == 0:
			if !errors.Is(err, bundle.ErrIncomplete) {
				t.Errorf("%d: %v", i, err)
			}
		case err != nil || int64(m.number) != c.medium:
			t.Errorf("%d: %v, %v", i, m, err)
		}
	}
}

// In the tail nothing was promised to what is dropped.
func TestDroppedTailTakesNoRoom(t *testing.T) {
	j := newJob(t, 1<<20)
	j.tail = items(3, func(int) int64 { return 400_000 })
	for i := range j.tail {
		j.tail[i].known, j.tail[i].drop = false, i == 0
	}
	w := j.writer()
	if _, err := j.write(w); err != nil {
		t.Fatal(err)
	}
	if f := j.finish(w); f.Volumes != 1 {
		t.Errorf("%d volumes", f.Volumes)
	}
}

func TestFullMedium(t *testing.T) {
	j := mixed(t)
	w := j.writer()
	smallMedia(w, 11<<20)
	if _, err := j.write(w); !errors.Is(err, bundle.ErrIncomplete) || !strings.Contains(err.Error(), "needs") {
		t.Fatal(err)
	}
	if _, err := j.tryFinish(w); !errors.Is(err, bundle.ErrIncomplete) {
		t.Errorf("finished all the same: %v", err)
	}
	// With another medium the same export goes on.
	j.targets = append(j.targets, filepath.Join(filepath.Dir(j.targets[0]), "second"))
	w = j.writer()
	if done, err := j.write(w); err != nil || done == 0 {
		t.Fatal(done, err)
	}
	j.want(readBundle(t, j.finish(w).Dirs...))
}

// Finish may have been done when its process died: the same root comes out again.
func TestFinishTwice(t *testing.T) {
	j := mixed(t)
	j.signer = testSigner(t)
	sig := bundle.SignatureName(j.signer.KeyID())
	w := j.writer()
	if _, err := j.write(w); err != nil {
		t.Fatal(err)
	}
	first := j.finish(w)
	before := tree(t, first.Dirs[0])
	signed, err := os.ReadFile(filepath.Join(first.Dirs[0], sig))
	if err != nil {
		t.Fatal(err)
	}
	j.later = time.Hour
	w = j.writer()
	if _, err := os.Stat(first.Dirs[0]); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("while it is written it is called %s: %v", first.Dirs[0], err)
	}
	if _, err := j.write(w); err != nil {
		t.Fatal(err)
	}
	again := j.finish(w)
	if again.Root != first.Root {
		t.Errorf("another root")
	}
	after := tree(t, again.Dirs[0])
	if b, err := os.ReadFile(filepath.Join(again.Dirs[0], sig)); err != nil || !bytes.Equal(b, signed) {
		t.Errorf("signed anew: %v", err)
	}
	if len(before) != len(after) {
		t.Errorf("%d files, then %d", len(before), len(after))
	}
}

func TestAnotherBundleIsLeftAlone(t *testing.T) {
	j := newJob(t, 0)
	w := j.writer()
	if _, err := j.write(w); err != nil {
		t.Fatal(err)
	}
	before := tree(t, j.finish(w).Dirs[0])
	if err := os.Remove(filepath.Join(j.records, bundle.RootName)); err != nil {
		t.Fatal(err)
	}
	records, err := os.OpenRoot(j.records)
	if err != nil {
		t.Fatal(err)
	}
	defer records.Close()
	if _, err := NewWriter(WriterOptions{Set: "lab", Sequence: 7, Targets: j.targets, Records: records}); !errors.Is(err, bundle.ErrUsage) {
		t.Errorf("without its records: %v", err)
	}
	if after := tree(t, filepath.Join(j.targets[0], bundle.DirName("lab", 7))); len(after) != len(before) {
		t.Errorf("%d files became %d", len(before), len(after))
	}
}

func TestAbort(t *testing.T) {
	j := mixed(t)
	w := j.writer()
	if _, err := j.write(w); err != nil {
		t.Fatal(err)
	}
	if err := w.Abort(); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{j.targets[0], j.records} {
		if left := tree(t, dir); len(left) != 0 {
			t.Errorf("left in %s: %v", dir, left)
		}
	}
}

func TestEmptyBundle(t *testing.T) {
	j := newJob(t, 0)
	w := j.writer()
	if _, err := j.write(w); err != nil {
		t.Fatal(err)
	}
	f := j.finish(w)
	if f.Volumes != 0 || len(readBundle(t, f.Dirs[0])) != 0 {
		t.Errorf("%+v", f)
	}
}

func TestCancelled(t *testing.T) {
	j := mixed(t)
	ctx, cancel := context.WithCancel(context.Background())
	w := j.writer()
	rw, err := w.Run(ctx, Run{First: 1})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := rw.Append(ctx, j.tail[0].item()); err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := rw.Append(ctx, j.tail[1].item()); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if err := rw.Close(ctx); err != nil {
		t.Error(err)
	}
	if _, err := j.tryFinish(w); !errors.Is(err, bundle.ErrIncomplete) {
		t.Error(err)
	}
}

func TestWriterRefuses(t *testing.T) {
	j := newJob(t, 0)
	good := WriterOptions{Set: "lab", Sequence: 1, Targets: j.targets}
	good.Records, _ = os.OpenRoot(j.records)
	defer good.Records.Close()
	for what, spoil := range map[string]func(o *WriterOptions){
		"set":         func(o *WriterOptions) { o.Set = "Lab" },
		"sequence":    func(o *WriterOptions) { o.Sequence = 0 },
		"no target":   func(o *WriterOptions) { o.Targets = nil },
		"same target": func(o *WriterOptions) { o.Targets = append(o.Targets, o.Targets[0]+"/.") },
		"records":     func(o *WriterOptions) { o.Records = nil },
		"volume size": func(o *WriterOptions) { o.VolumeSize = 5 },
	} {
		o := good
		o.Targets = slices.Clone(good.Targets)
		spoil(&o)
		if _, err := NewWriter(o); !errors.Is(err, bundle.ErrUsage) {
			t.Errorf("%s: %v", what, err)
		}
	}
	o := good
	o.Targets = []string{filepath.Join(j.targets[0], "two", "levels")}
	if _, err := NewWriter(o); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("two levels: %v", err)
	}
	w := j.writer()
	ctx := context.Background()
	rw, err := w.Run(ctx, Run{First: 1, Volumes: 1, Count: 1, Raw: 1024})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Run(ctx, Run{First: 1}); !errors.Is(err, bundle.ErrUsage) {
		t.Errorf("run twice: %v", err)
	}
	one := testItem{key: "k", data: []byte("x")}
	if _, err := rw.Append(ctx, one.item()); err != nil {
		t.Fatal(err)
	}
	if _, err := rw.Append(ctx, one.item()); !errors.Is(err, bundle.ErrUsage) {
		t.Errorf("one too many: %v", err)
	}
	if err := rw.Close(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := rw.Append(ctx, one.item()); !errors.Is(err, bundle.ErrUsage) {
		t.Errorf("closed: %v", err)
	}
}

func TestReadBackFindsWhatChanged(t *testing.T) {
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	data := content(1, 3<<20+17)
	if err := writeSmall(root, "f", data); err != nil {
		t.Fatal(err)
	}
	var sum checksum
	sum.add(data)
	method, err := readBack(root, "f", sum)
	if err != nil || method == "" {
		t.Fatal(method, err)
	}
	t.Logf("read back: %s", method)
	if err := flipBit(filepath.Join(dir, "f"), int64(len(data))); err != nil {
		t.Fatal(err)
	}
	if _, err := readBack(root, "f", sum); !errors.Is(err, bundle.ErrCorrupt) || !strings.Contains(err.Error(), dir) {
		t.Errorf("changed: %v", err)
	}
}
