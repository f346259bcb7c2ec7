package media

import (
	"context"
	"encoding"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"

	"github.com/gapbundle/gapbundle/bundle"
)

// appendSmall hashes the content in memory before a byte of it is written.
func (rw *RunWriter) appendSmall(ctx context.Context, it Item, place segment) (Written, error) {
	content, err := it.Open(ctx, 0, "")
	if err != nil {
		return Written{}, err
	}
	defer content.Body.Close()
	if rw.small == nil {
		rw.small = make([]byte, bundle.SmallBlob+1)
	}
	n, err := io.ReadFull(content.Body, rw.small[:it.Size+1])
	switch {
	case content.At != 0:
		return Written{}, fmt.Errorf("content opened at byte %d: %w", content.At, bundle.ErrUsage)
	case err == nil:
		return Written{}, fmt.Errorf("more than %s: %w", bundle.Count(it.Size, "byte"), bundle.ErrCorrupt)
	case err != io.EOF && err != io.ErrUnexpectedEOF:
		return Written{}, err
	case int64(n) != it.Size:
		return Written{}, fmt.Errorf("%s, want %d: %w", bundle.Count(n, "byte"), it.Size, bundle.ErrCorrupt)
	}
	b := rw.small[:n]
	w := Written{Digest: bundle.DigestOf(b), Size: it.Size, Validator: content.Validator}
	w.Carried, err = rw.wanted(it, w.Digest)
	if err != nil {
		return Written{}, err
	}
	if !w.Carried {
		rw.w.o.Progress.Add(it.Size)
		return w, rw.note(it, w, nil)
	}
	if err := rw.enter(place.volume, nil); err != nil {
		return Written{}, err
	}
	if int64(len(rw.job.raw))+bundle.TarBlock+bundle.Padded(it.Size) > frameRaw {
		if err := rw.flush(true, nil); err != nil {
			return Written{}, err
		}
	}
	seg := recordSegment{Volume: place.volume, Length: it.Size, Offset: rw.raw + bundle.TarBlock}
	rw.job.raw = tarHeader(rw.job.raw, memberName(w.Digest), it.Size)
	rw.job.raw = tarPadding(append(rw.job.raw, b...), it.Size)
	rw.raw += bundle.TarBlock + bundle.Padded(it.Size)
	rw.w.o.Progress.Add(it.Size)
	return w, rw.note(it, w, []recordSegment{seg})
}

func memberName(d bundle.Digest) string { return "blobs/sha256/" + d.Hex() }

// wanted reports whether content that turned out to be d is carried.
func (rw *RunWriter) wanted(it Item, d bundle.Digest) (bool, error) {
	if it.Digest.IsZero() {
		if _, ok := rw.written.Size(d); ok {
			return false, nil
		}
		return it.Drop == nil || !it.Drop(d), nil
	}
	if d != it.Digest {
		return false, fmt.Errorf("digest mismatch: want %s, got %s: %w", it.Digest, d, bundle.ErrCorrupt)
	}
	return true, nil
}

// largeBlob is a blob that is written while it is read, beginning with a frame
// of its own, so that it can be cut off again.
type largeBlob struct {
	key       string
	size      int64
	digest    bundle.Digest // zero: not known
	validator string
	name      string // of its members
	place     []segment
	at        int64 // bytes of content taken in
	hash      hash.Hash
	segments  []recordSegment // begun; the last is the current one
}

func (l *largeBlob) is(it Item) bool {
	return l.key == it.Key && l.size == it.Size && l.digest == it.Digest
}

// begun returns what the segments that were begun take in tar streams.
func (l *largeBlob) begun() (raw int64) {
	if l == nil {
		return 0
	}
	for i := range l.segments {
		raw += bundle.TarBlock + bundle.Padded(l.place[i].length)
	}
	return raw
}

func (p *blobPart) is(it Item) bool {
	return p.Key == it.Key && p.Size == it.Size && p.Digest == it.Digest
}

func resumeLarge(p *blobPart, place []segment) (*largeBlob, error) {
	l := &largeBlob{key: p.Key, size: p.Size, digest: p.Digest, validator: p.Validator, name: p.Name,
		place: slices.Clone(place), at: p.At, hash: bundle.NewHash(), segments: slices.Clone(p.Segments)}
	if err := l.hash.(encoding.BinaryUnmarshaler).UnmarshalBinary(p.Hash); err != nil {
		return nil, fmt.Errorf("resume record: state of a hash: %w: %w", bundle.ErrMalformed, err)
	}
	if n := len(l.segments); n == 0 || n > len(place) || place[n-1].volume != l.segments[n-1].Volume || place[n-1].at != l.segments[n-1].At {
		return nil, fmt.Errorf("resume record: %.200q is elsewhere than planned: %w", p.Key, bundle.ErrMalformed)
	}
	return l, nil
}

// part returns what a sync in the middle of the blob records; nil where the blob is
// not worth it. A blob that spans volumes always is: the end of a volume is
// made durable, and must not be in the record as if nothing were open.
func (l *largeBlob) part() (*blobPart, error) {
	if l.size <= bundle.SplitBlob && len(l.place) == 1 {
		return nil, nil
	}
	state, err := l.hash.(encoding.BinaryMarshaler).MarshalBinary()
	if err != nil {
		return nil, fmt.Errorf("state of a hash: %w: %w", bundle.ErrUsage, err)
	}
	return &blobPart{Key: l.key, Size: l.size, Digest: l.digest, Validator: l.validator, Name: l.name,
		At: l.at, Hash: state, Segments: slices.Clone(l.segments)}, nil
}

func (rw *RunWriter) appendLarge(ctx context.Context, it Item, place []segment) (Written, error) {
	at, validator := int64(0), ""
	if rw.large != nil && rw.large.validator != "" {
		at, validator = rw.large.at, rw.large.validator
	}
	content, err := it.Open(ctx, at, validator)
	if err != nil {
		return Written{}, err
	}
	defer content.Body.Close()
	if content.At != 0 && content.At != at {
		return Written{}, fmt.Errorf("content opened at byte %d, asked for %d: %w", content.At, at, bundle.ErrUsage)
	}
	if rw.large != nil && content.At != rw.large.at {
		if err := rw.cutOffLarge(); err != nil {
			return Written{}, err
		}
	}
	if rw.large == nil {
		if err := rw.beginLarge(it, place, content.Validator); err != nil {
			return Written{}, err
		}
	}
	if err := rw.stream(ctx, content.Body); err != nil {
		if errors.Is(err, bundle.ErrCorrupt) {
			err = errors.Join(err, rw.cutOffLarge())
		}
		return Written{}, err
	}
	l := rw.large
	w := Written{Digest: bundle.SumOf(l.hash), Size: l.size, Validator: l.validator}
	if w.Carried, err = rw.wanted(it, w.Digest); err != nil {
		return Written{}, errors.Join(err, rw.cutOffLarge())
	}
	if !w.Carried {
		rw.w.o.Progress.Add(it.Size) // which cutting off takes back
		if err := rw.cutOffLarge(); err != nil {
			return Written{}, err
		}
		return w, rw.note(it, w, nil)
	}
	rw.large = nil
	return w, rw.note(it, w, l.segments)
}

// beginLarge marks the end of the previous blob as a rollback point before it
// starts a new one, even when the new one starts in the next volume.
func (rw *RunWriter) beginLarge(it Item, place []segment, validator string) error {
	if err := rw.flush(true, nil); err != nil {
		return err
	}
	if err := rw.hand(step{do: rw.tape.setMark}); err != nil {
		return err
	}
	if err := rw.enter(place[0].volume, nil); err != nil {
		return err
	}
	name := memberName(it.Digest)
	if it.Digest.IsZero() {
		name = fmt.Sprintf("blobs/new/%05d-%07d", rw.volume, rw.raw/bundle.TarBlock)
	}
	rw.large = &largeBlob{key: it.Key, size: it.Size, digest: it.Digest, validator: validator, name: name,
		place: slices.Clone(place), hash: bundle.NewHash()}
	return nil
}

// stream takes in what is left of the large blob, segment after segment. An
// error that matches ErrCorrupt is about the content's length.
func (rw *RunWriter) stream(ctx context.Context, body io.Reader) error {
	l := rw.large
	for {
		if n := len(l.segments); n == 0 || l.at == l.place[n-1].at+l.place[n-1].length && n < len(l.place) {
			if err := rw.beginSegment(); err != nil {
				return err
			}
		}
		seg := l.place[len(l.segments)-1]
		end := seg.at + seg.length
		if err := rw.fill(ctx, body, end); err != nil {
			return err
		}
		if l.at < l.size {
			continue
		}
		switch n, err := io.ReadFull(body, make([]byte, 1)); {
		case n > 0:
			return fmt.Errorf("more than %s: %w", bundle.Count(l.size, "byte"), bundle.ErrCorrupt)
		case err != io.EOF:
			return err
		}
		return nil
	}
}

func (rw *RunWriter) beginSegment() error {
	l := rw.large
	seg := l.place[len(l.segments)]
	name := l.name
	if len(l.place) > 1 {
		name = fmt.Sprintf("%s.part-%04d", name, len(l.segments)+1)
	}
	if len(l.segments) > 0 {
		part, err := l.part()
		if err != nil {
			return err
		}
		if err := rw.enter(seg.volume, part); err != nil {
			return err
		}
	}
	rw.job.raw = tarHeader(rw.job.raw, name, seg.length)
	rw.raw += bundle.TarBlock
	l.segments = append(l.segments, recordSegment{Volume: seg.volume, At: seg.at, Length: seg.length, Offset: rw.raw})
	rw.raw += bundle.Padded(seg.length)
	return nil
}

// fill reads up to byte end of the blob, the end of a segment, through the
// hash into frames.
func (rw *RunWriter) fill(ctx context.Context, body io.Reader, end int64) error {
	l := rw.large
	if l.at == end {
		return nil
	}
	for l.at < end {
		if err := ctx.Err(); err != nil {
			return err
		}
		if len(rw.job.raw) == frameRaw {
			part, err := l.part()
			if err != nil {
				return err
			}
			if err := rw.flush(false, part); err != nil {
				return err
			}
		}
		have := len(rw.job.raw)
		room := rw.job.raw[have:min(int64(frameRaw), int64(have)+end-l.at)]
		n, err := io.ReadAtLeast(body, room, 1)
		_, _ = l.hash.Write(room[:n])
		rw.job.raw = rw.job.raw[:have+n]
		l.at += int64(n)
		rw.w.o.Progress.Add(int64(n))
		if err == io.EOF {
			return fmt.Errorf("%s, want %d: %w", bundle.Count(l.at, "byte"), l.size, bundle.ErrCorrupt)
		}
		if err != nil {
			return err
		}
	}
	// The last byte and its padding are always in one frame.
	rw.job.raw = tarPadding(rw.job.raw, l.place[len(l.segments)-1].length)
	return nil
}

// cutOffLarge goes back to where the large blob began.
func (rw *RunWriter) cutOffLarge() error {
	l := rw.large
	rw.large = nil
	rw.job.raw = rw.job.raw[:0]
	rw.lines, rw.items = nil, 0
	rw.w.o.Progress.Add(-l.at)
	return rw.do(func() error {
		rw.volume, rw.raw = rw.tape.mark.Volume, rw.tape.mark.Raw
		return rw.tape.rewind(rw.tape.mark)
	})
}
