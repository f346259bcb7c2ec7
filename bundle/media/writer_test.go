package media

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gapbundle/gapbundle/bundle"
)

// content returns deterministic, half of it compressible.
func content(seed, size int64) []byte {
	b := make([]byte, size)
	r := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(seed >> 16), 1})
	_, _ = r.Read(b[:size/2])
	for i := size / 2; i < size; i++ {
		b[i] = "gapbundle "[i%10] + byte(seed%7)
	}
	return b
}

// testItem is an item and what may go wrong with it.
type testItem struct {
	key     string
	data    []byte
	known   bool // the digest is given beforehand
	wrong   bool // the content differs from the digest
	drop    bool
	opened  *int
	openErr error
}

func (ti testItem) item() Item {
	it := Item{Key: ti.key, Size: int64(len(ti.data)), Drop: func(bundle.Digest) bool { return ti.drop }}
	if ti.known {
		it.Digest = bundle.DigestOf(ti.data)
	}
	it.Open = func(_ context.Context, at int64, validator string) (*bundle.Content, error) {
		if ti.opened != nil {
			*ti.opened++
		}
		if ti.openErr != nil {
			return nil, ti.openErr
		}
		data := ti.data
		if ti.wrong {
			data = bytes.Clone(data)
			data[len(data)-1] ^= 1
		}
		if validator != "v" {
			at = 0
		}
		return &bundle.Content{Body: io.NopCloser(bytes.NewReader(data[at:])), At: at, Validator: "v"}, nil
	}
	return it
}

// job is an export in a test: planned items, a tail, where it goes.
type job struct {
	t          testing.TB
	planned    []testItem
	tail       []testItem
	volumeSize int64
	jobs       int
	targets    []string
	records    string
	next       func(ctx context.Context, q NextMedium) (string, error)
	absent     func(ctx context.Context, number int, dir string) (bool, error)
	noReadback bool
	signer     *bundle.Signer // nil: a new one
	later      time.Duration
}

func newJob(t testing.TB, volumeSize int64) *job {
	dir := t.TempDir()
	j := &job{t: t, volumeSize: volumeSize, targets: []string{filepath.Join(dir, "medium")}, records: filepath.Join(dir, "records")}
	if err := os.Mkdir(j.records, 0o700); err != nil {
		t.Fatal(err)
	}
	return j
}

func (j *job) writer() *Writer {
	j.t.Helper()
	records, err := os.OpenRoot(j.records)
	if err != nil {
		j.t.Fatal(err)
	}
	j.t.Cleanup(func() { records.Close() })
	w, err := NewWriter(WriterOptions{Set: "lab", Sequence: 7, Targets: j.targets, VolumeSize: j.volumeSize, Jobs: j.jobs,
		Records: records, NextMedium: j.next, Absent: j.absent, NoReadback: j.noReadback})
	if err != nil {
		j.t.Fatal(err)
	}
	return w
}

func (j *job) runs() []Run {
	j.t.Helper()
	runs, err := PlanRuns(j.volumeSize, func(yield func(int64, error) bool) {
		for _, it := range j.planned {
			if !yield(int64(len(it.data)), nil) {
				return
			}
		}
	})
	if err != nil {
		j.t.Fatal(err)
	}
	first := 1
	if n := len(runs); n > 0 {
		first = runs[n-1].First + runs[n-1].Volumes
	}
	return append(runs, Run{First: first})
}

// writeRun appends items, taking what was recorded.
func writeRun(ctx context.Context, w *Writer, r Run, items []testItem) (done int, err error) {
	rw, err := w.Run(ctx, r)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, rw.Close(ctx)) }()
	for _, ti := range items {
		if got, ok := rw.Done(ti.key); ok {
			if !ti.wrong && got.Digest != bundle.DigestOf(ti.data) {
				return done, fmt.Errorf("%s: recorded as %v", ti.key, got)
			}
			done++
			continue
		}
		got, err := rw.Append(ctx, ti.item())
		if err != nil {
			return done, err
		}
		if got.Digest != bundle.DigestOf(ti.data) || got.Size != int64(len(ti.data)) || ti.drop && !ti.known && got.Carried {
			return done, fmt.Errorf("%s: %+v", ti.key, got)
		}
	}
	return done, nil
}

// write writes all runs, one after the other, and says how many items were done before.
func (j *job) write(w *Writer) (done int, err error) {
	items := j.planned
	for _, r := range j.runs() {
		of := j.tail
		if r.Volumes > 0 {
			of, items = items[:r.Count], items[r.Count:]
		}
		n, err := writeRun(context.Background(), w, r, of)
		done += n
		if err != nil {
			return done, err
		}
	}
	return done, nil
}

var testTime = time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)

// finish makes the bundle of one repository with every item as a file.
func (j *job) finish(w *Writer) *Finished {
	j.t.Helper()
	f, err := j.tryFinish(w)
	if err != nil {
		j.t.Fatal(err)
	}
	return f
}

func (j *job) tryFinish(w *Writer) (*Finished, error) {
	var files, evidence bytes.Buffer
	fl, el := bundle.NewListWriter[bundle.File](&files), bundle.NewListWriter[bundle.Evidence](&evidence)
	all := slices.Concat(j.planned, j.tail)
	slices.SortFunc(all, func(a, b testItem) int { return bundle.ComparePaths(a.key, b.key) })
	repo := bundle.Repository{Name: "src", Kind: "files", Mount: "files", Carried: []string{bundle.CarriedEvidence, bundle.CarriedFiles}, Count: int64(len(all))}
	for _, it := range all {
		repo.Bytes += int64(len(it.data))
		err := errors.Join(fl.Write(bundle.File{Digest: bundle.DigestOf(it.data), Path: it.key, Size: int64(len(it.data))}),
			el.Write(bundle.Evidence{Path: it.key, Vouched: bundle.VouchedPinned}))
		if err != nil {
			return nil, err
		}
	}
	repo.Files, repo.Evidence = fl.Descriptor(bundle.MediaTypeFileList), el.Descriptor(bundle.MediaTypeEvidence)
	m := bundle.Manifest{Format: bundle.Format, Set: "lab", Sequence: 7, Stream: strings.Repeat("ab", 16), Created: testTime.Add(j.later), Full: true,
		Tool: "gapbundle test", Repositories: []bundle.Repository{repo}}
	m.State = bundle.StateDigest(m.Repositories)
	open := func(b *bytes.Buffer) func() (io.ReadCloser, error) {
		return func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes())), nil }
	}
	signer := j.signer
	if signer == nil {
		signer = testSigner(j.t)
	}
	return w.Finish(context.Background(), m, []Lists{{Files: open(&files), Evidence: open(&evidence)}}, []bundle.Signer{*signer})
}

func testSigner(t testing.TB) *bundle.Signer {
	t.Helper()
	priv, _, err := bundle.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	s, err := bundle.ParseSigner(priv)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// readBundle returns a small second reader: every blob of a finished bundle, put
// together from its segments.
func readBundle(t testing.TB, paths ...string) map[bundle.Digest][]byte {
	t.Helper()
	readers, err := bundle.Discover(paths)
	if err != nil {
		t.Fatal(err)
	}
	r := readers[0]
	defer r.Close()
	root, err := r.Root()
	if err != nil {
		t.Fatal(err)
	}
	m, err := bundle.ParseManifest(root)
	if err != nil {
		t.Fatal(err)
	}
	c, err := bundle.NewCatalog(m, func(name string) (io.ReaderAt, int64, error) {
		f, err := r.Open(name, -1)
		if err != nil {
			return nil, 0, err
		}
		t.Cleanup(func() { f.Close() })
		return f, f.Size(), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	blobs := make(map[bundle.Digest][]byte)
	for v, err := range c.Volumes(context.Background()) {
		if err != nil {
			t.Fatal(err)
		}
		readVolume(t, r, c, v, blobs)
	}
	for d, b := range blobs {
		if bundle.DigestOf(b) != d {
			t.Fatalf("blob %s has other content", d)
		}
	}
	for i := range m.Repositories {
		for _, open := range []func(int) (io.ReadCloser, error){c.Files, c.Evidence} {
			l, err := open(i)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, l); err != nil {
				t.Fatal(err)
			}
			l.Close()
		}
	}
	return blobs
}

func readVolume(t testing.TB, r *bundle.Reader, c *bundle.Catalog, v bundle.Volume, blobs map[bundle.Digest][]byte) {
	t.Helper()
	f, err := r.Open(v.Name, v.Size)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	d := bundle.NewDecoder()
	defer d.Close()
	var raw []byte
	for frame, err := range c.Frames(v) {
		if err != nil {
			t.Fatal(err)
		}
		coded := make([]byte, frame.Compressed)
		if _, err := io.ReadFull(f, coded); err != nil {
			t.Fatal(err)
		}
		part, err := d.Decode(nil, frame, coded)
		if err != nil {
			t.Fatal(err)
		}
		raw = append(raw, part...)
	}
	for b, err := range c.Blobs(v) {
		if err != nil {
			t.Fatal(err)
		}
		whole := blobs[b.Digest]
		if whole == nil {
			whole = make([]byte, b.Size)
			blobs[b.Digest] = whole
		}
		copy(whole[b.At:], raw[b.Offset:b.Offset+b.Length])
	}
}

// want requires that the bundle has exactly the blobs of items that are not dropped.
func (j *job) want(blobs map[bundle.Digest][]byte) {
	j.t.Helper()
	n := make(map[bundle.Digest]bool)
	for _, it := range slices.Concat(j.planned, j.tail) {
		d := bundle.DigestOf(it.data)
		if it.drop && !it.known {
			continue
		}
		n[d] = true
		if !bytes.Equal(blobs[d], it.data) {
			j.t.Fatalf("%s: not in the bundle", it.key)
		}
	}
	if len(n) != len(blobs) {
		j.t.Fatalf("%d blobs, want %d", len(blobs), len(n))
	}
}

func items(n int, size func(i int) int64) []testItem {
	var all []testItem
	for i := range n {
		all = append(all, testItem{key: fmt.Sprintf("f%06d", i), data: content(int64(i), size(i)), known: i%3 == 0})
	}
	return all
}

// mixed has small, large, spanning, empty, equal and dropped blobs.
func mixed(t testing.TB) *job {
	j := newJob(t, 5<<20)
	sizes := []int64{0, 1, 513, 100_000, bundle.SmallBlob, bundle.SmallBlob + 1, 11<<20 + 11, 512, 700_000, 511}
	j.planned = items(20, func(i int) int64 { return sizes[i%len(sizes)] })
	j.tail = items(6, func(i int) int64 { return sizes[(i*3)%len(sizes)]/2 + int64(i) })
	for i := range j.tail {
		j.tail[i].key = "t" + j.tail[i].key
		j.tail[i].known = false
	}
	j.planned[4].drop, j.planned[15].drop, j.planned[15].known = true, true, false
	j.planned[19].data = j.planned[18].data
	j.planned[19].known = true
	j.tail[3].drop = true
	return j
}

func TestWriteAndRead(t *testing.T) {
	j := mixed(t)
	w := j.writer()
	if _, err := j.write(w); err != nil {
		t.Fatal(err)
	}
	f := j.finish(w)
	if f.Readback == "" || f.Readback == ReadbackNone {
		t.Errorf("read back: %q", f.Readback)
	}
	j.want(readBundle(t, f.Dirs[0]))
	j.want(readBundle(t, j.targets[0]))
	volumes, err := filepath.Glob(filepath.Join(f.Dirs[0], "volume-*"))
	if err != nil || len(volumes) < 6 {
		t.Fatal(volumes, err)
	}
	for _, v := range volumes {
		if info, err := os.Stat(v); err != nil || info.Size() >= j.volumeSize {
			t.Errorf("%s: %v, %v", v, info, err)
		}
	}
}
