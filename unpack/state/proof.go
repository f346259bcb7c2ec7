package state

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/bundle/durable"
	"github.com/gapbundle/gapbundle/verify"
)

// Kept is a file of the state which proves that a bundle was accepted.
type Kept struct {
	Set      string
	Sequence int64
	// File is relative to the mirror.
	File string
}

// KeptReceipts returns the receipts that are here, by their names, which prove nothing.
func (s *State) KeptReceipts() ([]Kept, error) { return s.kept(receiptDir, receiptSuffix) }

// KeptRoots returns the signed roots of accepted bundles, by their names.
func (s *State) KeptRoots() ([]Kept, error) { return s.kept(rootsDir, "") }

func (s *State) kept(dir, suffix string) ([]Kept, error) {
	entries, err := fs.ReadDir(s.root.FS(), dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var all []Kept
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), suffix)
		if set, sequence, partial, is := bundle.SplitDirName(name); ok && is && !partial {
			all = append(all, Kept{set, sequence, dir + "/" + e.Name()})
		}
	}
	return all, nil
}

// StreamOf returns the stream that a kept receipt or root is of. A receipt that this mirror did
// not sign matches bundle.ErrUntrusted.
func (s *State) StreamOf(file string) (string, error) {
	if path.Dir(file) == receiptDir {
		r, err := s.ReceiptIn(file)
		if err != nil {
			return "", err
		}
		return r.Stream, nil
	}
	m, _, err := s.RootIn(file)
	if err != nil {
		return "", err
	}
	return m.Stream, nil
}

// ReceiptIn reads a receipt and verifies it with the mirror's own key.
func (s *State) ReceiptIn(file string) (*bundle.Receipt, error) {
	b, err := s.root.ReadFile(file)
	if err != nil {
		return nil, err
	}
	signed, err := bundle.ParseReceipt(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	key, id, err := signed.Key()
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", file, errDamaged, err)
	}
	own, err := s.ReceiptKeyID()
	if err != nil && !errors.Is(err, bundle.ErrUsage) {
		return nil, err
	}
	if !own.IsZero() && own != id {
		return nil, fmt.Errorf("%s: signed by key %s, this mirror's is %s: %w", file, id.Short(), own.Short(), bundle.ErrUntrusted)
	}
	return signed.Verify(key)
}

// RootIn reads the root of an accepted bundle in the folder dir. A bundle that lacks a root matches
// bundle.ErrCorrupt.
func (s *State) RootIn(dir string) (*bundle.Manifest, bundle.Digest, error) {
	b, err := s.root.ReadFile(dir + "/" + bundle.RootName)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%s: %w: %w", dir, errDamaged, err)
	}
	if err != nil {
		return nil, bundle.Digest{}, err
	}
	m, err := bundle.ParseKept(b)
	if err != nil {
		return nil, bundle.Digest{}, fmt.Errorf("%s: %w: %w", dir, errDamaged, err)
	}
	return m, bundle.DigestOf(b), nil
}

// KnownRatchet works like Ratchet, for a set that is on record: an absent file matches
// fs.ErrNotExist.
func (s *State) KnownRatchet(set string) (Ratchet, error) {
	if _, err := s.root.Lstat(ratchetFile(set)); err != nil {
		return Ratchet{}, err
	}
	return s.Ratchet(set)
}

// Forgotten reports whether the set was forgotten, and no newer bundle was accepted since:
// the one that was accepted last may come again.
func (r *Ratchet) Forgotten() bool { return r.Stream != "" && r.Root.IsZero() && r.Newest == nil }

// RatchetFile returns the file of what was accepted of a set, relative to the mirror.
func RatchetFile(set string) string { return ratchetFile(set) }

// HasPolicy reports whether the policy was ever written.
func (s *State) HasPolicy() (bool, error) {
	_, err := s.root.Lstat(PolicyFile)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// HasHead reports whether the journal has a line with this digest, or a record that this
// line was lost.
func (s *State) HasHead(head bundle.Digest) (bool, error) {
	b, err := s.root.ReadFile(JournalFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	lost := []byte(`"lost":"` + head.String() + `"`)
	for line := range bytes.Lines(b) {
		line = bytes.TrimSuffix(line, []byte{'\n'})
		if bundle.DigestOf(line) == head || bytes.Contains(line, lost) {
			return true, nil
		}
	}
	return false, nil
}

// HeadAfter returns the digest of the last line of the journal once entries are appended that a
// generation is published with.
func (w *Writer) HeadAfter(generation int, entries []Entry) (bundle.Digest, error) {
	head, err := w.head()
	if err != nil {
		return head, err
	}
	for _, e := range entries {
		e.Generation = generation
		line, err := e.line(head)
		if err != nil {
			return head, err
		}
		head = bundle.DigestOf(line)
	}
	return head, nil
}

// Probe makes sure, as far as can be known, that what a publish puts on record can be
// written: nothing is published otherwise.
func (w *Writer) Probe() error {
	f, err := openFile(w.root, JournalFile)
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	for _, dir := range []string{Dir, setsDir, receiptDir, rootsDir, PendingDir} {
		name := dir + "/.probe"
		f, err := openFile(w.root, name)
		if err != nil {
			return err
		}
		if err := errors.Join(f.Close(), w.root.Remove(name)); err != nil {
			return err
		}
	}
	return nil
}

// SetRatchet replaces the record of a set, SetPolicy the trusted keys, SetGiven the paths that
// operators gave to sets. They restore lost files; a publish changes these files in its own way.
func (w *Writer) SetRatchet(r Ratchet) error { return WriteJSON(w.root, ratchetFile(r.Set), r) }

// SetPolicy works like SetRatchet.
func (w *Writer) SetPolicy(p *verify.Policy) error {
	b, err := p.Marshal()
	if err != nil {
		return err
	}
	return WriteFile(w.root, PolicyFile, b)
}

// SetGiven works like SetRatchet.
func (w *Writer) SetGiven(all []Given) error { return WriteJSON(w.root, GivenFile, all) }

// NewReceiptKey makes the key of receipts where it is gone or cannot be read.
func (w *Writer) NewReceiptKey() error {
	for _, name := range []string{receiptPublicFile, ReceiptKeyFile} {
		if err := durable.Remove(w.root, name); err != nil {
			return err
		}
	}
	_, err := receiptKey(w.root)
	return err
}

// DropIntent removes what an interrupted run had decided to publish and nobody can read.
func (w *Writer) DropIntent() error { return durable.Remove(w.root, intentFile) }
