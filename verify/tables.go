package verify

import (
	"context"
	"fmt"

	"github.com/gapbundle/gapbundle/bundle"
)

// checkTables reads frame indexes and blob tables, whose own rules are the
// catalogue's, and requires that what is carried of a blob is all of it: a
// blob that is split goes on where it ended, first thing in the next volume.
func checkTables(ctx context.Context, b *Bundle) error {
	var count, size int64
	for _, v := range b.volumes {
		count, size = count+min(v.BlobCount, bundle.MaxFiles), size+min(v.Blobs.Size, bundle.MaxTarSize)
	}
	b.carried = bundle.NewDigestSet(bundle.Foreseen(count, size))
	var open bundle.Blob // a segment whose blob goes on
	for _, v := range b.volumes {
		frames := int64(0)
		for _, err := range b.catalog.Frames(v.Volume) {
			if err != nil {
				return err
			}
			frames++
		}
		b.report.count("frames listed", frames)
		for blob, err := range b.catalog.Blobs(v.Volume) {
			if err != nil {
				return err
			}
			if err := checkBlob(b.carried, open, blob); err != nil {
				return fmt.Errorf("%s: blob table: %w", v.Name, err)
			}
			open = blob
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	if rest(open) > 0 {
		return fmt.Errorf("blob %s: the last %s in no volume: %w", open.Digest, bundle.Count(rest(open), "byte"), bundle.ErrMalformed)
	}
	b.report.count("blobs carried", b.carried.Len())
	return nil
}

// rest returns how much of a blob comes after this segment.
func rest(b bundle.Blob) int64 { return b.Size - b.At - b.Length }

func checkBlob(carried *bundle.DigestSet, open, b bundle.Blob) error {
	switch {
	case b.Digest.IsZero():
		return fmt.Errorf("a blob without digest: %w", bundle.ErrMalformed)
	case rest(open) > 0 && (b.Digest != open.Digest || b.Size != open.Size || b.At != open.At+open.Length):
		return fmt.Errorf("blob %s: byte %d and on: want them here, got %s at %d: %w", open.Digest, open.At+open.Length, b.Digest, b.At, bundle.ErrMalformed)
	case rest(open) == 0 && b.At != 0:
		return fmt.Errorf("blob %s: begins with byte %d: %w", b.Digest, b.At, bundle.ErrMalformed)
	}
	if rest(b) > 0 {
		return nil // counts once it is complete
	}
	if !carried.Add(b.Digest, b.Size) {
		if size, _ := carried.Size(b.Digest); size != b.Size {
			return fmt.Errorf("blob %s: %s here, %d before: %w", b.Digest, bundle.Count(b.Size, "byte"), size, bundle.ErrMalformed)
		}
	}
	return nil
}
