package blobstore

import (
	"os"

	"golang.org/x/sys/unix"
)

// syncer makes many files durable by one syncfs each time. It holds its
// descriptor from before the first write: the kernel reports a write-back
// error to descriptors that were open when it happened.
type syncer struct{ dir *os.File }

func newSyncer(root *os.Root) (*syncer, error) {
	dir, err := root.Open(".")
	if err != nil {
		return nil, err
	}
	return &syncer{dir}, nil
}

func (s *syncer) close() error { return s.dir.Close() }

// finish closes a file whose content files will make durable.
func (s *syncer) finish(f *os.File) error { return f.Close() }

func (s *syncer) files([]staged) error { return s.all() }

func (s *syncer) shelves(*[256]bool) error { return s.all() }

func (s *syncer) partials() error { return s.all() }

func (s *syncer) all() error {
	if err := unix.Syncfs(int(s.dir.Fd())); err != nil {
		return &os.PathError{Op: "syncfs", Path: s.dir.Name(), Err: err}
	}
	return nil
}

// SyncTrees makes everything below the directories dirs of root durable.
func SyncTrees(root *os.Root, _ ...string) error {
	s, err := newSyncer(root)
	if err != nil {
		return err
	}
	defer s.close()
	return s.all()
}
