package unpack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"
	"sync/atomic"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/unpack/state"
	"github.com/gapbundle/gapbundle/unpack/store"
	"github.com/gapbundle/gapbundle/verify"
)

// place reads what is at hand of a bundle's volumes, each once, into the
// store. A volume is placed once its blobs are durable; that is recorded, and
// it is not read again by a later run.
func (w *writer) place(ctx context.Context, b *verify.Bundle, p *state.Waiting, stored *atomic.Int64) error {
	written := segmentsWritten{}
	if err := w.joinSegments(ctx, b, p, written); err != nil {
		return err
	}
	volumes := b.Volumes()
	for i, v := range volumes {
		if v.Found >= 0 && !p.Placed[i+1] {
			w.o.Progress.Grow(v.Size)
		}
	}
	var errs []error
	for i, v := range volumes {
		if v.Found < 0 || p.Placed[i+1] {
			continue // a volume of a wrong size is read all the same, to find where it is cut
		}
		w.o.Progress.Item(b.Name() + "/" + v.Name)
		err := w.there()
		if err == nil {
			err = w.placeVolume(ctx, b, i, p, stored, written)
		}
		if err == nil {
			err = w.joinSegments(ctx, b, p, written)
		}
		if err == nil {
			continue
		}
		errs = append(errs, fmt.Errorf("%s: %w", b.Name(), err))
		if !errors.Is(err, bundle.ErrCorrupt) {
			break // no reason to think that the next one would do better
		}
	}
	return errors.Join(errs...)
}

// segmentsWritten is how many bytes of split blobs this run has written, from the first
// one on and without a gap.
type segmentsWritten map[bundle.Digest]int64

func (w segmentsWritten) add(s state.Segment) {
	if s.At == w[s.Digest] {
		w[s.Digest] += s.Length
	} else {
		delete(w, s.Digest)
	}
}

func (w *writer) placeVolume(ctx context.Context, b *verify.Bundle, i int, p *state.Waiting, stored *atomic.Int64, written segmentsWritten) error {
	sink := &shelver{ctx: ctx, store: w.blobs, batch: w.blobs.Begin(), stored: stored, log: w.state.DamagedLog()}
	err := b.Stream(ctx, i, sink, verify.StreamOptions{Jobs: w.o.Jobs, Progress: w.o.Progress})
	if err != nil {
		sink.batch.Discard()
		return err
	}
	if err := sink.batch.Flush(ctx); err != nil {
		return err
	}
	if len(sink.segments) > 0 {
		if err := w.blobs.Sync(); err != nil {
			return err
		}
	}
	for _, s := range sink.segments {
		written.add(s)
	}
	w.o.Log.Debug("volume placed", "bundle", b.Name(), "volume", i+1, "segments", len(sink.segments))
	return w.state.Queue().Placed(p, state.PlacedLine{Volume: i + 1, Segments: sink.segments})
}

// joinSegments puts every split blob on the shelf whose segments are all
// there. Bytes of segments were authenticated as bytes of their volumes; the
// digest of the whole is checked while this run streams it, or here. Content that an earlier
// run wrote is read again: a disk may have damaged it since.
func (w *writer) joinSegments(ctx context.Context, b *verify.Bundle, p *state.Waiting, written segmentsWritten) error {
	for d := range p.Segments {
		size, whole := p.Whole(d)
		if !whole {
			continue
		}
		if ok, err := w.blobs.Has(d, size); err != nil {
			return err
		} else if !ok {
			finish := w.blobs.FinishPartial
			if written[d] == size && b.Hashed(d) {
				finish = w.blobs.ShelvePartial
			}
			err := finish(ctx, d, size)
			if errors.Is(err, bundle.ErrCorrupt) || errors.Is(err, fs.ErrNotExist) {
				return errors.Join(fmt.Errorf("%s: %w", p.Name, corrupt(err)), w.state.Queue().Forget(p.Name))
			}
			if err != nil {
				return err
			}
		}
		delete(p.Segments, d)
	}
	return nil
}

// corrupt turns the error of a lost partial file into that of a damaged one.
func corrupt(err error) error {
	if errors.Is(err, bundle.ErrCorrupt) {
		return err
	}
	return fmt.Errorf("segments that were placed are gone: %w: %w", errDamaged, err)
}

// shelver is the verify.Sink of one volume.
type shelver struct {
	ctx    context.Context // of the one Stream it is for
	store  *store.Store
	batch  *store.Batch
	stored *atomic.Int64 // bytes written, over all volumes
	log    *state.DamagedLog

	mu       sync.Mutex
	segments []state.Segment
}

// Create is called concurrently, once for each line of the blob table. A blob that is in the
// store already is read again, because its bytes are at hand now: one that was damaged since
// gets them.
func (s *shelver) Create(b bundle.Blob) (verify.BlobWriter, error) {
	ok, err := s.vouched(b)
	if ok || err != nil {
		return nil, err
	}
	return s.write(b)
}

// vouched reports whether the blob is in the store, and right. One that is there and is not
// right, a shorter one among them, is put on record, because published names may be names of the same
// file. It is removed from the shelf if its segments come one by one: joinSegments puts a
// blob there that is not.
func (s *shelver) vouched(b bundle.Blob) (bool, error) {
	if b.Whole() { // a second copy of one takes the place of the first; segments would be left over
		if vacant, err := s.store.Vacant(b.Digest); vacant || err != nil {
			return false, err
		}
	}
	fi, err := s.store.Lstat(b.Digest)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if fi.Mode().IsRegular() && fi.Size() == b.Size && s.store.Verify(b.Digest) == nil {
		return true, nil
	}
	if err := s.log.Add(b.Digest); err != nil {
		return false, err
	}
	if !b.Whole() {
		return false, s.store.Remove(b.Digest)
	}
	return false, nil
}

// write takes the bytes of a blob or of a segment.
func (s *shelver) write(b bundle.Blob) (verify.BlobWriter, error) {
	if b.Whole() {
		f, err := s.batch.Create()
		if err != nil {
			return nil, err
		}
		return &wholeBlob{Writer: f, shelver: s, blob: b}, nil
	}
	f, err := s.store.OpenPartial(b.Digest)
	if err != nil {
		return nil, err
	}
	return &partOfBlob{Writer: io.NewOffsetWriter(f, b.At), file: f, shelver: s, blob: b}, nil
}

type wholeBlob struct {
	*store.Writer
	shelver *shelver
	blob    bundle.Blob
}

func (w *wholeBlob) Commit() error {
	if err := w.Writer.Commit(w.blob.Digest); err != nil {
		return err
	}
	w.shelver.stored.Add(w.blob.Size)
	if w.shelver.batch.Full() {
		return w.shelver.batch.Flush(w.shelver.ctx)
	}
	return nil
}

type partOfBlob struct {
	io.Writer
	file    io.Closer
	shelver *shelver
	blob    bundle.Blob
}

func (w *partOfBlob) Commit() error {
	if err := w.file.Close(); err != nil {
		return err
	}
	w.shelver.stored.Add(w.blob.Length)
	w.shelver.mu.Lock()
	defer w.shelver.mu.Unlock()
	w.shelver.segments = append(w.shelver.segments, state.Segment{Digest: w.blob.Digest, At: w.blob.At, Length: w.blob.Length, Size: w.blob.Size})
	return nil
}

// Abort leaves what was written: it is no account of it, and the same bytes
// are written over it when the volume comes again.
func (w *partOfBlob) Abort() { _ = w.file.Close() }
