package media

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
)

// tree returns every file below dir but signatures, which are random.
func tree(t testing.TB, dir string) map[string]bundle.Digest {
	t.Helper()
	files := make(map[string]bundle.Digest)
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || bundle.IsSignatureName(e.Name()) {
			return err
		}
		b, err := os.ReadFile(path)
		files[strings.TrimPrefix(path, dir)] = bundle.DigestOf(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func sameTrees(t testing.TB, what, got, want string) {
	t.Helper()
	g, w := tree(t, got), tree(t, want)
	for name, d := range w {
		if g[name] != d {
			t.Errorf("%s: %s differs", what, name)
		}
	}
	for name := range g {
		if _, ok := w[name]; !ok {
			t.Errorf("%s: %s should not be there", what, name)
		}
	}
}

func copyTree(t testing.TB, to, from string) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
}

// clone returns the same job in another place, with what is on the media.
func (j *job) clone(t testing.TB) *job {
	t.Helper()
	c := *j
	dir := t.TempDir()
	c.t, c.records, c.targets = t, filepath.Join(dir, "records"), nil
	copyTree(t, c.records, j.records)
	for _, target := range j.targets {
		to := filepath.Join(dir, filepath.Base(target))
		copyTree(t, to, target)
		c.targets = append(c.targets, to)
	}
	return &c
}

// written returns a mixed job with all its runs written and not finished, synced
// as often as possible, and what finishing gives.
func written(t testing.TB) (j *job, finished string) {
	t.Helper()
	j = mixed(t)
	w := j.writer()
	w.noteEvery = 1
	if _, err := j.write(w); err != nil {
		t.Fatal(err)
	}
	done := j.clone(t)
	w = done.writer()
	if n, err := done.write(w); err != nil || n != len(j.planned)+len(j.tail) {
		t.Fatalf("%d items done, %v", n, err)
	}
	return j, done.finish(w).Dirs[0]
}

// A crash leaves a prefix of each record and, of the volumes, more or less than the
// record's last sync line stands for: garbage after the end, or after a power cut an
// end that is missing or reads as zeros. Wherever it happens, the same export gives the
// same bytes.
func TestResumeAnywhere(t *testing.T) {
	j, finished := written(t)
	r := rand.New(rand.NewPCG(1, 2))
	steps := 40
	if testing.Short() {
		steps = 10
	}
	for range steps {
		c := j.clone(t)
		cut := c.crash(r)
		w := c.writer()
		w.noteEvery = 1
		done, err := c.write(w)
		if err != nil {
			t.Fatalf("%s: %v", cut, err)
		}
		f, err := c.tryFinish(w)
		if err != nil {
			t.Fatalf("%s: %d done: %v", cut, done, err)
		}
		sameTrees(t, cut, f.Dirs[0], finished)
		if t.Failed() {
			t.FailNow()
		}
		c.remove()
	}
}

// remove deletes what a clone has on disk: there are many of them.
func (j *job) remove() {
	j.t.Helper()
	if err := os.RemoveAll(filepath.Dir(j.records)); err != nil {
		j.t.Fatal(err)
	}
}

// crash cuts the record of one run short at a random place, forgets all later
// runs and their volumes, and leaves garbage after the volume that was being written.
func (j *job) crash(r *rand.Rand) string {
	j.t.Helper()
	runs := j.runs()
	at := r.IntN(len(runs))
	name := filepath.Join(j.records, recordName(runs[at].First))
	record, err := os.ReadFile(name)
	if err != nil {
		j.t.Fatal(err)
	}
	size := r.IntN(len(record) + 1)
	// Half of the crashes are after a sync in the middle of a large blob.
	if parts := regexp.MustCompile(`"part":.*\n`).FindAllIndex(record, -1); len(parts) > 0 && r.IntN(2) == 0 {
		size = parts[r.IntN(len(parts))][1]
	}
	if err := os.Truncate(name, int64(size)); err != nil {
		j.t.Fatal(err)
	}
	for _, later := range runs[at+1:] {
		if err := os.Remove(filepath.Join(j.records, recordName(later.First))); err != nil {
			j.t.Fatal(err)
		}
	}
	if r.IntN(2) == 0 {
		recordOfBefore(j.t, name)
	}
	volumes, _ := filepath.Glob(filepath.Join(j.targets[0], "*", "volume-*"))
	if r.IntN(2) == 0 {
		powerCut(j.t, volumes[r.IntN(len(volumes))], r)
	}
	for _, v := range volumes[len(volumes)-r.IntN(2):] {
		f, err := os.OpenFile(v, os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			j.t.Fatal(err)
		}
		_, _ = f.WriteString("garbage")
		f.Close()
	}
	return fmt.Sprintf("%s cut at %d of %d", filepath.Base(name), size, len(record))
}

// recordOfBefore takes the checksums out of a record, which older programs did not write.
// The places in it stay.
func recordOfBefore(t testing.TB, name string) {
	t.Helper()
	record, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, bytes.ReplaceAll(record, []byte(`"crc32c":`), []byte(`"before":`)), 0o600); err != nil {
		t.Fatal(err)
	}
}

// powerCut takes the end of a volume away, or all of it, or leaves zeros in its place.
func powerCut(t testing.TB, path string, r *rand.Rand) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	err = os.Truncate(path, r.Int64N(info.Size()+1))
	if err == nil && r.IntN(2) == 0 {
		err = os.Truncate(path, info.Size())
	}
	if err != nil {
		t.Fatal(err)
	}
}

// What was recorded and is no longer on the medium, or no longer the same, is
// written again.
func TestResumeFromADamagedMedium(t *testing.T) {
	j, finished := written(t)
	volumes, _ := filepath.Glob(filepath.Join(j.targets[0], "*", "volume-*"))
	for _, v := range []int{0, len(volumes) / 2, len(volumes) - 1} {
		for what, damage := range map[string]func(path string, size int64) error{
			"gone":   func(path string, _ int64) error { return os.Remove(path) },
			"cut":    func(path string, size int64) error { return os.Truncate(path, size/2) },
			"empty":  func(path string, _ int64) error { return os.Truncate(path, 0) },
			"longer": func(path string, size int64) error { return os.Truncate(path, size+1) },
			"bit":    flipBit,
		} {
			c := j.clone(t)
			path := filepath.Join(c.targets[0], bundle.DirName("lab", 7)+bundle.PartialSuffix, filepath.Base(volumes[v]))
			info, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := damage(path, info.Size()); err != nil {
				t.Fatal(err)
			}
			w := c.writer()
			done, err := c.write(w)
			if err != nil || done == len(j.planned)+len(j.tail) {
				t.Fatalf("%s %s: %d items done, %v", filepath.Base(path), what, done, err)
			}
			sameTrees(t, what, c.finish(w).Dirs[0], finished)
			c.remove()
		}
	}
}

func flipBit(path string, size int64) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	var b [1]byte
	if _, err := f.ReadAt(b[:], size/2); err != nil {
		return err
	}
	b[0] ^= 4
	_, err = f.WriteAt(b[:], size/2)
	return err
}

// The export that goes on may want other items: what it shares with the
// record, from the beginning, is kept, the rest written again. Items that are
// not carried are in the record after frames and volumes of later ones.
func TestResumeWithOtherItems(t *testing.T) {
	sizes := []int64{100, 2 << 20, 700_000, 900_000, 100, 1_500_000, 0, 300_000}
	for at := range 16 {
		j := newJob(t, 1<<20)
		j.tail = items(16, func(i int) int64 { return sizes[i%len(sizes)] + int64(i) })
		for i := range j.tail {
			j.tail[i].known, j.tail[i].drop = false, i%4 == 1 || i%8 == 2
		}
		j.tail[12].data = j.tail[3].data
		w := j.writer()
		w.noteEvery = 1
		if _, err := j.write(w); err != nil {
			t.Fatal(err)
		}
		j.tail = append(append(j.tail[:at:at], testItem{key: "new", data: content(99, 700_005)}), j.tail[at+1:]...)
		w = j.writer()
		w.noteEvery = 1
		if done, err := j.write(w); err != nil || done != at {
			t.Fatalf("other item at %d: %d done, %v", at, done, err)
		}
		// Once more, so that what was cut off and written again is read again.
		w = j.writer()
		if done, err := j.write(w); err != nil || done != len(j.tail) {
			t.Fatalf("other item at %d: again %d done, %v", at, done, err)
		}
		j.want(readBundle(t, j.finish(w).Dirs[0]))
	}
}

// Whatever the items, and however often the export is interrupted between two
// of them or within one, the bundle is the one of an export that was not.
func TestInterruptedHistories(t *testing.T) {
	for seed := range uint64(8) {
		r := rand.New(rand.NewPCG(seed, 1))
		sizes := []int64{0, 100, 5000, 300_000, 700_000, bundle.SmallBlob + 5, 1_900_000, 3_000_000}
		one := newJob(t, 1<<20)
		one.tail = items(25, func(i int) int64 { return sizes[r.IntN(len(sizes))] + int64(i) })
		for i := range one.tail {
			it := &one.tail[i]
			it.known, it.drop = r.IntN(3) == 0, r.IntN(4) == 0
			if r.IntN(5) == 0 {
				it.data = one.tail[r.IntN(i+1)].data
			}
		}
		for i := range one.tail { // equal content is dropped everywhere or nowhere
			for k := range i {
				if bundle.DigestOf(one.tail[i].data) == bundle.DigestOf(one.tail[k].data) {
					one.tail[i].drop, one.tail[i].known = one.tail[k].drop, one.tail[k].known
				}
			}
		}
		one.planned, one.tail = one.tail[:13], one.tail[13:]
		many := *one
		many.targets, many.records = []string{t.TempDir()}, t.TempDir()
		w := one.writer()
		if _, err := one.write(w); err != nil {
			t.Fatal(err)
		}
		want := one.finish(w).Dirs[0]
		for tries := 0; ; tries++ {
			w = many.writer()
			w.noteEvery = 1 + r.Int64N(2)*1_000_000
			left := 1 + r.IntN(25)
			err := many.writeUntil(w, &left, r)
			if err == nil {
				break
			}
			if !errors.Is(err, errBroken) && !errors.Is(err, context.Canceled) || tries > 200 {
				t.Fatalf("seed %d: %v", seed, err)
			}
		}
		sameTrees(t, fmt.Sprintf("seed %d", seed), many.finish(w).Dirs[0], want)
		if t.Failed() {
			return
		}
	}
}

// writeUntil returns write, interrupted after so many items that were appended, by
// a source that breaks off or in between.
func (j *job) writeUntil(w *Writer, left *int, r *rand.Rand) error {
	items := j.planned
	for _, run := range j.runs() {
		of := j.tail
		if run.Volumes > 0 {
			of, items = items[:run.Count], items[run.Count:]
		}
		ctx, cancel := context.WithCancel(context.Background())
		rw, err := w.Run(ctx, run)
		if err != nil {
			cancel()
			return err
		}
		for _, ti := range of {
			if _, ok := rw.Done(ti.key); ok {
				continue
			}
			it := ti.item()
			if *left--; *left < 0 && r.IntN(2) == 0 && len(ti.data) > 0 {
				it.Open = (&breaking{data: ti.data, validator: "v", breakAt: 1 + r.Int64N(int64(len(ti.data)))}).open
			} else if *left < 0 {
				cancel()
			}
			if _, err = rw.Append(ctx, it); err != nil {
				break
			}
		}
		err = errors.Join(err, rw.Close(ctx))
		cancel()
		if err != nil {
			return err
		}
	}
	return nil
}

// A large blob that goes on in another process and turns out wrong is cut off
// where it began, which only the record knows by then.
func TestLargeBlobGoesOnAndIsWrong(t *testing.T) {
	j := newJob(t, 100<<20)
	j.tail = []testItem{{key: "a", data: content(1, 1000)}, {key: "large", data: content(2, bundle.SplitBlob+12345), known: true}}
	w := j.writer()
	w.noteEvery = 1
	src := &breaking{data: slices.Clone(j.tail[1].data), validator: "v", breakAt: 41 << 20}
	it := j.tail[1].item()
	it.Open = src.open
	ctx := context.Background()
	for _, want := range []error{errBroken, bundle.ErrCorrupt} {
		rw, err := w.Run(ctx, Run{First: 1})
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := rw.Done("a"); !ok {
			if _, err := rw.Append(ctx, j.tail[0].item()); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := rw.Append(ctx, it); !errors.Is(err, want) {
			t.Fatal(err)
		}
		if err := rw.Close(ctx); err != nil {
			t.Fatal(err)
		}
		recordOfBefore(t, filepath.Join(j.records, recordName(1)))
		w = j.writer()
		src.breakAt, src.data[len(src.data)-1] = 0, src.data[len(src.data)-1]+1
	}
	if done, err := j.write(w); err != nil || done != 1 {
		t.Fatal(done, err)
	}
	j.want(readBundle(t, j.finish(w).Dirs[0]))
}

// A source that breaks off: a large blob goes on where it stopped, in the same
// process and in the next.
func TestLargeBlobGoesOn(t *testing.T) {
	for _, validator := range []string{"v", ""} {
		for _, again := range []bool{false, true} {
			j := newJob(t, 100<<20)
			j.tail = []testItem{{key: "a", data: content(1, 1000)}, {key: "large", data: content(2, bundle.SplitBlob+12345)}, {key: "z", data: content(3, 99)}}
			w := j.writer()
			w.noteEvery = 1
			src := &breaking{data: j.tail[1].data, validator: validator, breakAt: 41 << 20}
			ctx := context.Background()
			rw, err := w.Run(ctx, Run{First: 1})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := rw.Append(ctx, j.tail[0].item()); err != nil {
				t.Fatal(err)
			}
			it := Item{Key: "large", Size: int64(len(src.data)), Open: src.open}
			if _, err := rw.Append(ctx, it); !errors.Is(err, errBroken) {
				t.Fatal(err)
			}
			if again {
				if err := rw.Close(ctx); err != nil {
					t.Fatal(err)
				}
				w = j.writer()
				if rw, err = w.Run(ctx, Run{First: 1}); err != nil {
					t.Fatal(err)
				}
				if _, ok := rw.Done("a"); !ok {
					t.Fatal("a is not recorded")
				}
				if _, ok := rw.Done("large"); ok {
					t.Fatal("large is recorded as done")
				}
			}
			src.breakAt = 0
			if got, err := rw.Append(ctx, it); err != nil || got.Digest != bundle.DigestOf(src.data) {
				t.Fatal(got, err)
			}
			if _, err := rw.Append(ctx, j.tail[2].item()); err != nil {
				t.Fatal(err)
			}
			if err := rw.Close(ctx); err != nil {
				t.Fatal(err)
			}
			if went := src.from >= 36<<20; went != (validator != "") {
				t.Errorf("validator %q, another process %v: went on from %d", validator, again, src.from)
			}
			j.want(readBundle(t, j.finish(w).Dirs[0]))
		}
	}
}

var errBroken = errors.New("connection reset")

// breaking is a source that breaks off at a byte.
type breaking struct {
	data      []byte
	validator string
	breakAt   int64
	from      int64 // where it was opened last
}

func (b *breaking) open(_ context.Context, at int64, validator string) (*bundle.Content, error) {
	if validator == "" || validator != b.validator {
		at = 0
	}
	b.from = at
	body := io.Reader(strings.NewReader(string(b.data[at:])))
	if b.breakAt > 0 {
		body = io.MultiReader(io.LimitReader(body, max(0, b.breakAt-at)), broken{})
	}
	return &bundle.Content{Body: io.NopCloser(body), At: at, Validator: b.validator}, nil
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errBroken }
