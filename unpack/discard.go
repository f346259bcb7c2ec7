package unpack

import (
	"context"
	"errors"
	"math"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/unpack/state"
	"github.com/gapbundle/gapbundle/unpack/tree"
)

// discard removes the blobs that carries reports and that nothing needs: a bundle that
// cannot be used has brought them. Every generation counts.
func (w *writer) discard(ctx context.Context, carries func(bundle.Digest) bool) error {
	needs, err := w.trees.Survey(ctx, w.state.State, tree.GCOptions{Keep: math.MaxInt, Force: true})
	if err != nil {
		return err
	}
	return w.trees.Discard(ctx, needs, carries)
}

// discardFailed removes what was staged of bundles that nothing can make good. A bundle
// that is only damaged, incomplete or in conflict goes on waiting.
func (r *importing) discardFailed(ctx context.Context, choices []*choice) error {
	var useless []*arrival
	for _, c := range choices {
		for _, f := range c.failed {
			if !errors.Is(f.err, bundle.ErrUntrusted) && !errors.Is(f.err, bundle.ErrMalformed) && !errors.Is(f.err, bundle.ErrUnsupported) {
				continue
			}
			if err := r.state.Queue().Drop(f.Name()); err != nil {
				return err
			}
			useless = append(useless, f.arrival)
		}
	}
	if len(useless) == 0 {
		return nil
	}
	return r.discard(ctx, func(d bundle.Digest) bool {
		for _, a := range useless {
			if a.Carries(d) {
				return true
			}
		}
		return false
	})
}

// waitingBlobs returns the blobs that a bundle which waits would bring.
func waitingBlobs(ctx context.Context, of *state.State, names []string) (*bundle.DigestSet, error) {
	set := bundle.NewDigestSet(0)
	for _, name := range names {
		err := of.PendingCatalog(ctx, name, func(v bundle.Volume, c *bundle.Catalog) error {
			for b, err := range c.Blobs(v) {
				if err != nil {
					return err
				}
				set.Add(b.Digest, b.Size)
			}
			return nil
		})
		if err != nil && !errors.Is(err, bundle.ErrMalformed) && !errors.Is(err, bundle.ErrCorrupt) {
			return nil, err // a damaged catalogue names no blobs: gc finds them
		}
	}
	return set, nil
}
