package media

import (
	"fmt"
	"io"
	"iter"
	"os"

	"github.com/gapbundle/gapbundle/bundle"
)

// recordedVolume is a finished volume and where its part of a record begins.
type recordedVolume struct {
	bundle.Volume
	number   int
	record   *os.File
	from, to int64
	// spanning is the segment at its end, of a blob that goes on in the next.
	spanning []bundle.Blob
}

// recordedVolumes reads what was written out of the record of a run. The
// descriptors of the tables are computed, the tables themselves read again
// when they are needed.
func recordedVolumes(f *os.File) ([]*recordedVolume, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	var (
		volumes  []*recordedVolume
		byNumber = make(map[int]*recordedVolume)
		frames   *bundle.ListWriter[bundle.Frame]
		v        *recordedVolume
	)
	s := scanRecord(f, 0, info.Size())
	s.only = isStructure
	for {
		l, err := s.next()
		from := s.at - int64(len(s.line))
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		switch {
		case l.Volume != 0:
			v = &recordedVolume{number: l.Volume, record: f, from: from, Volume: bundle.Volume{Name: bundle.VolumeName(l.Volume), Role: bundle.RoleData}}
			frames = bundle.NewListWriter[bundle.Frame](io.Discard)
			volumes, byNumber[v.number] = append(volumes, v), v
		case l.Frame != nil && v != nil:
			if err := frames.Write(*l.Frame); err != nil {
				return nil, err
			}
		case l.End != nil && v != nil:
			v.to, v.Digest, v.Size, v.Raw = s.at, l.End.Digest, l.End.Size, l.End.Raw
			v.Frames = frames.Descriptor(bundle.MediaTypeFrameIndex)
		case l.Item != nil && len(l.Item.Segments) > 1:
			for _, seg := range l.Item.Segments[:len(l.Item.Segments)-1] {
				if of := byNumber[seg.Volume]; of != nil {
					of.spanning = append(of.spanning, blobOf(l.Item, seg))
				}
			}
		}
	}
	for _, v := range volumes {
		if v.to == 0 {
			return nil, fmt.Errorf("resume record: %s is not finished: %w", v.Name, bundle.ErrMalformed)
		}
		blobs := bundle.NewListWriter[bundle.Blob](io.Discard)
		if err := writeLines(blobs, v.blobs()); err != nil {
			return nil, err
		}
		v.Blobs, v.BlobCount = blobs.Descriptor(bundle.MediaTypeBlobTable), blobs.Count()
	}
	return volumes, nil
}

func blobOf(it *recordItem, s recordSegment) bundle.Blob {
	return bundle.Blob{At: s.At, Digest: it.Digest, Length: s.Length, Offset: s.Offset, Size: it.Size}
}

func writeLines[T bundle.Line](w *bundle.ListWriter[T], lines iter.Seq2[T, error]) error {
	for l, err := range lines {
		if err != nil {
			return err
		}
		if err := w.Write(l); err != nil {
			return err
		}
	}
	return nil
}

// lines returns the lines of the volume that only is for. An item has neither key nor validator
// and is good until the next line.
func (v *recordedVolume) lines(only func([]byte) bool) iter.Seq2[recordLine, error] {
	return func(yield func(recordLine, error) bool) {
		s := scanRecord(v.record, v.from, v.to)
		s.only, s.item = only, new(recordItem)
		for {
			l, err := s.next()
			if err == io.EOF || !yield(l, err) || err != nil {
				return
			}
		}
	}
}

// frames returns the frame index.
func (v *recordedVolume) frames() iter.Seq2[bundle.Frame, error] {
	return func(yield func(bundle.Frame, error) bool) {
		for l, err := range v.lines(isFrame) {
			if err != nil {
				yield(bundle.Frame{}, err)
				return
			}
			if !yield(*l.Frame, nil) {
				return
			}
		}
	}
}

// blobs returns the blob table. The record has a blob after the frame in which it
// ends, so a segment that goes on in the next volume is not among its lines.
func (v *recordedVolume) blobs() iter.Seq2[bundle.Blob, error] {
	return func(yield func(bundle.Blob, error) bool) {
		for l, err := range v.lines(isItem) {
			if err != nil {
				yield(bundle.Blob{}, err)
				return
			}
			for _, seg := range l.Item.Segments {
				if seg.Volume == v.number && !yield(blobOf(l.Item, seg), nil) {
					return
				}
			}
		}
		for _, b := range v.spanning {
			if !yield(b, nil) {
				return
			}
		}
	}
}
