package unpack

import (
	"context"
	"errors"
	"maps"

	"github.com/gapbundle/gapbundle/unpack/state"
	"github.com/gapbundle/gapbundle/verify"
)

// bring places what is at hand of a bundle's volumes. Content that an earlier run placed is read
// again in the store, because nothing that is published names it yet, so neither check nor
// repair looks at it: if a disk has damaged it since, the volumes are placed again, and those
// that are not at hand are missing again.
func (r *importing) bring(ctx context.Context, b *verify.Bundle) (*state.Waiting, error) {
	p, err := r.state.Queue().Await(b, r.state.Now())
	if err != nil {
		return nil, err
	}
	earlier := maps.Clone(p.Placed)
	if err := r.place(ctx, b, p, &r.stored); err != nil {
		return nil, err
	}
	sound, err := r.stillPlaced(ctx, b, p, earlier)
	if err != nil || sound {
		return p, err
	}
	if err := r.state.Queue().Forget(b.Name()); err != nil {
		return nil, err
	}
	if p, err = r.state.Queue().Await(b, r.state.Now()); err != nil {
		return nil, err
	}
	return p, r.place(ctx, b, p, &r.stored)
}

// stillPlaced reports whether the store has all blobs of those volumes as they were placed. A
// damaged one is removed, and put on record because published names may be names of the same file.
// It looks at the whole of a blob that is split, once all segments came.
func (r *importing) stillPlaced(ctx context.Context, b *verify.Bundle, p *state.Waiting, volumes map[int]bool) (sound bool, err error) {
	sound = true
	for i := range b.Volumes() {
		if !volumes[i+1] {
			continue
		}
		for blob, err := range b.Blobs(i) {
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				return false, err
			}
			if _, waits := p.Segments[blob.Digest]; waits {
				continue
			}
			damaged, err := isDamaged(r.blobs, blob.Digest, blob.Size)
			if err != nil {
				return false, err
			}
			if !damaged {
				continue
			}
			sound = false
			if err := errors.Join(r.state.DamagedLog().Add(blob.Digest), r.blobs.Remove(blob.Digest)); err != nil {
				return false, err
			}
		}
	}
	return sound, nil
}
