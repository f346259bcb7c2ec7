package unpack

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/unpack/store"
)

// writer is a Mirror whose lock is held: every function that changes something
// below the mirror is a method of it, or of something that holds one.
type writer struct {
	*Mirror
	store, lists *store.Store // these write; they hide the Mirror's, which only read
	sync         *store.Syncer
}

// lockPoll is how often a lock that another process holds is asked for.
const lockPoll = 200 * time.Millisecond

// write takes the lock, ends what an interrupted run had begun to publish, and
// runs change.
func (m *Mirror) write(ctx context.Context, change func(w *writer) error) (err error) {
	unlock, err := m.lock(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	w := &writer{Mirror: m}
	if w.store, err = store.Open(m.blobs); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.store.Close()) }()
	if w.lists, err = store.Open(m.catalog); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.lists.Close()) }()
	if w.sync, err = store.NewSyncer(m.root); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.sync.Close()) }()
	if err := w.resume(); err != nil {
		return err
	}
	return change(w)
}

func (m *Mirror) lock(ctx context.Context) (unlock func() error, err error) {
	l := flock.New(filepath.Join(m.dir, filepath.FromSlash(lockFile)))
	locked := false
	if m.o.RetryLock > 0 {
		wait, cancel := context.WithTimeout(ctx, m.o.RetryLock)
		defer cancel()
		locked, err = l.TryLockContext(wait, lockPoll)
		if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
			err = nil
		}
	} else {
		locked, err = l.TryLock()
	}
	if err != nil {
		return nil, fmt.Errorf("mirror %s: lock: %w", m.dir, err)
	}
	if !locked {
		return nil, fmt.Errorf("mirror %s: another process is changing it: %w", m.dir, bundle.ErrBusy)
	}
	return l.Unlock, nil
}
