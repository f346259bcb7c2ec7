package store

import (
	"os"

	"golang.org/x/sys/unix"
)

// Syncer makes many files durable by one syncfs each time. Make it before the
// first write: the kernel reports a write-back error to descriptors that were
// open when it happened.
type Syncer struct{ dir *os.File }

// NewSyncer returns a Syncer for the file system that root is on; the caller closes it.
func NewSyncer(root *os.Root) (*Syncer, error) {
	dir, err := root.Open(".")
	if err != nil {
		return nil, err
	}
	return &Syncer{dir}, nil
}

// Close ends its use.
func (s *Syncer) Close() error { return s.dir.Close() }

// finish closes a file whose content files will make durable.
func (s *Syncer) finish(f *file) error { return f.Close() }

func (s *Syncer) files([]staged) error { return s.all() }

func (s *Syncer) shelves(*[256]bool) error { return s.all() }

func (s *Syncer) partials() error { return s.all() }

func (s *Syncer) all() error {
	if err := unix.Syncfs(int(s.dir.Fd())); err != nil {
		return &os.PathError{Op: "syncfs", Path: s.dir.Name(), Err: err}
	}
	return nil
}

// Trees makes everything below the directories dirs durable.
func (s *Syncer) Trees(...string) error { return s.all() }
