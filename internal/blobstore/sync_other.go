//go:build !linux

package blobstore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"

	"github.com/gapbundle/gapbundle/internal/durable"
)

// syncer makes files durable one by one.
type syncer struct{ root *os.Root }

func newSyncer(root *os.Root) (*syncer, error) { return &syncer{root}, nil }

func (s *syncer) close() error { return nil }

// finish makes the content of one file durable and closes it.
func (s *syncer) finish(f *os.File) error { return errors.Join(f.Sync(), f.Close()) }

func (s *syncer) files([]staged) error { return nil }

func (s *syncer) shelves(made *[256]bool) error {
	for i, m := range made {
		if m {
			if err := durable.SyncDir(s.root, fmt.Sprintf("%s/%02x", shelfDir, i)); err != nil {
				return err
			}
		}
	}
	return errors.Join(durable.SyncDir(s.root, shelfDir), durable.SyncDir(s.root, partialDir))
}

func (s *syncer) partials() error { return SyncTrees(s.root, partialDir) }

// SyncTrees makes everything below the directories dirs of root durable.
func SyncTrees(root *os.Root, dirs ...string) error {
	for _, dir := range dirs {
		err := fs.WalkDir(root.FS(), dir, func(name string, e fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case e.IsDir():
				return durable.SyncDir(root, name)
			case e.Type().IsRegular():
				return syncFile(root, name)
			}
			return nil
		})
		if err != nil {
			return err
		}
		if err := durable.SyncDir(root, path.Dir(dir)); err != nil {
			return err
		}
	}
	return nil
}

func syncFile(root *os.Root, name string) error {
	f, err := root.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
