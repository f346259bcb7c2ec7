package unpack

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/bundle/durable"
	"github.com/gapbundle/gapbundle/unpack/store"
)

// outcome is what a publish puts on record besides the generation.
type outcome struct {
	// Ratchets replace those of their sets.
	Ratchets []ratchet `json:"ratchets,omitempty"`
	// Settings replace those of the mirror; nil: they stay.
	Settings *settings `json:"settings,omitempty"`
	// Policy replaces the policy, when an import accepted keys; empty: it stays.
	Policy json.RawMessage `json:"policy,omitempty"`
	// Receipts are signed already, by the name of the bundle.
	Receipts map[string][]byte `json:"receipts,omitempty"`
	// Journal are lines without their place in the chain.
	Journal []Entry `json:"journal"`
	// Settled bundles wait no longer; Kept are those of them whose root is kept.
	Settled []string `json:"settled,omitempty"`
	Kept    []string `json:"kept,omitempty"`
}

// intent says that a generation is built and durable, and what is left to do.
// Once it is on disk the publish happens: whoever takes the lock next does
// what is left before anything else. Each step may be done again.
type intent struct {
	Generation int `json:"generation"`
	// Head is the last line of the journal before.
	Head bundle.Digest `json:"head"`
	outcome
}

func (w *writer) intend(g *Generation, then outcome) (*intent, error) {
	head, err := w.head()
	if err != nil {
		return nil, err
	}
	for i := range then.Journal {
		then.Journal[i].Generation = g.Number
	}
	in := &intent{Generation: g.Number, Head: head, outcome: then}
	return in, writeState(w.root, intentFile, in)
}

// resume completes what an interrupted run had decided to publish.
func (w *writer) resume() error {
	var in intent
	err := readState(w.root, intentFile, &in)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	w.o.Log.Info("completing an interrupted publish", "generation", in.Generation)
	return w.complete(&in)
}

// complete switches to the generation and puts everything on record.
func (w *writer) complete(in *intent) error {
	if err := w.switchTo(in.Generation); err != nil {
		return fmt.Errorf("generation %d: switch: %w", in.Generation, err)
	}
	for _, r := range in.Ratchets {
		if err := writeState(w.root, ratchetFile(r.Set), r); err != nil {
			return err
		}
	}
	if in.Settings != nil {
		if err := writeState(w.root, settingsFile, in.Settings); err != nil {
			return err
		}
	}
	if len(in.Policy) > 0 {
		if err := durable.WriteFile(w.root, policyFile, in.Policy, stateFileMode); err != nil {
			return err
		}
	}
	for name, b := range in.Receipts {
		if err := durable.WriteFile(w.root, receiptFile(name), b, stateFileMode); err != nil {
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
		if err := w.note(left...); err != nil {
			return err
		}
	}
	for _, name := range in.Kept {
		if err := w.keepRoot(name); err != nil {
			return err
		}
	}
	for _, name := range in.Settled {
		if err := w.dropPending(name); err != nil {
			return err
		}
	}
	return durable.Remove(w.root, intentFile)
}

// switchTo makes generation n the one that is served, and the one before it
// the one that servers fall back to.
func (w *writer) switchTo(n int) error {
	current, err := w.linked(currentLink)
	if err != nil || current == n {
		return err
	}
	if current != 0 {
		if err := w.point(previousLink, current); err != nil {
			return err
		}
	}
	return w.point(currentLink, n)
}

// keepRoot keeps the signed root of an accepted bundle for history, when its
// catalogue goes.
func (w *writer) keepRoot(name string) error {
	from, to := pendingDir+"/"+name, rootsDir+"/"+name
	entries, err := fs.ReadDir(w.root.FS(), from)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // done by the run before
	}
	if err != nil {
		return err
	}
	if err := store.MakeDir(w.root, to, privateDirMode); err != nil {
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
