package unpack

import (
	"context"
	"errors"

	"github.com/gapbundle/gapbundle/unpack/state"
	"github.com/gapbundle/gapbundle/unpack/store"
	"github.com/gapbundle/gapbundle/unpack/tree"
)

// writer changes a mirror whose lock is held: every function that changes
// something below the mirror is a method of it, or of something that it holds.
type writer struct {
	o            Options
	dir          string // absolute
	state        *state.Writer
	trees        *tree.Builder
	blobs, lists *store.Store // which can be written to
	there        func() error // a *GoneError if the mirror's disk was taken out
}

// write takes the lock, completes what an interrupted run had begun to publish, compares
// the state with what the mirror proves, and runs change.
func (m *Mirror) write(ctx context.Context, change func(w *writer) error) (err error) {
	return writeUnaudited(ctx, m, func(w *writer) error {
		if err := w.resume(); err != nil {
			return err
		}
		if err := audit(w.state.State, w.trees.Trees); err != nil {
			return err
		}
		if err := w.settle(m.root); err != nil {
			return err
		}
		return change(w)
	})
}

func writeUnaudited(ctx context.Context, m *Mirror, change func(w *writer) error) (err error) {
	if err := there(m.root, m.dir); err != nil {
		return err
	}
	if err := errors.Join(guard(m.root, m.dir), guardOwner(m.root, m.dir)); err != nil {
		return err
	}
	state, unlock, err := m.state.Lock(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	w := &writer{o: m.o, dir: m.dir, state: state, there: func() error { return there(m.root, m.dir) }}
	if w.blobs, err = store.Open(m.blobsRoot); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.blobs.Close()) }()
	if w.lists, err = store.Open(m.listsRoot); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.lists.Close()) }()
	sync, err := store.NewSyncer(m.root)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, sync.Close()) }()
	w.trees = tree.NewBuilder(tree.New(m.root, m.dir, m.o.Tool, w.blobs, w.lists), sync)
	return change(w)
}
