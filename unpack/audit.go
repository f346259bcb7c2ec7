package unpack

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/unpack/state"
	"github.com/gapbundle/gapbundle/unpack/tree"
)

// StateError: a file of the mirror's own state is gone, cut, or older than what
// generations, receipts and the signed roots of accepted bundles prove. It matches
// bundle.ErrUntrusted: with such a state the mirror would take what it must refuse.
type StateError struct {
	// File is relative to the mirror.
	File    string
	Problem string
}

func (e *StateError) Error() string { return e.File + ": " + e.Problem }

// Is makes it bundle.ErrUntrusted.
func (e *StateError) Is(target error) bool { return target == bundle.ErrUntrusted }

// audit compares the state with what the mirror proves besides. It returns everything that
// is wrong; an error of another class is of the machine.
func audit(of *state.State, trees *tree.Trees) error {
	generations, err := trees.Generations()
	if damaged(err) {
		return &StateError{state.GenerationsDir, err.Error()}
	}
	if err != nil {
		return err
	}
	found := []error{auditSets(of, generations), auditPolicy(of, generations), auditKey(of)}
	if n := len(generations); n > 0 {
		found = append(found, auditJournal(of, &generations[n-1]), auditSettings(of, &generations[n-1]), auditGiven(of, &generations[n-1]))
	}
	return errors.Join(found...)
}

// damaged reports whether a file of the state was read and is not what it was.
func damaged(err error) bool {
	return errors.Is(err, bundle.ErrCorrupt) || errors.Is(err, bundle.ErrMalformed)
}

// proof is what proves that a bundle of a set was accepted.
type proof struct {
	stream   string
	sequence int64
	by       string
}

// proofs collects the bundles that generations record as accepted, by set, and the stream
// that each set is bound to. The newest generation that records a stream decides.
func proofs(generations []tree.Generation) (bySet map[string][]proof, bound map[string]string) {
	bySet, bound = map[string][]proof{}, map[string]string{}
	for _, g := range generations {
		for _, s := range g.Sets {
			by := fmt.Sprintf("generation %d", g.Number)
			bySet[s.Set] = append(bySet[s.Set], proof{s.Stream, s.Sequence, by})
			if s.AcceptedStream != "" {
				bySet[s.Set] = append(bySet[s.Set], proof{s.AcceptedStream, s.Accepted, by})
				bound[s.Set] = s.AcceptedStream
			} else {
				bySet[s.Set] = append(bySet[s.Set], proof{s.Stream, s.Accepted, by})
			}
		}
	}
	return bySet, bound
}

func auditSets(of *state.State, generations []tree.Generation) error {
	bySet, bound := proofs(generations)
	for _, kept := range []func() ([]state.Kept, error){of.KeptReceipts, of.KeptRoots} {
		all, err := kept()
		if err != nil {
			return err
		}
		for _, k := range all {
			bySet[k.Set] = append(bySet[k.Set], proof{"", k.Sequence, k.File})
		}
	}
	var sets []string
	for set := range bySet {
		sets = append(sets, set)
	}
	slices.Sort(sets)
	var found []error
	for _, set := range sets {
		if err := auditSet(of, set, bySet[set], bound[set]); err != nil {
			found = append(found, err)
		}
	}
	return errors.Join(found...)
}

func auditSet(of *state.State, set string, proofs []proof, bound string) error {
	file := state.RatchetFile(set)
	r, err := of.KnownRatchet(set)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return &StateError{file, "gone, and " + proofs[0].by + " says that bundles of the set were accepted"}
	case damaged(err):
		return &StateError{file, err.Error()}
	case err != nil:
		return err
	case bound != "" && r.Stream != bound && r.Sequence > 0:
		return &StateError{file, fmt.Sprintf("says stream %s, and the newest generation that bundles of stream %s were accepted", r.Stream, bound)}
	}
	least := r.Sequence
	if r.Forgotten() {
		least++ // the bundle that was accepted last may come again
	}
	for _, p := range proofs {
		if p.sequence <= least {
			continue
		}
		if p.stream == "" {
			if p.stream, err = of.StreamOf(p.by); damaged(err) || errors.Is(err, bundle.ErrUntrusted) {
				continue // proves nothing
			} else if err != nil {
				return err
			}
		}
		if p.stream == r.Stream {
			return &StateError{file, fmt.Sprintf("says that bundle %d was accepted last, and %s that %d was", r.Sequence, p.by, p.sequence)}
		}
	}
	return nil
}

// auditPolicy: a mirror that publishes something has trusted somebody.
func auditPolicy(of *state.State, generations []tree.Generation) error {
	there, err := of.HasPolicy()
	if err != nil {
		return err
	}
	if !there && len(generations) > 0 {
		return &StateError{state.PolicyFile, "gone, and something is published"}
	}
	if _, err := of.Policy(); damaged(err) || errors.Is(err, bundle.ErrUsage) {
		return &StateError{state.PolicyFile, err.Error()}
	} else if err != nil {
		return err
	}
	return nil
}

// auditKey: receipts were signed with a key.
func auditKey(of *state.State) error {
	id, err := of.ReceiptKeyID()
	if errors.Is(err, bundle.ErrUsage) {
		return &StateError{state.ReceiptKeyFile, err.Error()}
	}
	if err != nil || !id.IsZero() {
		return err
	}
	all, err := of.KeptReceipts()
	if err != nil || len(all) == 0 {
		return err
	}
	return &StateError{state.ReceiptKeyFile, "gone, and " + all[0].File + " was signed with it"}
}

// auditJournal: the journal goes on from where it ended when the generation was published.
func auditJournal(of *state.State, newest *tree.Generation) error {
	if newest.Journal.IsZero() {
		return nil // made by a program that did not record it
	}
	there, err := of.HasHead(newest.Journal)
	if err != nil || there {
		return err
	}
	return &StateError{state.JournalFile, fmt.Sprintf("its end is cut: the line %s, with which generation %d was published, is not in it", newest.Journal.Short(), newest.Number)}
}

func auditSettings(of *state.State, newest *tree.Generation) error {
	s, err := of.Settings()
	if err != nil || s.BaseURL == newest.BaseURL {
		return err
	}
	return &StateError{state.SettingsFile, fmt.Sprintf("says base URL %q, and generation %d was published with %q", s.BaseURL, newest.Number, newest.BaseURL)}
}

// auditGiven: what a publish left out was given to another set by an operator.
func auditGiven(of *state.State, newest *tree.Generation) error {
	given, err := of.Given()
	if damaged(err) {
		return &StateError{state.GivenFile, err.Error()}
	}
	if err != nil {
		return err
	}
	for _, s := range newest.Sets {
		for _, r := range s.Repositories {
			for _, path := range r.Without {
				if set, _ := state.GivenTo(given, path); set == "" {
					return &StateError{state.GivenFile, fmt.Sprintf("does not have %s, which generation %d leaves out of set %s because it was given to another", path, newest.Number, s.Set)}
				}
			}
		}
	}
	return nil
}

// Audit compares the mirror's own state with what its generations, its receipts and the
// signed roots of accepted bundles prove. Each fault is a *StateError, which
// matches bundle.ErrUntrusted. Every command that changes something does it first.
func Audit(m *Mirror) error { return errors.Join(guard(m.root, m.dir), audit(m.state, m.trees)) }
