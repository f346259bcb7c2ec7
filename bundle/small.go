package bundle

import (
	"errors"
	"fmt"
)

// ReadSmall reads the wanted blobs, as far as one volume has them, into memory and appends
// them to parts. It appends nothing if the volume is not at hand. wanted has their sizes,
// which the caller bounds. Every frame is authenticated by the catalogue's index; the caller
// compares the digests of whole blobs.
func (c *Catalog) ReadSmall(r *Reader, v Volume, wanted map[Digest]int64, parts map[Digest][]byte) error {
	var segments []Blob // by their offsets
	for b, err := range c.Blobs(v) {
		if err != nil {
			return err
		}
		if size, ok := wanted[b.Digest]; ok && size == b.Size {
			segments = append(segments, b)
		}
	}
	if len(segments) == 0 {
		return nil
	}
	file, err := r.Open(v.Name, v.Size)
	if errors.Is(err, ErrIncomplete) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // read-only
	decoder := NewDecoder()
	defer decoder.Close()
	var raw, at int64 // where the frame begins: in the tar stream and in the file
	for f, err := range c.Frames(v) {
		if err != nil {
			return err
		}
		for len(segments) > 0 && segments[0].Offset+segments[0].Length <= raw {
			segments = segments[1:]
		}
		if len(segments) > 0 && segments[0].Offset < raw+f.Raw {
			compressed := make([]byte, f.Compressed)
			if _, err := file.ReadAt(compressed, at); err != nil {
				return fmt.Errorf("%s in %s: %w", v.Name, file.Dir(), err)
			}
			content, err := decoder.Decode(nil, f, compressed)
			if err != nil {
				return fmt.Errorf("%s in %s: %w", v.Name, file.Dir(), err)
			}
			for _, b := range segments {
				if b.Offset >= raw+f.Raw {
					break
				}
				from, to := max(b.Offset, raw), min(b.Offset+b.Length, raw+f.Raw)
				if from < to {
					parts[b.Digest] = append(parts[b.Digest], content[from-raw:to-raw]...)
				}
			}
		}
		raw, at = raw+f.Raw, at+f.Compressed
	}
	return nil
}
