package unpack

import (
	"errors"
	"io"
	"io/fs"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/unpack/state"
	"github.com/gapbundle/gapbundle/unpack/store"
	"github.com/gapbundle/gapbundle/verify"
)

// receiver is what the mirror holds, and what bundles bring that are imported
// in the same run.
type receiver struct {
	state        *state.State
	blobs, lists *store.Store
	// with are bundles that were verified before, of the same run: what they
	// carry counts as at hand.
	with []*verify.Bundle
}

// Receiver returns what the mirror holds, for verify.Open, and what other verified
// bundles bring that would be imported together.
func (m *Mirror) Receiver(with ...*verify.Bundle) verify.Receiver {
	return newReceiver(m, with)
}

func newReceiver(m *Mirror, with []*verify.Bundle) *receiver {
	return &receiver{state: m.state, blobs: m.blobs, lists: m.lists, with: with}
}

func (r *receiver) Accepted(set string) (verify.Accepted, error) {
	t, err := r.state.Ratchet(set)
	if err != nil {
		return verify.Accepted{}, err
	}
	return verify.Accepted{Stream: t.Stream, Sequence: t.Sequence, Root: t.Root, Roots: t.Roots, Floor: t.Floor}, nil
}

func (r *receiver) HasBlob(d bundle.Digest, size int64) (bool, error) {
	if ok, err := r.blobs.Has(d, size); ok || err != nil {
		return ok, err
	}
	for _, b := range r.with {
		if b.Carries(d) {
			return true, nil
		}
	}
	return false, nil
}

func (r *receiver) OpenList(d bundle.Digest) (io.ReadCloser, error) {
	f, err := r.lists.Open(d)
	if err == nil {
		return f, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, b := range r.with {
		l, err := b.OpenList(d)
		if err == nil || !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, bundle.ErrIncomplete) {
			return l, err
		}
	}
	return nil, fs.ErrNotExist
}
