package media

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/gapbundle/gapbundle/bundle"
)

// WriterOptions define what bundle is written where.
type WriterOptions struct {
	Set      string
	Sequence int64
	// Targets are directories on media, filled one after the other. In each
	// that is used, "<set>-<six digits>.partial" is made, which is renamed
	// when everything is signed.
	Targets []string
	// VolumeSize is what no volume reaches; 0: DefaultVolumeSize.
	VolumeSize int64
	// Jobs is how many frames are compressed at once; 0: GOMAXPROCS. The
	// bytes written do not depend on it.
	Jobs int
	// Compression is how hard frames are compressed. Frames that are on the media
	// already, of an interrupted export, stay as they are.
	Compression Compression
	// Records is a directory on the exporter's own disk for what an
	// interrupted export goes on from. It is the caller's to empty, once it
	// has noted durably that the bundle is finished.
	Records *os.Root
	// NoReadback leaves out reading every volume back from its medium.
	NoReadback bool
	// Progress receives the bytes of content as they are taken in (Add); what
	// the total is (Grow), the caller knows. nil: NoProgress.
	Progress bundle.Progress
	// NextMedium is asked for another target when all are full; "": there is none. nil, or
	// none: a *FullError.
	NextMedium func(ctx context.Context, q NextMedium) (dir string, err error)
	// Raw is what the planned runs take in tar streams, and Lists what catalogue, root and
	// sums take at most on each medium, both in bytes; 0: not known. Tail is what an
	// open-ended run has to have free before it begins a volume; 0: VolumeSize.
	Raw, Lists, Tail int64
	// Absent is asked about each medium that has volumes of the bundle and was
	// taken out before the root could be written: true when it is there again,
	// false to leave it without root and catalogue, which an import then takes
	// from another medium; nil: false.
	Absent func(ctx context.Context, number int, dir string) (again bool, err error)
}

// Writer writes one bundle: runs of blobs, then Finish. Everything is durable
// before anything refers to it, and nothing is called a bundle before it is
// signed. A Writer that is made again with the same options and the same
// Records goes on where the first was interrupted.
//
// Its one job is what its volumes have in common: which medium has room for the next one, and
// when all of them are durable. Content is written into volumes by RunWriter.
type Writer struct {
	o       WriterOptions
	name    string // <set>-<six digits>
	partial string // its name until Finish

	compressor *compressor
	frames     chan *frameJob // those not in use
	placing    sync.Mutex     // one volume at a time looks for its medium
	taking     sync.RWMutex   // held while promised room is written to
	noting     sync.Mutex     // and one at a time writes the note there
	reading    chan struct{}  // one file at a time is read back
	noteEvery  int64          // bytes
	freeSpace  func(dir string) (int64, error)
	raw, coded atomic.Int64 // bytes of volumes so far: of tar streams, and of files

	mu       sync.Mutex // guards what follows
	media    []*medium
	runs     []*RunWriter
	readback string // the weakest so far
	ending   int    // volumes that are not yet durable and read back
	idle     *sync.Cond
}

// NewWriter prepares to write. It makes at most the last element of each
// target's path. Errors match ErrUsage, or are the operating system's.
func NewWriter(o WriterOptions) (*Writer, error) {
	if err := bundle.CheckLabel(o.Set); err != nil {
		return nil, fmt.Errorf("set: %w", err)
	}
	size, err := checkVolumeSize(o.VolumeSize)
	if err != nil {
		return nil, err
	}
	o.VolumeSize = size
	if o.Sequence < 1 || len(o.Targets) == 0 || o.Records == nil {
		return nil, fmt.Errorf("writer: sequence %d, %s: want a sequence from 1, a target and records: %w", o.Sequence, bundle.Count(len(o.Targets), "target"), bundle.ErrUsage)
	}
	if o.Jobs <= 0 {
		o.Jobs = runtime.GOMAXPROCS(0)
	}
	if o.Progress == nil {
		o.Progress = bundle.NoProgress
	}
	w := &Writer{o: o, name: bundle.DirName(o.Set, o.Sequence), reading: make(chan struct{}, 1), noteEvery: noteEvery, freeSpace: freeSpace}
	w.partial = w.name + bundle.PartialSuffix
	w.idle = sync.NewCond(&w.mu)
	if w.compressor, err = newCompressor(o.Jobs, o.Compression); err != nil {
		return nil, err
	}
	// One frame each for the compressors, one being written, one being handed over.
	w.frames = make(chan *frameJob, o.Jobs+2)
	for range cap(w.frames) {
		w.frames <- &frameJob{done: make(chan struct{}, 1)}
	}
	if err := w.openTargets(); err != nil {
		return nil, err
	}
	return w, nil
}

// Run opens a run for writing: one that PlanRuns gave, or the tail, with
// Volumes 0 and First after the last planned volume. Runs may be written at
// the same time, each by one goroutine. The rest of an interrupted export's run
// is read again here, as far as its record goes. ctx has to last until the
// RunWriter is closed.
func (w *Writer) Run(ctx context.Context, r Run) (*RunWriter, error) {
	if r.First < 1 || r.Volumes < 0 || r.First+r.Volumes > bundle.MaxVolumes+1 {
		return nil, fmt.Errorf("run of %s from %d: %w", bundle.Count(r.Volumes, "volume"), r.First, bundle.ErrUsage)
	}
	w.mu.Lock()
	for _, other := range w.runs {
		if other.run.First == r.First {
			w.mu.Unlock()
			return nil, fmt.Errorf("run from volume %d: opened twice: %w", r.First, bundle.ErrUsage)
		}
	}
	w.mu.Unlock()
	rw, err := openRun(ctx, w, r)
	if err != nil {
		return nil, fmt.Errorf("run from volume %d: %w", r.First, err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.runs = append(w.runs, rw)
	return rw, nil
}

// readBack reads a durable file back, one at a time: two at once would only
// make a medium seek.
func (w *Writer) readBack(m *medium, name string, want checksum) error {
	w.reading <- struct{}{}
	defer func() { <-w.reading }()
	root, err := m.open(w.partial)
	if err != nil {
		return err
	}
	defer root.Close()
	w.o.Progress.Item("reading back " + name)
	method, err := readBack(root, name, want)
	if err != nil {
		return err
	}
	w.noteReadback(method)
	return nil
}

func (w *Writer) noteReadback(method string) {
	w.mu.Lock()
	w.readback = worseReadback(w.readback, method)
	w.mu.Unlock()
}

func (w *Writer) countEnding(n int) {
	w.mu.Lock()
	w.ending += n
	w.mu.Unlock()
	w.idle.Broadcast()
}

// waitEnding waits until all finished volumes are durable and read back.
func (w *Writer) waitEnding() {
	w.mu.Lock()
	for w.ending > 0 {
		w.idle.Wait()
	}
	w.mu.Unlock()
}

// noteMedium writes MEDIUM.txt, which informs a person that this medium is still
// being written.
func (w *Writer) noteMedium(root *os.Root, m *medium) error {
	w.noting.Lock()
	defer w.noting.Unlock()
	if _, err := root.Lstat(bundle.MediumName); err == nil {
		return nil
	}
	text := fmt.Sprintf("Medium %d of bundle %s. It is being written: nothing here is signed yet.\n", m.number, w.name)
	return writeSmall(root, bundle.MediumName, []byte(text))
}

// writeSmall writes a small file durably: whole or not at all.
func writeSmall(root *os.Root, name string, data []byte) (err error) {
	temp := name + ".tmp"
	f, err := root.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	if _, err = f.Write(data); err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = root.Rename(temp, name)
	}
	if err != nil {
		return errors.Join(err, root.Remove(temp))
	}
	return syncDir(root)
}

// Abort removes what was written and the records. All runs have to be closed.
func (w *Writer) Abort() error {
	w.waitEnding()
	var errs []error
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, m := range w.media {
		target, err := m.target()
		if err == nil {
			err = errors.Join(target.RemoveAll(w.partial), syncDir(target), target.Close())
		}
		errs = append(errs, err)
	}
	entries, err := bundle.ReadDir(w.o.Records)
	errs = append(errs, err)
	for _, e := range entries {
		if isRecordName(e.Name()) {
			errs = append(errs, w.o.Records.Remove(e.Name()))
		}
	}
	return errors.Join(append(errs, syncDir(w.o.Records))...)
}

// Close waits for what is going on in the background. Everything on disk
// stays, so that the same export can go on later. Needed where neither Finish
// nor Abort was called; all runs have to be closed.
func (w *Writer) Close() error {
	w.waitEnding()
	return nil
}

func recordName(first int) string { return fmt.Sprintf("run-%05d.jsonl", first) }

func isRecordName(name string) bool {
	var n int
	_, err := fmt.Sscanf(name, "run-%05d.jsonl", &n)
	return err == nil && name == recordName(n) || slices.Contains([]string{bundle.RootName}, name) || bundle.IsSignatureName(name)
}
