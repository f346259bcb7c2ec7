package state

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/bundle/durable"
)

// lockPoll is how often a lock that another process holds is asked for.
const lockPoll = 200 * time.Millisecond

// Lock takes the lock of the mirror; errors match bundle.ErrBusy where another
// process has it, and does not let go in time.
func (s *State) Lock(ctx context.Context) (w *Writer, unlock func() error, err error) {
	l := flock.New(filepath.Join(s.dir, filepath.FromSlash(lockFile)))
	locked := false
	if s.o.RetryLock > 0 {
		wait, cancel := context.WithTimeout(ctx, s.o.RetryLock)
		defer cancel()
		locked, err = l.TryLockContext(wait, lockPoll)
		if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
			err = nil
		}
	} else {
		locked, err = l.TryLock()
	}
	if err != nil {
		return nil, nil, fmt.Errorf("mirror %s: lock: %w", s.dir, err)
	}
	if !locked {
		return nil, nil, fmt.Errorf("mirror %s: another process is changing it: %w", s.dir, bundle.ErrBusy)
	}
	if err := s.settleLock(); err != nil {
		return nil, nil, errors.Join(err, l.Unlock())
	}
	return &Writer{s}, l.Unlock, nil
}

// settleLock assigns the file of the lock, which another package makes, to the state's group.
func (s *State) settleLock() error {
	a, err := accessOf(s.root)
	if err != nil || a.group == durable.NoGroup {
		return err
	}
	f, err := openFile(s.root, lockFile)
	if err != nil {
		return fmt.Errorf("mirror %s: lock: %w", s.dir, err)
	}
	return f.Close()
}
