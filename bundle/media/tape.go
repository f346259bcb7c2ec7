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
	"sync"

	"github.com/gapbundle/gapbundle/bundle"
)

// tape is the writing end of one run: frames go to its volumes in the order
// they were handed over, while the frames after them are being compressed and
// the blobs after those read. All that it holds belongs to the one goroutine
// that executes steps; others reach it by handing over a step.
type tape struct {
	w        *Writer
	ctx      context.Context
	record   record
	volume   *volumeFile // nil: none is open
	begun    []*volumeFile
	mark     snapshot // where the current large blob began
	unsynced int64    // bytes of frames since the last sync line

	reads    sync.WaitGroup // of this run's volumes
	readMu   sync.Mutex
	readErrs []error

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
	whole bool      // no blob is cut by the frame's end: a sync may follow it
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
	size, raw int64
	promised  int64 // what is left of Writer.place's reservation
}

// syncEvery is how much may have to be written again after a crash, against
// how often a medium is made to write out what it has.
const syncEvery = 32 << 20 // bytes

func newTape(ctx context.Context, w *Writer, f *os.File) *tape {
	const ahead = 8 // steps; frames among them are bounded by their own number
	return &tape{w: w, ctx: ctx, record: record{file: f},
		steps: make(chan step, ahead), ended: make(chan struct{}), failed: make(chan struct{})}
}

// run executes steps until there are no more; after an error it only gives
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
	if t.unsynced < t.w.syncEvery || !s.whole && s.part == nil {
		return nil
	}
	return t.sync(s.part)
}

func (t *tape) write(j *frameJob) error {
	v := t.volume
	if _, err := v.file.Write(j.coded); err != nil {
		return err
	}
	_, _ = v.hash.Write(j.coded)
	v.size, v.raw = v.size+j.frame.Compressed, v.raw+j.frame.Raw
	t.unsynced += j.frame.Compressed
	released := min(v.promised, j.frame.Compressed)
	v.promised -= released
	t.w.written(v.medium, released)
	return t.record.add(recordLine{Frame: &j.frame})
}

// sync makes the volume durable, then notes that in the record.
func (t *tape) sync(part *blobPart) error {
	if t.volume != nil {
		if err := t.volume.file.Sync(); err != nil {
			return err
		}
	}
	line := recordSync{Part: part}
	if part != nil {
		line.Mark = &t.mark
	}
	if err := t.record.add(recordLine{Sync: &line}); err != nil {
		return err
	}
	t.unsynced = 0
	return t.record.sync()
}

// begin opens volume number, which takes at most need bytes.
func (t *tape) begin(number int, need int64, soft bool) error {
	if n := len(t.begun); n > 0 && t.begun[n-1].number >= number {
		return fmt.Errorf("volume %d: begun after volume %d: %w", number, t.begun[n-1].number, bundle.ErrUsage)
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
// read back while the next one is written.
func (t *tape) end(part *blobPart) error {
	v := t.volume
	digest := bundle.SumOf(v.hash)
	if err := t.record.add(recordLine{End: &recordEnd{Size: v.size, Raw: v.raw, Digest: digest}}); err != nil {
		return err
	}
	if err := t.sync(part); err != nil {
		return err
	}
	if err := t.close(v); err != nil {
		return err
	}
	t.volume = nil
	if v.size >= bundle.MaxFileSize {
		return fmt.Errorf("%s: %d bytes, compressed worse than foreseen: %w", bundle.VolumeName(v.number), v.size, bundle.ErrMalformed)
	}
	t.readBackLater(v.medium, bundle.VolumeName(v.number), digest)
	return nil
}

// readBackLater reads a finished volume back in the background.
func (t *tape) readBackLater(m *medium, name string, want bundle.Digest) {
	if t.w.o.NoReadback {
		t.w.noteReadback(ReadbackNone)
		return
	}
	t.w.countReads(1)
	t.reads.Go(func() {
		defer t.w.countReads(-1)
		if err := t.w.readBack(m, name, want); err != nil {
			t.readMu.Lock()
			defer t.readMu.Unlock()
			t.readErrs = append(t.readErrs, err)
		}
	})
}

// waitReads returns what was wrong with the volumes that were read back.
func (t *tape) waitReads() error {
	t.reads.Wait()
	t.readMu.Lock()
	defer t.readMu.Unlock()
	return errors.Join(t.readErrs...)
}

func (t *tape) close(v *volumeFile) error {
	t.w.written(v.medium, v.promised)
	v.promised = 0
	f := v.file
	v.file = nil
	return f.Close()
}

// snapshot is the present place: in an open volume, or before the first.
func (t *tape) snapshot() (snapshot, error) {
	if t.volume == nil {
		return snapshot{Record: t.record.size}, nil
	}
	state, err := t.volume.hash.(encoding.BinaryMarshaler).MarshalBinary()
	if err != nil {
		return snapshot{}, fmt.Errorf("%s: state of its hash: %w: %w", bundle.VolumeName(t.volume.number), bundle.ErrUsage, err)
	}
	return snapshot{Record: t.record.size, Volume: t.volume.number, Size: t.volume.size, Raw: t.volume.raw, Hash: state}, nil
}

// setMark notes where a large blob begins.
func (t *tape) setMark() (err error) {
	t.mark, err = t.snapshot()
	return err
}

// rewind goes back to s: what is after it is gone from media and record.
func (t *tape) rewind(s snapshot) error {
	t.reads.Wait()
	var v *volumeFile
	for len(t.begun) > 0 {
		last := t.begun[len(t.begun)-1]
		if last.number == s.Volume {
			v = last
			break
		}
		if last.file != nil {
			if err := t.close(last); err != nil {
				return err
			}
		}
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
	t.unsynced = 0
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
	}
	if err := v.file.Truncate(s.Size); err != nil {
		return err
	}
	if err := v.file.Sync(); err != nil {
		return err
	}
	v.hash, v.size, v.raw = bundle.NewHash(), s.Size, s.Raw
	if s.Hash != nil {
		if err := v.hash.(encoding.BinaryUnmarshaler).UnmarshalBinary(s.Hash); err != nil {
			return fmt.Errorf("%s: state of its hash: %w: %w", bundle.VolumeName(v.number), bundle.ErrMalformed, err)
		}
	} else if err := copyToHash(v.hash, io.NewSectionReader(v.file, 0, s.Size)); err != nil {
		return err
	}
	_, err = v.file.Seek(s.Size, io.SeekStart)
	return err
}

// stop ends the goroutine, makes durable what can be gone on from, and
// closes what is open.
func (t *tape) stop() error {
	close(t.steps)
	<-t.ended
	var errs []error
	if t.volume != nil && t.volume.file != nil {
		errs = append(errs, t.close(t.volume))
	}
	errs = append(errs, t.record.flush(), t.record.file.Close())
	if err := errors.Join(errs...); err != nil && !errors.Is(err, fs.ErrClosed) {
		return err
	}
	return nil
}
