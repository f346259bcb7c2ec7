package export

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources/ledger"
)

// restoreDocuments reads from the volumes of an adopted bundle the content of those
// documents that it carries. What is on a medium that is not at hand is not
// restored: a plan does once more what it would have spared.
func (s *session) restoreDocuments(ctx context.Context, r *bundle.Reader, catalog *bundle.Catalog, all []ledger.Document) error {
	wanted := map[bundle.Digest]int64{}
	for _, d := range all {
		if !s.ledger.HasDocument(d.Digest, d.Size) {
			wanted[d.Digest] = d.Size
		}
	}
	if len(wanted) == 0 {
		return nil
	}
	parts := map[bundle.Digest][]byte{}
	for v, err := range catalog.Volumes(ctx) {
		if err != nil {
			return err
		}
		if err := readBlobs(r, catalog, v, wanted, parts); err != nil {
			return err
		}
	}
	for _, d := range slices.SortedFunc(maps.Keys(parts), func(a, b bundle.Digest) int { return slices.Compare(a[:], b[:]) }) {
		if content := parts[d]; int64(len(content)) == wanted[d] && bundle.DigestOf(content) == d {
			if err := s.ledger.KeepDocument(content); err != nil {
				return err
			}
		}
	}
	return nil
}

// readBlobs reads what one volume has of the wanted blobs into parts; nothing if the
// volume is not at hand. Every frame is authenticated by the catalogue's index.
func readBlobs(r *bundle.Reader, catalog *bundle.Catalog, v bundle.Volume, wanted map[bundle.Digest]int64, parts map[bundle.Digest][]byte) error {
	var segments []bundle.Blob // by their offsets
	for b, err := range catalog.Blobs(v) {
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
	if errors.Is(err, bundle.ErrIncomplete) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // read-only
	decoder := bundle.NewDecoder()
	defer decoder.Close()
	var raw, at int64 // where the frame begins: in the tar stream and in the file
	for f, err := range catalog.Frames(v) {
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
