package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"sync"

	"github.com/gapbundle/gapbundle/bundle"
)

// flushEvery bounds how many files wait in one batch, and so its memory.
const flushEvery = 64 << 10

// Batch collects blobs that become durable, and then visible, together: one
// sync for many small files instead of one each. Safe for concurrent use.
type Batch struct {
	store *Store
	mu    sync.Mutex
	files []staged
}

type staged struct {
	folder *Folder
	name   string
	digest bundle.Digest
}

// Begin starts a batch.
func (s *Store) Begin() *Batch { return &Batch{store: s} }

// Create opens a new file in staging. Exactly one of Commit and Abort ends it.
func (b *Batch) Create() (*Writer, error) {
	for {
		name := strconv.FormatInt(b.store.next.Add(1), 36)
		f, err := b.store.staging.create(name)
		if errors.Is(err, fs.ErrExist) {
			continue // rubbish of a run before
		}
		if err != nil {
			return nil, err
		}
		return &Writer{file: f, batch: b, name: name}, nil
	}
}

// Len returns the number of blobs committed since the last Flush.
func (b *Batch) Len() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.files)
}

// Full reports whether Flush is due, to bound memory.
func (b *Batch) Full() bool { return b.Len() >= flushEvery }

// Flush makes every committed blob durable and puts it on the shelf. After an
// error nothing of the batch counts and its files are gone: a sync that
// failed may have thrown the pages away, so it is never tried again.
func (b *Batch) Flush(ctx context.Context) error {
	b.mu.Lock()
	files := b.files
	b.files = nil
	b.mu.Unlock()
	if len(files) == 0 {
		return nil
	}
	if err := b.store.place(ctx, files); err != nil {
		for _, f := range files {
			_ = f.folder.Remove(f.name) // best effort; Sweep takes the rest
		}
		return fmt.Errorf("store: %s: %w", bundle.Count(len(files), "blob"), err)
	}
	return nil
}

// Discard drops what was committed and not flushed.
func (b *Batch) Discard() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, f := range b.files {
		_ = f.folder.Remove(f.name) // Sweep takes what stays
	}
	b.files = nil
}

func (s *Store) place(ctx context.Context, files []staged) error {
	if err := s.sync.files(files); err != nil {
		return err
	}
	var touched [256]bool
	for _, f := range files {
		if err := ctx.Err(); err != nil {
			return err
		}
		shelf, err := s.Shelf(f.digest)
		if err != nil {
			return err
		}
		touched[f.digest[0]] = true
		if err := f.folder.rename(f.name, shelf, f.digest.Hex()); err != nil {
			if err := errors.Join(err, s.clear(f.digest)); !errors.Is(err, errCleared) {
				return err
			}
			if err := f.folder.rename(f.name, shelf, f.digest.Hex()); err != nil {
				return err
			}
		}
	}
	return s.sync.shelves(&touched)
}

// errCleared means that what was in the place of a blob is gone.
var errCleared = errors.New("cleared")

// clear removes a folder that is in the place of blob d, which no rename replaces.
func (s *Store) clear(d bundle.Digest) error {
	fi, err := s.Lstat(d)
	if err != nil || !fi.IsDir() {
		return nil //nolint:nilerr // what the rename said is told
	}
	if err := s.root.RemoveAll(s.Path(d)); err != nil {
		return err
	}
	return errCleared
}

// Writer is one blob on its way into a batch.
type Writer struct {
	*file
	batch *Batch
	name  string
}

// Commit ends the file as blob d, which the caller has computed from what it
// wrote. It is on the shelf after the batch's Flush.
func (w *Writer) Commit(d bundle.Digest) error {
	err := w.setMode()
	if err == nil {
		err = w.batch.store.sync.finish(w.file)
	}
	if err != nil {
		_ = w.Close()
		_ = w.batch.store.staging.Remove(w.name)
		return err
	}
	w.batch.add(staged{w.batch.store.staging, w.name, d})
	return nil
}

// setMode sets the mode of the file, whatever the umask left of it. The umask of a program
// stays: where the first file came out right, all do.
func (w *Writer) setMode() error {
	s := w.batch.store
	if s.modeIsRight.Load() {
		return nil
	}
	if hasMode(w.file) {
		s.modeIsRight.Store(true)
		return nil
	}
	return w.Chmod(Mode)
}

func (b *Batch) add(f staged) {
	b.mu.Lock()
	b.files = append(b.files, f)
	b.mu.Unlock()
}

// Abort drops the file.
func (w *Writer) Abort() {
	_ = w.Close()
	_ = w.batch.store.staging.Remove(w.name) // Sweep takes it otherwise
}
