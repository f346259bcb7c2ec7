//go:build !linux

package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"

	"github.com/gapbundle/gapbundle/bundle/durable"
)

// Syncer makes files durable one by one.
type Syncer struct{ root *os.Root }

// NewSyncer returns a Syncer for what is below root.
func NewSyncer(root *os.Root) (*Syncer, error) { return &Syncer{root}, nil }

// Close ends its use.
func (s *Syncer) Close() error { return nil }

// finish makes the content of one file durable and closes it.
func (s *Syncer) finish(f *file) error { return errors.Join(f.Sync(), f.Close()) }

func (s *Syncer) files([]staged) error { return nil }

func (s *Syncer) shelves(made *[256]bool) error {
	for i, m := range made {
		if m {
			if err := durable.SyncDir(s.root, fmt.Sprintf("%s/%02x", ShelfDir, i)); err != nil {
				return err
			}
		}
	}
	return errors.Join(durable.SyncDir(s.root, ShelfDir), durable.SyncDir(s.root, partialDir))
}

func (s *Syncer) partials() error { return s.Trees(partialDir) }

// Trees makes everything below the directories dirs durable.
func (s *Syncer) Trees(dirs ...string) error {
	for _, dir := range dirs {
		err := fs.WalkDir(s.root.FS(), dir, func(name string, e fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case e.IsDir():
				return durable.SyncDir(s.root, name)
			case e.Type().IsRegular():
				return syncFile(s.root, name)
			}
			return nil
		})
		if err != nil {
			return err
		}
		if err := durable.SyncDir(s.root, path.Dir(dir)); err != nil {
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
