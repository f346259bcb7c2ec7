// Package store keeps content by its SHA-256 below one directory.
//
//	sha256/<aa>/<hex>   a blob, mode 0444, complete and durable
//	partial/<hex>       a blob that arrives in segments, at its full size or less
//	staging/<number>    what is being written
//
// A name below sha256 appears only after its content is durable, so a file of
// the right size there is the blob. A crash leaves rubbish only in staging and
// partial. The package does not compute digests: the writer hashes the content
// and passes the digest.
//
// The package takes no lock. Its caller makes sure that one process at a time
// writes. Readers need no lock.
package store

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/bundle/durable"
)

// errDamaged is content of a store that is not what it was.
var errDamaged = bundle.About(bundle.AboutMirror, bundle.ErrCorrupt)

const (
	// ShelfDir has the blobs, in 256 folders.
	ShelfDir   = "sha256"
	partialDir = "partial"
	// StagingDir holds what is being written. Whoever opens the store for writing next
	// sweeps it.
	StagingDir = "staging"

	// Mode is that of every blob: nothing but gc has a reason to touch one.
	Mode    = 0o444
	dirMode = 0o755
)

// IsOwn reports whether a name directly in the directory of a store is the store's.
func IsOwn(name string) bool { return name == ShelfDir || name == partialDir || name == StagingDir }

// IsShelf reports whether a name directly in ShelfDir is that of one of its folders: the
// first two digits of the digests of what is in it.
func IsShelf(name string) bool { return len(name) == 2 && strings.Trim(name, "0123456789abcdef") == "" }

// Store is a directory of blobs.
type Store struct {
	root    *os.Root
	sync    *Syncer
	staging *Folder
	next    atomic.Int64 // number of the next staging file
	// modeIsRight means that a file of staging has Mode without being given it.
	modeIsRight atomic.Bool

	mu      sync.Mutex // guards the next two
	shelves [256]*Folder
	// made are the shelves that were not there when the store was opened.
	made [256]bool
}

// Open uses root, which stays the caller's to close, and makes the three
// directories that are missing.
func Open(root *os.Root) (*Store, error) {
	for _, dir := range []string{ShelfDir, partialDir, StagingDir} {
		if err := durable.MakeDir(root, dir, dirMode); err != nil {
			return nil, err
		}
	}
	syncer, err := NewSyncer(root)
	if err != nil {
		return nil, err
	}
	staging, err := OpenFolder(root, StagingDir)
	if err != nil {
		return nil, errors.Join(err, syncer.Close())
	}
	return &Store{root: root, sync: syncer, staging: staging}, nil
}

// View uses root without changing or creating anything: for readers and for
// dry runs. Nothing can be written through it.
func View(root *os.Root) *Store { return &Store{root: root} }

// Close ends the store; blobs already opened stay open.
func (s *Store) Close() error {
	var errs []error
	for i, f := range s.shelves {
		if f != nil {
			errs = append(errs, f.Close())
			s.shelves[i] = nil
		}
	}
	if s.sync != nil {
		errs = append(errs, s.sync.Close(), s.staging.Close())
	}
	return errors.Join(errs...)
}

// Path returns where blob d is or would be, relative to the root.
func (s *Store) Path(d bundle.Digest) string {
	h := d.Hex()
	return ShelfDir + "/" + h[:2] + "/" + h
}

// Has reports whether blob d is here. A file of another size is not the blob: it
// was damaged after it was stored, and is replaced when the blob comes again.
func (s *Store) Has(d bundle.Digest, size int64) (bool, error) {
	fi, err := s.Lstat(d)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return fi.Mode().IsRegular() && fi.Size() == size, nil
}

// Lstat looks at the file of blob d; errors match fs.ErrNotExist where it is absent.
func (s *Store) Lstat(d bundle.Digest) (fs.FileInfo, error) {
	shelf, err := s.Shelf(d)
	if err != nil {
		return nil, err
	}
	return shelf.Lstat(d.Hex())
}

// Open opens blob d for reading; errors match fs.ErrNotExist where it is absent.
func (s *Store) Open(d bundle.Digest) (*os.File, error) {
	shelf, err := s.Shelf(d)
	if err != nil {
		return nil, err
	}
	return shelf.OpenFile(d.Hex(), os.O_RDONLY, 0)
}

// Shelf returns the folder that blob d is in, under the name d.Hex(); it stays
// the store's. A View does not make it: errors match fs.ErrNotExist then.
func (s *Store) Shelf(d bundle.Digest) (*Folder, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.shelves[d[0]]; f != nil {
		return f, nil
	}
	name := fmt.Sprintf("%s/%02x", ShelfDir, d[0])
	if s.sync != nil { // not a View
		_, err := s.root.Lstat(name)
		s.made[d[0]] = errors.Is(err, fs.ErrNotExist)
		if err := durable.MakeDir(s.root, name, dirMode); err != nil {
			return nil, err
		}
	}
	f, err := OpenFolder(s.root, name)
	if err != nil {
		return nil, err
	}
	s.shelves[d[0]] = f
	return f, nil
}

// Vacant reports whether the store had no place for blob d, and so not the blob, when it was
// opened: no need to look. Content that is there now was written and checked since.
func (s *Store) Vacant(d bundle.Digest) (bool, error) {
	if _, err := s.Shelf(d); err != nil {
		return false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.made[d[0]], nil
}

// Info is one file of the shelf.
type Info struct {
	Digest bundle.Digest
	Size   int64
	// ModTime is when it was stored, or the time of the first publish that linked it.
	ModTime time.Time
}

// All yields every blob in ascending order of digest. Files whose names are
// no digests are an error that matches bundle.ErrCorrupt; the walk goes on.
func (s *Store) All() iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		if err := durable.CheckFolder(s.root, ShelfDir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			yield(Info{}, err)
			return
		}
		for i := range 256 {
			dir := fmt.Sprintf("%s/%02x", ShelfDir, i)
			if !s.shelf(dir, yield) {
				return
			}
		}
	}
}

// shelf yields the blobs of one of the 256 folders; false: stop.
func (s *Store) shelf(dir string, yield func(Info, error) bool) bool {
	err := durable.CheckFolder(s.root, dir)
	if errors.Is(err, fs.ErrNotExist) {
		return true
	}
	if err != nil {
		return yield(Info{}, err)
	}
	entries, err := fs.ReadDir(s.root.FS(), dir)
	if err != nil {
		return yield(Info{}, err)
	}
	for _, e := range entries {
		d, err := bundle.ParseHex(e.Name())
		if err != nil || s.Path(d) != dir+"/"+e.Name() || !e.Type().IsRegular() {
			if !yield(Info{}, fmt.Errorf("store: %s/%s: not a blob: %w", dir, e.Name(), errDamaged)) {
				return false
			}
			continue
		}
		fi, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed meanwhile
		}
		if err != nil {
			return yield(Info{}, err)
		}
		if !yield(Info{Digest: d, Size: fi.Size(), ModTime: fi.ModTime()}, nil) {
			return false
		}
	}
	return true
}

// MakeReadable sets for blob d the mode that every blob has, if not everybody can read it.
func (s *Store) MakeReadable(d bundle.Digest) error {
	fi, err := s.Lstat(d)
	if err != nil || !fi.Mode().IsRegular() || fi.Mode().Perm()&Mode == Mode {
		return err
	}
	return s.root.Chmod(s.Path(d), Mode)
}

// Remove takes blob d off the shelf; an absent one is no error.
func (s *Store) Remove(d bundle.Digest) error { return removeIfThere(s.root, s.Path(d)) }

func removeIfThere(root *os.Root, name string) error {
	if err := root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Verify reads blob d and reports whether its content is still what its name
// states; errors match bundle.ErrCorrupt, or are the operating system's.
func (s *Store) Verify(d bundle.Digest) error {
	f, err := s.Open(d)
	if err != nil {
		return err
	}
	defer f.Close()
	h := bundle.NewHash()
	if _, err := io.Copy(h, f); err != nil {
		return fmt.Errorf("blob %s: %w", d, err)
	}
	if got := bundle.SumOf(h); got != d {
		return fmt.Errorf("blob %s: digest mismatch: got %s: %w", d, got, errDamaged)
	}
	return nil
}
