package state

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/verify"
)

// Policy returns what this mirror trusts; at first nobody.
func (s *State) Policy() (*verify.Policy, error) {
	b, err := s.root.ReadFile(PolicyFile)
	if errors.Is(err, fs.ErrNotExist) {
		return &verify.Policy{}, nil
	}
	if err != nil {
		return nil, err
	}
	return verify.ParsePolicy(b)
}

// ChangePolicy changes what this mirror trusts, and puts what into the journal.
// An error of change leaves everything as it is.
func (w *Writer) ChangePolicy(what string, change func(*verify.Policy) error) error {
	p, err := w.Policy()
	if err != nil {
		return err
	}
	if err := change(p); err != nil {
		return err
	}
	b, err := p.Marshal()
	if err != nil {
		return err
	}
	// The journal first: a line too many is better than trust without one.
	if err := w.Note(Entry{Time: w.Now(), What: "trust", Detail: what}); err != nil {
		return err
	}
	return WriteFile(w.root, PolicyFile, b)
}

// PolicyWith returns the policy with the OpenPGP keys that came with the
// bundles and were accepted; nil where there are none.
func (s *State) PolicyWith(bundles []*verify.Bundle) (json.RawMessage, error) {
	p, err := s.Policy()
	if err != nil {
		return nil, err
	}
	added := false
	for _, b := range bundles {
		for _, k := range b.NewKeys() {
			key := verify.OpenPGPKey{Role: verify.Role(k.Role), Set: b.Manifest().Set, Fingerprint: k.Fingerprint, Added: s.Now()}
			if err := p.AddOpenPGP(key); err != nil {
				return nil, err
			}
			added = true
		}
	}
	if !added {
		return nil, nil
	}
	return p.Marshal()
}

// ChangeRatchet changes a ratchet for an operator; imports change ratchets as they publish.
func (w *Writer) ChangeRatchet(set, what string, change func(*Ratchet) error) error {
	r, err := w.Ratchet(set)
	if err != nil {
		return err
	}
	if err := change(&r); err != nil {
		return err
	}
	if err := w.Note(Entry{Time: w.Now(), What: "trust", Set: set, Detail: what}); err != nil {
		return err
	}
	return WriteJSON(w.root, ratchetFile(set), r)
}

// SetTime moves the clock floor of every set, those to come included.
func (w *Writer) SetTime(t time.Time) error {
	if err := w.Note(Entry{Time: w.Now(), What: "trust", Detail: "set time " + t.Format(time.RFC3339)}); err != nil {
		return err
	}
	all, err := w.Ratchets()
	if err != nil {
		return err
	}
	for _, r := range all {
		r.Floor = t
		if err := WriteJSON(w.root, ratchetFile(r.Set), r); err != nil {
			return err
		}
	}
	settings, err := w.Settings()
	if err != nil {
		return err
	}
	settings.Floor = t
	return w.SetSettings(settings)
}

// SetSettings replaces the settings.
func (w *Writer) SetSettings(s Settings) error { return WriteJSON(w.root, SettingsFile, s) }

// Adopt binds the ratchet to another stream: what was accepted of the old one
// counts no longer.
func (r *Ratchet) Adopt(stream string) error {
	if r.Stream == stream {
		return fmt.Errorf("set %s: bound to stream %s already: %w", r.Set, stream, bundle.ErrUsage)
	}
	r.Stream, r.Sequence, r.Root, r.Roots = stream, 0, bundle.Digest{}, nil
	return nil
}
