package state

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/bundle/durable"
)

// Record is what a publish puts on record besides the generation.
type Record struct {
	// Ratchets replace those of their sets.
	Ratchets []Ratchet `json:"ratchets,omitempty"`
	// Settings replace those of the mirror; nil: they stay.
	Settings *Settings `json:"settings,omitempty"`
	// Policy replaces the policy, when an import accepted keys; empty: it stays.
	Policy json.RawMessage `json:"policy,omitempty"`
	// Receipts are signed already, by the name of the bundle.
	Receipts map[string][]byte `json:"receipts,omitempty"`
	// Journal are lines without their place in the chain.
	Journal []Entry `json:"journal"`
	// Withdraw takes what was published before from where servers fall back to.
	Withdraw bool `json:"withdraw,omitempty"`
	// Settled bundles wait no longer; Kept are those of them whose root is kept.
	Settled []string `json:"settled,omitempty"`
	Kept    []string `json:"kept,omitempty"`
}

// Intent means that a generation is built and durable, and what is left to do.
// Once it is on disk the publish happens: whoever takes the lock next does
// what is left before anything else. Each step may be done again.
type Intent struct {
	Generation int `json:"generation"`
	// Head is the last line of the journal before.
	Head bundle.Digest `json:"head"`
	Record
}

// Intend decides durably that generation is published, and what is put on
// record with it.
func (w *Writer) Intend(generation int, then Record) (*Intent, error) {
	head, err := w.head()
	if err != nil {
		return nil, err
	}
	for i := range then.Journal {
		then.Journal[i].Generation = generation
	}
	in := &Intent{Generation: generation, Head: head, Record: then}
	return in, WriteJSON(w.root, intentFile, in)
}

// Interrupted returns what an interrupted run had decided to publish, nil:
// nothing.
func (w *Writer) Interrupted() (*Intent, error) {
	var in Intent
	err := ReadJSON(w.root, intentFile, &in)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &in, nil
}

// Complete puts everything on record after the switch to the generation.
func (w *Writer) Complete(in *Intent) error {
	for _, r := range in.Ratchets {
		if err := WriteJSON(w.root, ratchetFile(r.Set), r); err != nil {
			return err
		}
	}
	if in.Settings != nil {
		if err := w.SetSettings(*in.Settings); err != nil {
			return err
		}
	}
	if len(in.Policy) > 0 {
		if err := WriteFile(w.root, PolicyFile, in.Policy); err != nil {
			return err
		}
	}
	for name, b := range in.Receipts {
		if err := WriteFile(w.root, receiptFile(name), b); err != nil {
			return err
		}
	}
	head, err := w.head()
	if err != nil {
		return err
	}
	left, err := unwritten(in.Journal, in.Head, head)
	if err != nil {
		return err
	}
	if len(left) > 0 {
		if err := w.Note(left...); err != nil {
			return err
		}
	}
	for _, name := range in.Kept {
		if err := w.keepRoot(name); err != nil {
			return err
		}
	}
	for _, name := range in.Settled {
		if err := w.Queue().Drop(name); err != nil {
			return err
		}
	}
	return durable.Remove(w.root, intentFile)
}

// keepRoot keeps the signed root of an accepted bundle for history, when its
// catalogue goes.
func (w *Writer) keepRoot(name string) error {
	from, to := PendingDir+"/"+name, rootsDir+"/"+name
	entries, err := fs.ReadDir(w.root.FS(), from)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // done by the run before
	}
	if err != nil {
		return err
	}
	if err := makeDir(w.root, to); err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name() != bundle.RootName && !bundle.IsSignatureName(e.Name()) {
			continue
		}
		if err := w.root.Rename(from+"/"+e.Name(), to+"/"+e.Name()); err != nil {
			return err
		}
	}
	return errors.Join(durable.SyncDir(w.root, to), durable.SyncDir(w.root, rootsDir))
}

// AcceptedRoot returns the root of an accepted bundle, whose signature was checked when
// it was imported; an absent one matches fs.ErrNotExist.
func (s *State) AcceptedRoot(name string) (*bundle.Manifest, error) {
	b, err := s.root.ReadFile(rootsDir + "/" + name + "/" + bundle.RootName)
	if err != nil {
		return nil, err
	}
	m, err := bundle.ParseKept(b)
	if err != nil {
		return nil, fmt.Errorf("accepted %s: %w: %w", name, errDamaged, err)
	}
	return m, nil
}
