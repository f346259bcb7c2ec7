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
	"sync"
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
// It has many methods and one job: state.json and the files that it names change together, so
// that a crash at any point leaves one whole state. The methods are that state's transitions
// (Take, Commit, Settle, Adopt, Acknowledge) and what reads it. States, documents, dates, and
// what was seen upstream have a file of this package each.
type Ledger struct {
	root  *os.Root // nil: read-only, and nothing there yet
	lock  *flock.Flock
	state state

	documents sync.Mutex // held while one is written: two can have the same content
}

// state is state.json. Every field that can be empty is omitted, because
// canonical JSON of this project has no null.
type state struct {
	Destinations map[string]Destination `json:"destinations,omitempty"`
	Format       int                    `json:"format"`
	Next         int64                  `json:"next"`
	Pending      *Pending               `json:"pending,omitempty"`
	Set          string                 `json:"set"`
	// States are the sequences whose root and lists are kept, ascending.
	States []int64 `json:"states,omitempty"`
	Stream string  `json:"stream,omitempty"`
}

// Destination is what is known of one receiving mirror.
type Destination struct {
	// Acknowledged is the sequence of the newest receipt; 0: none ever came.
	Acknowledged int64 `json:"acknowledged,omitempty"`
	// Exported is the newest sequence made for it.
	Exported int64 `json:"exported,omitempty"`
	// Features are what its importer reads beyond the format, from receipts.
	Features []string `json:"features,omitempty"`
	// ReceiptKey is the pinned public key (PEM) of the mirror.
	ReceiptKey string `json:"receiptKey,omitempty"`
}

// Pending is an export that has taken its number and is not finished.
type Pending struct {
	// Created is the time the bundle will bear, so that an export that is
	// finished in two goes has one root.
	Created time.Time `json:"created"`
	// Mounted are those of the targets, as absolute paths, that were not on the file system
	// that the machine runs from.
	Mounted []string `json:"mounted,omitempty"`
	// Request is a digest over everything that decides what the bundle will
	// hold and where; only the same request continues.
	Request  bundle.Digest `json:"request"`
	Sequence int64         `json:"sequence"`
	// Targets are the directories given, for the message about what is left.
	Targets []string `json:"targets"`
	// VolumeSize is that of the bundle, in bytes; 0: bundle.DefaultVolumeSize.
	VolumeSize int64 `json:"volumeSize,omitempty"`
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

func emptyState(set string) state { return state{Format: stateFormat, Set: set, Next: 1} }

func (l *Ledger) load(dir, set string) (err error) {
	if l.root, err = os.OpenRoot(dir); err != nil {
		return err
	}
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
		if err := l.empty(scratchDir); !errors.Is(err, fs.ErrNotExist) {
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

// Set is the name of the set that the ledger is of.
func (l *Ledger) Set() string { return l.state.Set }

// Stream is the identity of the counter, empty before the first export.
func (l *Ledger) Stream() string { return l.state.Stream }

// Next is the number that Take would return.
func (l *Ledger) Next() int64 { return l.state.Next }

// Pending is the export that was begun and not finished, or nil.
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
	return errors.Join(l.save(), l.empty(recordsDir))
}

// Records and Scratch open the directories for resume records and for
// intermediate lists; the caller closes them.
func (l *Ledger) Records() (*os.Root, error) { return l.root.OpenRoot(recordsDir) }

// Scratch opens the scratch directory, emptied.
func (l *Ledger) Scratch() (*os.Root, error) {
	if err := l.empty(scratchDir); err != nil {
		return nil, err
	}
	return l.root.OpenRoot(scratchDir)
}

func (l *Ledger) empty(dir string) error {
	entries, err := fs.ReadDir(l.root.FS(), dir)
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range entries {
		errs = append(errs, l.root.RemoveAll(dir+"/"+e.Name()))
	}
	return errors.Join(errs...)
}

// Commit records the finished bundle m as a state that may be a base: its
// root, and the lists among fresh (by digest, files below scratch) that are
// not kept yet. documents are those of the state, whose content was kept by
// KeepDocument. It ends the pending export. The order is lists, documents, root,
// state: a crash in between leaves files that nothing names.
func (l *Ledger) Commit(m *bundle.Manifest, scratch *os.Root, fresh map[bundle.Digest]string, documents []Document) error {
	for d, name := range fresh {
		if err := l.keepList(d, scratch, name); err != nil {
			return err
		}
	}
	if err := l.keepIndex(m.Sequence, documents); err != nil {
		return err
	}
	b, err := bundle.MarshalCanonical(m)
	if err != nil {
		return err
	}
	if err := durable.WriteFile(l.root, rootName(m.Sequence), b, 0o600); err != nil {
		return err
	}
	l.addState(m.Sequence)
	d := l.state.Destinations[m.Destination]
	d.Exported = m.Sequence
	l.setDestination(m.Destination, d)
	l.state.Pending = nil
	l.dropOldStates()
	if err := l.save(); err != nil {
		return err
	}
	return errors.Join(l.sweep(), l.empty(recordsDir))
}

func (l *Ledger) addState(n int64) {
	if !slices.Contains(l.state.States, n) {
		l.state.States = append(l.state.States, n)
		slices.Sort(l.state.States)
	}
}

func (l *Ledger) setDestination(name string, d Destination) {
	if l.state.Destinations == nil {
		l.state.Destinations = make(map[string]Destination)
	}
	l.state.Destinations[name] = d
}

func (l *Ledger) keepList(d bundle.Digest, scratch *os.Root, name string) error {
	if ok, err := l.HasList(d); ok || err != nil {
		return err
	}
	src, err := scratch.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(l.KeepList(src), src.Close())
}

// KeepList keeps a list under the digest that its bytes turn out to have.
func (l *Ledger) KeepList(list io.Reader) error {
	const incoming = listsDir + "/incoming"
	h := bundle.NewHash()
	err := durable.WriteFrom(l.root, incoming, 0o600, func(w io.Writer) error {
		_, err := io.Copy(io.MultiWriter(w, h), list)
		return err
	})
	if err != nil {
		return err
	}
	if err := l.root.Rename(incoming, listsDir+"/"+bundle.SumOf(h).Hex()); err != nil {
		return err
	}
	return durable.SyncDir(l.root, listsDir)
}

// dropOldStates forgets states that no destination can need: older than the
// base of every destination and not among the newest keepStates.
func (l *Ledger) dropOldStates() {
	oldest := int64(bundle.MaxInteger)
	for _, d := range l.state.Destinations {
		oldest = min(oldest, d.base())
	}
	s := l.state.States
	for len(s) > keepStates && s[0] < oldest {
		s = s[1:]
	}
	l.state.States = slices.Clone(s)
}

// base is the sequence a delta for d builds on; 0: none.
func (d Destination) base() int64 {
	if d.Acknowledged > 0 {
		return d.Acknowledged
	}
	return d.Exported
}

// sweep removes roots and lists that no kept state names.
func (l *Ledger) sweep() error {
	keep := make(map[string]bool)
	for _, n := range l.state.States {
		m, err := l.manifest(n)
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
	if err := l.documentNames(keep); err != nil {
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

func rootName(n int64) string { return fmt.Sprintf("%s/%06d.json", rootsDir, n) }
