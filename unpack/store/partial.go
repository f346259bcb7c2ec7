package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/gapbundle/gapbundle/bundle"
)

// OpenPartial opens the file in which blob d gathers its segments, each
// written at its own offset, in any order and over any number of runs. The
// caller closes it, and keeps the account of what has arrived and is durable.
func (s *Store) OpenPartial(d bundle.Digest) (*os.File, error) {
	return s.root.OpenFile(partialDir+"/"+d.Hex(), os.O_RDWR|os.O_CREATE, 0o600)
}

// Sync makes all segments durable that were written so far.
func (s *Store) Sync() error { return s.sync.partials() }

// FinishPartial puts the partial file of d on the shelf, if its content is d;
// otherwise it is removed, and the error matches bundle.ErrCorrupt.
func (s *Store) FinishPartial(ctx context.Context, d bundle.Digest, size int64) error {
	if err := s.checkPartial(ctx, d, size); err != nil {
		if errors.Is(err, bundle.ErrCorrupt) {
			err = errors.Join(err, s.RemovePartial(d))
		}
		return err
	}
	return s.shelvePartial(ctx, d)
}

// ShelvePartial works like FinishPartial, for a caller that wrote all of d since it opened the
// store, and hashed what it wrote: the file is not read again.
func (s *Store) ShelvePartial(ctx context.Context, d bundle.Digest, size int64) error {
	fi, err := s.root.Lstat(partialDir + "/" + d.Hex())
	if err != nil {
		return err
	}
	if !fi.Mode().IsRegular() || fi.Size() != size {
		err := fmt.Errorf("blob %s: the file of its segments has %s, want %d: %w", d, bundle.Count(fi.Size(), "byte"), size, errDamaged)
		return errors.Join(err, s.RemovePartial(d))
	}
	return s.shelvePartial(ctx, d)
}

func (s *Store) shelvePartial(ctx context.Context, d bundle.Digest) error {
	if err := s.root.Chmod(partialDir+"/"+d.Hex(), Mode); err != nil {
		return err
	}
	partials, err := OpenFolder(s.root, partialDir)
	if err != nil {
		return err
	}
	return errors.Join(s.place(ctx, []staged{{partials, d.Hex(), d}}), partials.Close())
}

func (s *Store) checkPartial(ctx context.Context, d bundle.Digest, size int64) error {
	f, err := s.root.Open(partialDir + "/" + d.Hex())
	if err != nil {
		return err
	}
	defer f.Close()
	h := bundle.NewHash()
	n, err := copyContext(ctx, h, f)
	if err != nil {
		return fmt.Errorf("blob %s: %w", d, err)
	}
	if got := bundle.SumOf(h); got != d || n != size {
		return fmt.Errorf("blob %s: digest mismatch in the sum of its segments: got %s, %s of %d: %w", d, got, bundle.Count(n, "byte"), size, errDamaged)
	}
	return nil
}

// RemovePartial drops what has arrived of d.
func (s *Store) RemovePartial(d bundle.Digest) error {
	return removeIfThere(s.root, partialDir+"/"+d.Hex())
}

// Sweep removes what crashes left in staging, and every partial blob for which
// keep is false (nil: none is kept). Only for the one process that writes.
func (s *Store) Sweep(keep func(bundle.Digest) bool) error {
	if err := s.sweep(StagingDir, func(string) bool { return false }); err != nil {
		return err
	}
	return s.sweep(partialDir, func(name string) bool {
		d, err := bundle.ParseHex(name)
		return err == nil && keep != nil && keep(d)
	})
}

func (s *Store) sweep(dir string, keep func(name string) bool) error {
	entries, err := fs.ReadDir(s.root.FS(), dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if keep(e.Name()) {
			continue
		}
		if err := s.root.RemoveAll(dir + "/" + e.Name()); err != nil {
			return err
		}
	}
	return nil
}
