package media

import (
	"context"
	"encoding"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/gapbundle/gapbundle/bundle"
)

// tape is the writing end of one run: frames go to its volumes in the order
// they were handed over, while the frames after them are being compressed and
// the blobs after those read. All that it holds belongs to the one goroutine
// that executes steps; others reach it by handing over a step.
type tape struct {
	w       *Writer
	ctx     context.Context
	record  record
	volume  *volumeFile // nil: none is open
	begun   []*volumeFile
	mark    snapshot // where the current large blob began
	unnoted int64    // bytes of frames since the last sync line

	ending  sync.WaitGroup // volumes that are made durable and read back
	pushing atomic.Bool    // the medium is asked to begin writing what it has
	durable chan struct{}  // closed when the volume that was finished last is; nil: none was
	endMu   sync.Mutex
	endErrs []error

	steps  chan step
	ended  chan struct{}
	failed chan struct{} // closed at the first error
	err    error         // read after failed or ended is closed
}

// step is one thing for the tape to do: do, or write a frame and its lines.
type step struct {
	do    func() error
	frame *frameJob // nil: lines only
	lines []byte    // record lines of the items that end in the frame
	whole bool      // no blob is cut by the frame's end: a sync line may follow it
	part  *blobPart // one is, and can be gone on with
}

// frameJob is a frame on its way. There is a fixed number of them, shared by
// all runs: that bounds the memory in flight.
type frameJob struct {
	raw, coded []byte
	frame      bundle.Frame
	done       chan struct{}
}

// volumeFile is a volume on a medium. file is nil when it is finished.
type volumeFile struct {
	number    int
	medium    *medium
	file      *os.File
	hash      hash.Hash
	sum       checksum // of the file, for reading it back
	size, raw int64
	promised  int64 // what is left of Writer.place's reservation
}

// noteEvery is how much may have to be written again after the program was killed.
// After a power cut it is what the system had not written yet: nothing is waited for
// while a volume is written, and only one finished volume of a run may not be durable
// yet, so it is less than two volumes of each run.
const noteEvery = 32 << 20 // bytes

func newTape(ctx context.Context, w *Writer, f *os.File) *tape {
	const ahead = 8 // steps; frames among them are bounded by their own number
	return &tape{w: w, ctx: ctx, record: record{file: f},
		steps: make(chan step, ahead), ended: make(chan struct{}), failed: make(chan struct{})}
}

// run executes steps until there are no more; after an error it only returns
// the frames back.
func (t *tape) run() {
	defer close(t.ended)
	for s := range t.steps {
		if t.err == nil {
			if err := t.execute(s); err != nil {
				t.err = err
				close(t.failed)
			}
		}
		if s.frame != nil {
			<-s.frame.done
			t.w.frames <- s.frame
		}
	}
}

func (t *tape) execute(s step) error {
	if s.do != nil {
		return s.do()
	}
	if s.frame != nil {
		<-s.frame.done
		s.frame.done <- struct{}{} // run waits for it too
		if err := t.write(s.frame); err != nil {
			return err
		}
	}
	if len(s.lines) > 0 {
		if err := t.record.addLines(s.lines); err != nil {
			return err
		}
	}
	if t.unnoted < t.w.noteEvery || !s.whole && s.part == nil {
		return nil
	}
	t.push()
	return t.note(s.part)
}

func (t *tape) write(j *frameJob) error {
	v := t.volume
	if err := t.writeCoded(v, j.coded); err != nil {
		return err
	}
	t.w.count(v, j.coded, j.frame.Raw)
	t.unnoted += j.frame.Compressed
	return t.record.add(recordLine{Frame: &j.frame})
}

// writeCoded writes to a volume and takes as much off its promise, so that what is free on
// the medium and what is promised there are of one moment to roomiest.
func (t *tape) writeCoded(v *volumeFile, coded []byte) error {
	t.w.taking.RLock()
	defer t.w.taking.RUnlock()
	if _, err := v.file.Write(coded); err != nil {
		return err
	}
	released := min(v.promised, int64(len(coded)))
	v.promised -= released
	t.w.written(v.medium, released)
	return nil
}

// take counts and sums bytes that were written, or read again.
func (v *volumeFile) take(coded []byte, raw int64) {
	_, _ = v.hash.Write(coded)
	v.sum.add(coded)
	v.size, v.raw = v.size+int64(len(coded)), v.raw+raw
}

// count does what take does, and counts the bytes for the whole bundle.
func (w *Writer) count(v *volumeFile, coded []byte, raw int64) {
	v.take(coded, raw)
	w.raw.Add(raw)
	w.coded.Add(int64(len(coded)))
}

// uncount takes back what was counted of a volume after a place in it.
func (w *Writer) uncount(v *volumeFile, size, raw int64) {
	w.raw.Add(raw - v.raw)
	w.coded.Add(size - v.size)
}

// push has the system begin to write out what the medium was given, so that little is
// left to be waited for at the volume's end. Nothing is waited for here, and an error
// is one of the end too.
func (t *tape) push() {
	if t.volume == nil || !t.pushing.CompareAndSwap(false, true) {
		return
	}
	file := t.volume.file
	t.ending.Go(func() {
		defer t.pushing.Store(false)
		beginWriteback(file)
	})
}

// note adds a sync line to the record: an export that goes on believes the record up to
// there, once it has read every frame of it from the medium again.
func (t *tape) note(part *blobPart) error {
	line := recordSync{Part: part}
	if part != nil {
		line.Mark = &t.mark
	}
	if err := t.record.add(recordLine{Sync: &line}); err != nil {
		return err
	}
	t.unnoted = 0
	return t.record.flush()
}

// begin opens volume number, which takes at most need bytes.
func (t *tape) begin(number int, need int64, soft bool) error {
	if n := len(t.begun); n > 0 && t.begun[n-1].number >= number {
		return fmt.Errorf("volume %d: begun after volume %d: %w", number, t.begun[n-1].number, bundle.ErrUsage)
	}
	if err := errors.Join(t.endErrors()...); err != nil { // nothing more will be durable there
		return err
	}
	m, err := t.w.place(t.ctx, number, need, soft)
	if err != nil {
		return err
	}
	v := &volumeFile{number: number, medium: m, hash: bundle.NewHash(), promised: need}
	t.volume, t.begun = v, append(t.begun, v)
	root, err := m.make(t.w.partial)
	if err != nil {
		return err
	}
	defer root.Close()
	if err := t.w.noteMedium(root, m); err != nil {
		return err
	}
	if v.file, err = root.OpenFile(bundle.VolumeName(number), os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o644); err != nil {
		return err
	}
	if err := syncDir(root); err != nil {
		return err
	}
	return t.record.add(recordLine{Volume: number})
}

// end finishes the current volume, whose last frame is written, and has it
// made durable and read back while the next one is written.
func (t *tape) end(part *blobPart) error {
	v := t.volume
	digest := bundle.SumOf(v.hash)
	if err := t.record.add(recordLine{End: &recordEnd{Size: v.size, Raw: v.raw, Digest: digest}}); err != nil {
		return err
	}
	if err := t.note(part); err != nil {
		return err
	}
	t.volume = nil
	file := t.release(v)
	if v.size >= bundle.MaxFileSize {
		return errors.Join(fmt.Errorf("%s: %s, compressed worse than expected: %w", bundle.VolumeName(v.number), bundle.Count(v.size, "byte"), bundle.ErrMalformed), file.Close())
	}
	if t.durable != nil {
		<-t.durable
	}
	durable := make(chan struct{})
	t.durable = durable
	t.w.countEnding(1)
	t.ending.Go(func() {
		defer t.w.countEnding(-1)
		err := t.settle(file)
		close(durable)
		if err == nil {
			err = t.readBack(v)
		}
		if err != nil {
			t.endMu.Lock()
			defer t.endMu.Unlock()
			t.endErrs = append(t.endErrs, err)
		}
	})
	return nil
}

// settle makes a finished volume durable, then the record up to its end.
func (t *tape) settle(file *os.File) error {
	if err := errors.Join(file.Sync(), file.Close()); err != nil {
		return err
	}
	return t.record.file.Sync()
}

func (t *tape) readBack(v *volumeFile) error {
	if t.w.o.NoReadback {
		t.w.noteReadback(ReadbackNone)
		return nil
	}
	return t.w.readBack(v.medium, bundle.VolumeName(v.number), v.sum)
}

// endErrors returns what is wrong with finished volumes so far.
func (t *tape) endErrors() []error {
	t.endMu.Lock()
	defer t.endMu.Unlock()
	return slices.Clone(t.endErrs)
}

// finish makes the record durable, after all volumes that it names.
func (t *tape) finish() error {
	t.ending.Wait()
	if err := t.note(nil); err != nil {
		return err
	}
	return t.record.file.Sync()
}

// release takes the open file from a volume, and its promise from the medium.
func (t *tape) release(v *volumeFile) *os.File {
	t.w.written(v.medium, v.promised)
	t.w.closed(v.medium)
	v.promised = 0
	f := v.file
	v.file = nil
	return f
}

// snapshot returns the present place: in an open volume, or before the first.
func (t *tape) snapshot() (snapshot, error) {
	if t.volume == nil {
		return snapshot{Record: t.record.size}, nil
	}
	sum := t.volume.sum
	state, err := t.volume.hash.(encoding.BinaryMarshaler).MarshalBinary()
	if err != nil {
		return snapshot{}, fmt.Errorf("%s: state of its hash: %w: %w", bundle.VolumeName(t.volume.number), bundle.ErrUsage, err)
	}
	return snapshot{Record: t.record.size, Volume: t.volume.number, Size: t.volume.size, Raw: t.volume.raw, Hash: state, Sum: &sum}, nil
}

// setMark notes where a large blob begins.
func (t *tape) setMark() (err error) {
	t.mark, err = t.snapshot()
	return err
}

// rewind goes back to s: what is after it is gone from media and record.
func (t *tape) rewind(s snapshot) error {
	t.ending.Wait()
	var v *volumeFile
	for len(t.begun) > 0 {
		last := t.begun[len(t.begun)-1]
		if last.number == s.Volume {
			v = last
			break
		}
		if last.file != nil {
			if err := t.release(last).Close(); err != nil {
				return err
			}
		}
		t.w.uncount(last, 0, 0)
		if err := t.w.discard(last.medium, last.number); err != nil {
			return err
		}
		t.begun = t.begun[:len(t.begun)-1]
	}
	t.volume = nil
	if v != nil && !s.Ended {
		t.volume = v
		if err := t.reopen(v, s); err != nil {
			return err
		}
	}
	if err := t.record.truncate(s.Record); err != nil {
		return err
	}
	t.unnoted = 0
	return t.record.sync()
}

// reopen cuts v off at s and is ready to write on.
func (t *tape) reopen(v *volumeFile, s snapshot) (err error) {
	if v.file == nil {
		root, err := v.medium.open(t.w.partial)
		if err != nil {
			return err
		}
		v.file, err = openVolume(root, bundle.VolumeName(v.number), os.O_RDWR)
		root.Close()
		if err != nil {
			return err
		}
		t.w.opened(v.medium)
	}
	if err := v.file.Truncate(s.Size); err != nil {
		return err
	}
	if err := v.file.Sync(); err != nil {
		return err
	}
	t.w.uncount(v, s.Size, s.Raw)
	v.hash, v.sum, v.size, v.raw = bundle.NewHash(), 0, s.Size, s.Raw
	if s.Hash != nil && s.Sum != nil {
		v.sum = *s.Sum
		if err := v.hash.(encoding.BinaryUnmarshaler).UnmarshalBinary(s.Hash); err != nil {
			return fmt.Errorf("%s: state of its hash: %w: %w", bundle.VolumeName(v.number), bundle.ErrMalformed, err)
		}
	} else if err := copyPieces(io.MultiWriter(v.hash, &v.sum), io.NewSectionReader(v.file, 0, s.Size)); err != nil {
		return err
	}
	_, err = v.file.Seek(s.Size, io.SeekStart)
	return err
}

// stop ends the goroutine, waits for the volumes that it finished, and closes what is
// open.
func (t *tape) stop() error {
	close(t.steps)
	<-t.ended
	t.ending.Wait()
	var errs []error
	if t.volume != nil && t.volume.file != nil {
		errs = append(errs, t.release(t.volume).Close())
	}
	errs = append(errs, t.record.flush(), t.record.file.Close())
	if err := errors.Join(errs...); err != nil && !errors.Is(err, fs.ErrClosed) {
		return err
	}
	return nil
}
