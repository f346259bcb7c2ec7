// Package ledger is the memory of an exporter: which stream a set is, which
// number comes next, what each destination has acknowledged, and the lists of
// every state that may be the base of a delta.
//
// It is one directory next to the spec (.gapbundle/<set>), is locked
// while an export uses it, holds no secret and no absolute path, and may be
// copied. Losing it costs a full export (see Adopt), never trust: importers
// accept nothing because of it. It is not a cache of content.
package ledger

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/gofrs/flock"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/bundle/durable"
	"github.com/gapbundle/gapbundle/internal/access"
)

// Names in the directory of a ledger.
const (
	stateName = "state.json"
	lockName  = "lock"
	rootsDir  = "roots" // <six digits>.json: bundle.json of every state that may be a base
	listsDir  = "lists" // <hex>: file lists and evidence lists of those
	seenDir   = "seen"  // <repository>.jsonl: what upstream had at the newest export
	// documentsDir has the content of documents by digest, and <six digits>.json,
	// the documents of every state that may be a base.
	documentsDir = "documents"
	recordsDir   = "records" // what an interrupted export has on its media
	scratchDir   = "scratch" // emptied when an export begins and ends
	lockPoll     = 100 * time.Millisecond
	stateFormat  = 1
	// maxStateSize bounds state.json: a few hundred bytes a destination.
	maxStateSize = 16 << 20
	// keepStates is how many states stay selectable by --base although every
	// destination has acknowledged a newer one.
	keepStates = 12
)

// Ledger is an open ledger. One goroutine uses it at a time.
//
// state.json and the files that it names change together, so that a crash at any point leaves
// one whole state: the methods are that state's transitions (Take, LayOut, Commit, Settle, Adopt,
// Acknowledge, KeepState) and what reads it. The files have types of their own: Lists,
// Documents, and Upstream.
type Ledger struct {
	root  *os.Root // nil: read-only, and nothing there yet
	lock  *flock.Flock
	state state

	documents Documents
}

// Open opens the ledger of set in dir, makes it where it is not there yet and
// locks it: at once, or within wait. Errors match bundle.ErrBusy when another
// process has it, bundle.ErrMalformed when it is damaged.
func Open(ctx context.Context, dir, set string, wait time.Duration) (*Ledger, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	lock := flock.New(filepath.Join(dir, lockName))
	ok, err := lock.TryLock()
	if err == nil && !ok && wait > 0 {
		waiting, cancel := context.WithTimeout(ctx, wait)
		ok, err = lock.TryLockContext(waiting, lockPoll)
		cancel()
		if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
			err = nil
		}
	}
	if err != nil {
		return nil, fmt.Errorf("ledger %s: %w", dir, err)
	}
	if !ok {
		return nil, fmt.Errorf("ledger %s: another export of set %s is running: %w", dir, set, bundle.ErrBusy)
	}
	l := &Ledger{lock: lock}
	if err := l.load(dir, set); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	for _, d := range []string{rootsDir, listsDir, seenDir, documentsDir, recordsDir, scratchDir} {
		if err := durable.MakeDir(l.root, d, 0o700); err != nil {
			return nil, errors.Join(err, l.Close())
		}
	}
	return l, nil
}

// OpenReadOnly opens the ledger of set in dir without a lock and without
// changing a byte; where there is none it is an empty one. For plan: every
// file of a ledger is replaced whole, so a reader needs no lock.
func OpenReadOnly(dir, set string) (*Ledger, error) {
	l := &Ledger{}
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		l.state = emptyState(set)
		return l, nil
	}
	if err := l.load(dir, set); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

func (l *Ledger) load(dir, set string) (err error) {
	if l.root, err = os.OpenRoot(dir); err != nil {
		return err
	}
	l.documents.root = l.root
	fi, err := l.root.Stat(".")
	if err == nil {
		err = errors.Join(access.Writers(dir, fi), access.Owner(dir, fi))
	}
	if err != nil {
		return err
	}
	f, err := l.root.Open(stateName)
	if errors.Is(err, fs.ErrNotExist) {
		l.state = emptyState(set)
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // read-only
	b, err := bundle.ReadAllBounded(f, stateName, maxStateSize)
	if err != nil {
		return err
	}
	if err := bundle.UnmarshalCanonical(b, &l.state); err != nil {
		return fmt.Errorf("ledger %s: %w", filepath.Join(dir, stateName), err)
	}
	switch s := l.state; {
	case s.Format != stateFormat:
		return fmt.Errorf("ledger %s: format %d, this version reads %d: %w", dir, s.Format, stateFormat, bundle.ErrUnsupported)
	case s.Set != set:
		return fmt.Errorf("ledger %s: belongs to set %s, the spec is set %s: %w", dir, s.Set, set, bundle.ErrUsage)
	case s.Next < 1:
		return fmt.Errorf("ledger %s: next sequence %d: %w", dir, s.Next, bundle.ErrMalformed)
	}
	return nil
}

// Close empties the scratch directory and unlocks the ledger.
func (l *Ledger) Close() error {
	var errs []error
	if l.root != nil && l.lock != nil {
		if err := empty(l.root, scratchDir); !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	if l.root != nil {
		errs = append(errs, l.root.Close())
	}
	if l.lock != nil {
		errs = append(errs, l.lock.Unlock())
	}
	return errors.Join(errs...)
}

func (l *Ledger) save() error {
	b, err := bundle.MarshalCanonical(l.state)
	if err != nil {
		return err
	}
	return durable.WriteFile(l.root, stateName, b, 0o600)
}

// Set returns the name of the set that the ledger is of.
func (l *Ledger) Set() string { return l.state.Set }

// Stream returns the identity of the counter, empty before the first export.
func (l *Ledger) Stream() string { return l.state.Stream }

// Next returns the number that Take would return.
func (l *Ledger) Next() int64 { return l.state.Next }

// Pending returns the export that was begun and not finished, or nil.
func (l *Ledger) Pending() *Pending { return l.state.Pending }

// Take makes the next number durable as used, before a byte of the bundle is
// written, and records request as pending. The number is never given again,
// whatever becomes of the export.
func (l *Ledger) Take(request bundle.Digest, targets []string, created time.Time) (int64, error) {
	if l.state.Stream == "" {
		var b [16]byte
		if _, err := io.ReadFull(rand.Reader, b[:]); err != nil {
			return 0, err
		}
		l.state.Stream = hex.EncodeToString(b[:])
	}
	if l.state.Next >= bundle.MaxInteger {
		return 0, fmt.Errorf("ledger: sequence %d: no number is left: %w", l.state.Next, bundle.ErrMalformed)
	}
	n := l.state.Next
	l.state.Next = n + 1
	l.state.Pending = &Pending{Created: created.UTC().Truncate(time.Second), Request: request, Sequence: n, Targets: targets}
	return n, l.save()
}

// LayOut records how the pending export is written: its volume size in bytes, and which
// targets are mounted (Pending).
func (l *Ledger) LayOut(volumeSize int64, mounted []string) error {
	p := l.state.Pending
	if p == nil {
		return fmt.Errorf("ledger: no export was begun: %w", bundle.ErrUsage)
	}
	if p.VolumeSize == volumeSize && slices.Equal(p.Mounted, mounted) {
		return nil
	}
	p.VolumeSize, p.Mounted = volumeSize, mounted
	return l.save()
}

// Settle ends the pending export without a bundle and forgets its records.
func (l *Ledger) Settle() error {
	l.state.Pending = nil
	return errors.Join(l.save(), empty(l.root, recordsDir))
}

// Records and Scratch open the directories for resume records and for
// intermediate lists; the caller closes them.
func (l *Ledger) Records() (*os.Root, error) { return l.root.OpenRoot(recordsDir) }

// Scratch opens the scratch directory, emptied.
func (l *Ledger) Scratch() (*os.Root, error) {
	if err := empty(l.root, scratchDir); err != nil {
		return nil, err
	}
	return l.root.OpenRoot(scratchDir)
}

// empty removes everything in a folder of the ledger.
func empty(root *os.Root, dir string) error {
	entries, err := fs.ReadDir(root.FS(), dir)
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range entries {
		errs = append(errs, root.RemoveAll(dir+"/"+e.Name()))
	}
	return errors.Join(errs...)
}

// Commit records the finished bundle m as a state that may be a base: its
// root, and the lists among fresh (by digest, files below scratch) that are
// not kept yet. documents are those of the state, whose content was kept by
// Documents.Keep. It ends the pending export. The order is lists, documents, root,
// state: a crash in between leaves files that nothing names.
func (l *Ledger) Commit(m *bundle.Manifest, scratch *os.Root, fresh map[bundle.Digest]string, documents []Document) error {
	for d, name := range fresh {
		if err := l.Lists().keepFrom(d, scratch, name); err != nil {
			return err
		}
	}
	if err := l.record(m, documents); err != nil {
		return err
	}
	d := l.state.Destinations[m.Destination]
	d.Exported = m.Sequence
	l.state.setDestination(m.Destination, d)
	l.state.Pending = nil
	l.state.dropOld()
	if err := l.save(); err != nil {
		return err
	}
	return errors.Join(l.sweep(), empty(l.root, recordsDir))
}

// record writes documents and root of a state that is kept from now on.
func (l *Ledger) record(m *bundle.Manifest, documents []Document) error {
	if err := l.documents.record(m.Sequence, documents); err != nil {
		return err
	}
	b, err := bundle.MarshalCanonical(m)
	if err != nil {
		return err
	}
	if err := durable.WriteFile(l.root, rootName(m.Sequence), b, 0o600); err != nil {
		return err
	}
	l.state.add(m.Sequence)
	return nil
}

// sweep removes roots and lists that no kept state names.
func (l *Ledger) sweep() error {
	keep := make(map[string]bool)
	for _, n := range l.state.States {
		m, err := readRoot(l.root, n)
		if err != nil {
			return err
		}
		keep[rootName(n)] = true
		for _, r := range m.Repositories {
			for _, d := range r.Lists() {
				if dg, err := bundle.ParseDigest(string(d.Digest)); err == nil {
					keep[listsDir+"/"+dg.Hex()] = true
				}
			}
		}
	}
	if err := l.documents.names(l.state.States, keep); err != nil {
		return err
	}
	var errs []error
	for _, dir := range []string{rootsDir, listsDir, documentsDir} {
		entries, err := fs.ReadDir(l.root.FS(), dir)
		if err != nil {
			return err
		}
		for _, e := range entries {
			if name := dir + "/" + e.Name(); !keep[name] {
				errs = append(errs, l.root.Remove(name))
			}
		}
	}
	return errors.Join(errs...)
}
