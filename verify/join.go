package verify

import (
	"context"
	"fmt"
	"hash"

	"github.com/gapbundle/gapbundle/bundle"
)

// longBlob is a blob, or a segment of one, that is in several frames.
type longBlob struct {
	blob bundle.Blob
	hash hash.Hash // nil: a segment that is not hashed here
}

// splitHash is a split blob, hashed up to byte at.
type splitHash struct {
	hash hash.Hash
	at   int64
}

// join takes the frames in order: it reports what was wrong with one, and hashes the blobs
// that are in several. Their bytes are written by deliver at the same time.
func (s *stream) join(ctx context.Context, j *job, out chan<- delivery) error {
	if j.err != nil {
		return s.explain(ctx, j)
	}
	for i := range j.pieces {
		p := &j.pieces[i]
		if p.alone() {
			continue
		}
		if p.first {
			s.begin(p.blob)
			if err := hand(ctx, out, delivery{begin: &p.blob}); err != nil {
				return err
			}
		}
		content := j.raw[p.from:p.to]
		if err := hand(ctx, out, delivery{content: content}); err != nil {
			return err
		}
		if h := s.current.hash; h != nil {
			_, _ = h.Write(content)
		}
		if !p.last {
			continue
		}
		if got, ok := s.sum(); !ok {
			j.damaged, j.bad, j.err = true, &p.blob, mismatch(got)
			return s.explain(ctx, j)
		}
		s.current = nil
		if err := hand(ctx, out, delivery{commit: true}); err != nil {
			return err
		}
	}
	return hand(ctx, out, delivery{done: j})
}

func (s *stream) begin(b bundle.Blob) {
	l := &longBlob{blob: b}
	if b.Whole() {
		l.hash = bundle.NewHash()
	} else {
		l.hash = s.b.resumeSplit(b)
	}
	s.current = l
}

// sum reports whether the blob that ended here is the one it should be, as far as
// that can be known here, and what it is if not.
func (s *stream) sum() (got bundle.Digest, ok bool) {
	l := s.current
	switch {
	case l.hash == nil:
		return got, true
	case rest(l.blob) > 0:
		s.b.keepSplit(l.blob, l.hash)
		return got, true
	}
	got = bundle.SumOf(l.hash)
	if got != l.blob.Digest {
		return got, false
	}
	if !l.blob.Whole() {
		s.b.keepSplit(l.blob, nil)
	}
	return got, true
}

// Hashed reports whether the segments of blob d, which is split, were streamed in order, from
// its first byte to its last, and had its digest.
func (b *Bundle) Hashed(d bundle.Digest) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	kept, ok := b.splits[d]
	return ok && kept.hash == nil
}

// resumeSplit returns the hash of a split blob up to this segment, if the
// segments before were streamed in order; otherwise nil, and the blob is left
// to whoever joins it: its bytes are authenticated as those of the volume.
func (b *Bundle) resumeSplit(seg bundle.Blob) hash.Hash {
	if seg.At == 0 {
		return bundle.NewHash()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	kept := b.splits[seg.Digest]
	delete(b.splits, seg.Digest)
	if kept.at != seg.At {
		return nil
	}
	return kept.hash
}

// keepSplit keeps the hash of a split blob up to the end of seg; nil: seg is its last one,
// and the digest was right.
func (b *Bundle) keepSplit(seg bundle.Blob, h hash.Hash) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.splits[seg.Digest] = splitHash{hash: h, at: seg.At + seg.Length}
}

// explain turns what is wrong with the bytes of a frame into a DamageError.
// Errors of sinks, and the end of ctx, stay what they are.
func (s *stream) explain(ctx context.Context, j *job) error {
	if !j.damaged {
		return j.err
	}
	d := &DamageError{Volume: s.v.Name, Frame: j.number, Offset: j.offset, Length: j.frame.Compressed, Err: j.err}
	if j.bad != nil {
		s.b.damages(ctx, d, []bundle.Blob{*j.bad})
		return d
	}
	hit := make([]bundle.Blob, 0, len(j.pieces))
	for _, p := range j.pieces {
		hit = append(hit, p.blob)
	}
	s.b.damages(ctx, d, hit)
	return d
}

// checkSize reports a file that is cut or extended before anything of it is
// read, and what that damages.
func (s *stream) checkSize(found int64) error {
	d := &DamageError{Volume: s.v.Name, Err: fmt.Errorf("file of %s, want %d: %w", bundle.Count(found, "byte"), s.v.Size, bundle.ErrCorrupt)}
	if found == s.v.Size {
		return nil
	}
	if found > s.v.Size {
		d.Offset = s.v.Size
		return d
	}
	var start int64 // raw
	for f, err := range s.b.catalog.Frames(s.v) {
		if err != nil {
			return err
		}
		d.Frame, d.Length = d.Frame+1, f.Compressed
		if d.Offset+f.Compressed > found {
			break
		}
		d.Offset, start = d.Offset+f.Compressed, start+f.Raw
	}
	var hit []bundle.Blob
	for blob, err := range s.b.catalog.Blobs(s.v) {
		if err != nil {
			return err
		}
		if blob.Offset+blob.Length > start {
			hit = append(hit, blob)
		}
	}
	s.b.damages(context.Background(), d, hit)
	return d
}
