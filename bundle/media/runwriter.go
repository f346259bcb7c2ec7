package media

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/gapbundle/gapbundle/bundle"
)

// Item is a blob to be written.
type Item struct {
	// Key identifies the item across interrupted exports: under the same key
	// the same content is expected again. UTF-8.
	Key string
	// Digest is the zero value where it is not known beforehand.
	Digest bundle.Digest
	// Size is always known: what has no size is spooled by the caller.
	Size int64
	// Open returns the content. It is called once, or again after an error
	// when Append is called again.
	Open bundle.Open
	// Drop is asked once the digest is known, if Digest was zero: true means
	// that the base or another run has the blob and it is not carried. nil: never.
	Drop func(bundle.Digest) bool
}

// Written is what became of an item.
type Written struct {
	Digest bundle.Digest
	Size   int64
	// Carried is false where the blob was dropped, or is in the run already.
	Carried   bool
	Validator string // of the content that was read
}

// RunWriter writes the blobs of one run, in order. It is for one goroutine,
// which has to Close it whatever happened.
//
// An Append that fails takes no place: the same item may be appended again,
// and a large blob whose source broke off then goes on where it stopped. A
// planned item that is not carried leaves its planned place empty, so that no
// later one moves.
type RunWriter struct {
	w      *Writer
	run    Run
	tape   *tape
	replay *replay // nil: what was recorded is used up
	part   *blobPart
	large  *largeBlob // begun and not finished

	cut      cutter
	segments []segment
	planned  int64 // bytes of tar stream that the items so far were given
	count    int64 // items so far
	written  *bundle.DigestSet

	job    *frameJob // whose raw is being filled
	volume int       // that it goes to; 0: none is open
	raw    int64     // of that volume, job.raw included
	lines  []byte    // of the items that end in job.raw
	items  int       // as many
	small  []byte    // for content that is read as a whole

	suspended bool // the last Append failed
	closed    bool
	complete  bool
}

// maxFrameItems is how many items may end in one frame before it is closed
// early. Only items that are not carried, and so take no room, come to it.
const maxFrameItems = 2 * frameRaw / bundle.TarBlock

func openRun(ctx context.Context, w *Writer, r Run) (*RunWriter, error) {
	f, err := w.o.Records.OpenFile(recordName(r.First), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	t := newTape(ctx, w, f)
	part, err := t.open(r)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	rw := &RunWriter{w: w, run: r, tape: t, part: part, cut: newCutter(w.o.VolumeSize, r.First), written: bundle.NewDigestSet(min(r.Count, bundle.MaxFiles)),
		job: &frameJob{raw: make([]byte, 0, frameRaw), done: make(chan struct{}, 1)}}
	if rw.replay, err = newReplay(f, t.record.size); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	go t.run()
	return rw, nil
}

// Done takes the next item of an interrupted export's record, if it has this
// key: its blob is on the medium, read again and equal, and Append is not
// needed. Otherwise false, and what the record has from there on is cut off
// by the next Append.
func (rw *RunWriter) Done(key string) (Written, bool) {
	if rw.replay == nil || rw.closed {
		return Written{}, false
	}
	it, err := rw.replay.peek()
	if err != nil || it == nil || it.Key != key {
		return Written{}, false
	}
	rw.replay.take()
	w := Written{Digest: it.Digest, Size: it.Size, Carried: len(it.Segments) > 0, Validator: it.Validator}
	before := rw.cut
	rw.place(it.Size)
	rw.taken(w, before)
	if w.Carried {
		last := it.Segments[len(it.Segments)-1]
		rw.volume, rw.raw = last.Volume, last.Offset+bundle.Padded(last.Length)
	}
	rw.w.o.Progress.Add(it.Size)
	return w, true
}

// Has returns the size of a blob that this run has already: it need not be read again,
// and Append of an item with this digest and size does not open it.
func (rw *RunWriter) Has(d bundle.Digest) (size int64, ok bool) {
	if d.IsZero() {
		return 0, false
	}
	return rw.written.Size(d)
}

func (rw *RunWriter) place(size int64) []segment {
	rw.segments = rw.cut.place(rw.segments[:0], size)
	return rw.segments
}

// taken counts an item that is done with. In an open-ended run one that is not
// carried frees its place.
func (rw *RunWriter) taken(w Written, before cutter) {
	rw.count++
	switch {
	case w.Carried:
		rw.written.Add(w.Digest, w.Size)
	case rw.run.Volumes == 0:
		rw.cut = before
		return
	}
	for _, s := range rw.segments {
		rw.planned += bundle.TarBlock + bundle.Padded(s.length)
	}
}

// Append reads the item once, through one hash, into frames. Errors do not
// name the item, whose key is not for people: the caller does. Content that is
// not as Digest and Size state matches ErrCorrupt and is cut off again; other
// errors are those of Open, of the content and of the media.
func (rw *RunWriter) Append(ctx context.Context, it Item) (Written, error) {
	switch {
	case rw.closed:
		return Written{}, fmt.Errorf("item %.200q: the run is closed: %w", it.Key, bundle.ErrUsage)
	case it.Size < 0 || it.Size > bundle.MaxInteger || it.Open == nil:
		return Written{}, fmt.Errorf("item %.200q: size %d: want a size and a source: %w", it.Key, it.Size, bundle.ErrUsage)
	case rw.run.Volumes > 0 && rw.count == rw.run.Count:
		return Written{}, fmt.Errorf("item %.200q: the run has its %s: %w", it.Key, bundle.Count(rw.run.Count, "blob"), bundle.ErrUsage)
	}
	if err := ctx.Err(); err != nil {
		return Written{}, err
	}
	rw.suspended = true
	before := rw.cut
	w, err := rw.append(ctx, it)
	if err != nil {
		rw.cut = before
		return Written{}, err
	}
	rw.suspended = false
	rw.taken(w, before)
	return w, nil
}

func (rw *RunWriter) append(ctx context.Context, it Item) (Written, error) {
	place := rw.place(it.Size)
	if err := rw.settle(it, place); err != nil {
		return Written{}, err
	}
	last := place[len(place)-1].volume
	if rw.run.Volumes > 0 && last >= rw.run.First+rw.run.Volumes || last > bundle.MaxVolumes {
		return Written{}, fmt.Errorf("item %.200q: belongs to volume %d, outside the run: %w", it.Key, last, bundle.ErrUsage)
	}
	if _, ok := rw.written.Size(it.Digest); ok {
		rw.w.o.Progress.Add(it.Size)
		w := Written{Digest: it.Digest, Size: it.Size}
		return w, rw.note(it, w, nil)
	}
	if it.Size <= bundle.SmallBlob && len(place) == 1 {
		return rw.appendSmall(ctx, it, place[0])
	}
	return rw.appendLarge(ctx, it, place)
}

// settle finishes what an earlier run or a failed Append left unfinished, so
// that it can be appended next.
func (rw *RunWriter) settle(it Item, place []segment) error {
	if rw.replay != nil {
		if err := rw.settleReplay(it, place); err != nil {
			return err
		}
	}
	if rw.large != nil && !rw.large.is(it) {
		return rw.cutOffLarge()
	}
	return nil
}

func (rw *RunWriter) settleReplay(it Item, place []segment) error {
	next, err := rw.replay.peek()
	if err != nil {
		return err
	}
	// A volume that was ended is open again afterwards: what comes next may be
	// dropped, and then what comes after that belongs into it.
	ended := rw.tape.volume == nil && rw.volume != 0 // nothing runs on the tape yet
	switch part := rw.part; {
	case next == nil && part != nil && part.is(it):
		if rw.large, err = resumeLarge(part, place); err != nil {
			return err
		}
		rw.volume, rw.raw = 0, 0
		if v := rw.tape.volume; v != nil {
			now := part.Segments[len(part.Segments)-1]
			rw.volume, rw.raw = v.number, now.Offset+bundle.Padded(now.Length)
		}
		rw.w.o.Progress.Add(part.At)
	case next != nil || part != nil || ended:
		if err := rw.cutBehindReplay(); err != nil {
			return err
		}
	}
	rw.replay, rw.part = nil, nil
	return nil
}

// cutBehindReplay goes on after the item that was taken last.
func (rw *RunWriter) cutBehindReplay() error {
	return rw.do(func() error {
		raw, lines, err := rw.tape.cutBehind(rw.replay)
		rw.job.raw = append(rw.job.raw[:0], raw...)
		rw.lines = append(rw.lines, lines...)
		return err
	})
}

// do has the tape execute f, after everything handed over before, and waits.
func (rw *RunWriter) do(f func() error) (err error) {
	done := make(chan struct{})
	handed := rw.hand(step{do: func() error {
		defer close(done)
		err = f()
		return err
	}})
	if handed != nil {
		return handed
	}
	select {
	case <-done:
		return err
	case <-rw.tape.failed: // in front of f, which is not executed then, or in it
		return rw.tape.err
	}
}

// hand passes a step to the tape.
func (rw *RunWriter) hand(s step) error {
	select {
	case <-rw.tape.failed:
		return rw.tape.err
	default:
		rw.tape.steps <- s
		return nil
	}
}

// flush hands over the frame that is being filled. whole: no blob goes on
// after it.
func (rw *RunWriter) flush(whole bool, part *blobPart) error {
	s := step{lines: rw.lines, whole: whole, part: part}
	rw.lines, rw.items = make([]byte, 0, len(s.lines)+len(s.lines)/8), 0
	if len(rw.job.raw) > 0 {
		select {
		case <-rw.tape.failed:
			return rw.tape.err
		case next := <-rw.w.frames:
			s.frame, rw.job = rw.job, next
		}
		if cap(rw.job.raw) == 0 {
			rw.job.raw = make([]byte, 0, frameRaw)
		}
		rw.job.raw = rw.job.raw[:0]
		go func(c *compressor, j *frameJob) {
			j.coded, j.frame = c.frame(j.coded, j.raw)
			j.done <- struct{}{}
		}(rw.w.compressor, s.frame)
	}
	if s.frame == nil && len(s.lines) == 0 {
		return nil
	}
	if err := rw.hand(s); err != nil {
		if s.frame != nil {
			<-s.frame.done
			rw.w.frames <- s.frame
		}
		return err
	}
	return nil
}

// enter makes volume the one that is written to.
func (rw *RunWriter) enter(volume int, part *blobPart) error {
	if rw.volume == volume {
		return nil
	}
	if err := rw.leave(part); err != nil {
		return err
	}
	need, soft := rw.w.o.VolumeSize, rw.run.Volumes == 0
	switch {
	case rw.run.Raw > 0: // what is left of the run is the most that can come into this volume
		need, soft = needOf(need, rw.run.Raw-rw.planned-rw.large.begun()), false
	case soft && rw.w.o.Tail > 0:
		need = min(need, rw.w.o.Tail)
	}
	rw.volume, rw.raw = volume, 0
	t := rw.tape
	return rw.hand(step{do: func() error { return t.begin(volume, need, soft) }})
}

// leave finishes the volume that is written to.
func (rw *RunWriter) leave(part *blobPart) error {
	if rw.volume == 0 {
		return nil
	}
	if len(rw.job.raw)+bundle.TarTrailer > cap(rw.job.raw) {
		if err := rw.flush(part == nil, part); err != nil {
			return err
		}
	}
	rw.job.raw = append(rw.job.raw, make([]byte, bundle.TarTrailer)...)
	if err := rw.flush(false, nil); err != nil { // end notes it
		return err
	}
	rw.volume, rw.raw = 0, 0
	t := rw.tape
	return rw.hand(step{do: func() error { return t.end(part) }})
}

// note puts an item into the record, after the frame it ends in.
func (rw *RunWriter) note(it Item, w Written, segments []recordSegment) error {
	line, err := lineOf(&recordItem{Key: it.Key, Digest: w.Digest, Size: w.Size, Validator: w.Validator, Segments: segments})
	if err != nil {
		return err
	}
	rw.lines = append(rw.lines, line...)
	if rw.items++; rw.items < maxFrameItems {
		return nil
	}
	return rw.flush(true, nil)
}

// Close makes the run's volumes durable and reads them back. If ctx is done,
// or the last Append failed, or items of a planned run are missing, it leaves
// the run as it is for the next export to continue, and Finish will refuse.
// The error matches ErrCorrupt if a volume reads back differently.
func (rw *RunWriter) Close(ctx context.Context) error {
	if rw.closed {
		return nil
	}
	rw.closed = true
	complete := ctx.Err() == nil && !rw.suspended && (rw.run.Volumes == 0 || rw.count == rw.run.Count)
	var err error
	if complete {
		err = rw.finish()
	}
	err = errors.Join(err, rw.tape.stop())
	select {
	case <-rw.tape.failed:
		if err == nil || !errors.Is(err, rw.tape.err) {
			err = errors.Join(rw.tape.err, err)
		}
	default:
	}
	for _, ended := range rw.tape.endErrors() { // stop has waited for all of them
		if err == nil || !errors.Is(err, ended) {
			err = errors.Join(err, ended)
		}
	}
	rw.complete = complete && err == nil
	rw.job, rw.small, rw.written, rw.large = nil, nil, nil, nil
	return err
}

func (rw *RunWriter) finish() error {
	if rw.replay != nil {
		next, err := rw.replay.peek()
		if err != nil {
			return err
		}
		if rw.tape.volume == nil {
			rw.volume = 0 // it was finished before
		}
		if next != nil || rw.part != nil {
			if err := rw.cutBehindReplay(); err != nil {
				return err
			}
			rw.volume = 0
			if rw.tape.volume != nil { // do has waited for the tape
				rw.volume = rw.tape.volume.number
			}
		}
	}
	if rw.large != nil {
		if err := rw.cutOffLarge(); err != nil {
			return err
		}
	}
	if rw.volume == 0 {
		if err := rw.flush(true, nil); err != nil {
			return err
		}
	} else if err := rw.leave(nil); err != nil {
		return err
	}
	return rw.do(func() error { return rw.tape.finish() })
}
