package unpack

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/unpack/state"
	"github.com/gapbundle/gapbundle/unpack/tree"
	"github.com/gapbundle/gapbundle/verify"
)

// Under is what was published of a set under a key.
type Under struct {
	Set string `json:"set"`
	// Generations are those that are still here, in order; Current means that the last
	// one is published now.
	Generations []int `json:"generations"`
	Current     bool  `json:"current"`
}

// PublishedUnder finds what was published under a key, named by its whole identity: of a
// key that signs bundles what it signed, of an OpenPGP key what clients were told to
// trust it for.
func PublishedUnder(m *Mirror, id string) ([]Under, error) {
	id = strings.TrimPrefix(id, "sha256:")
	all, err := m.trees.Generations()
	if err != nil {
		return nil, err
	}
	bySet := map[string]*Under{}
	var order []string
	for i, g := range all {
		for _, s := range g.Sets {
			is, err := under(m, &s, id)
			if err != nil {
				return nil, err
			}
			if !is {
				continue
			}
			if bySet[s.Set] == nil {
				bySet[s.Set] = &Under{Set: s.Set}
				order = append(order, s.Set)
			}
			u := bySet[s.Set]
			u.Generations, u.Current = append(u.Generations, g.Number), i == len(all)-1
		}
	}
	slices.Sort(order)
	var out []Under
	for _, set := range order {
		out = append(out, *bySet[set])
	}
	return out, nil
}

func under(m *Mirror, s *tree.GenerationSet, id string) (bool, error) {
	if slices.ContainsFunc(s.Signers, func(k verify.Signer) bool { return k.ID.Hex() == id }) {
		return true, nil
	}
	root, err := m.state.AcceptedRoot(bundle.DirName(s.Set, s.Sequence))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil // older mirrors did not record it
	}
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(root.Keys, func(k bundle.PublishedKey) bool { return k.Fingerprint == id }), nil
}

// Distrusted is a set that is published, and a key of it that the policy no longer holds.
type Distrusted struct {
	Set      string `json:"set"`
	Sequence int64  `json:"sequence"`
	// Key is what the key did and its identity.
	Key string `json:"key"`
}

// FindDistrusted returns what is published under keys that are not trusted any more. It goes
// on being published: whether its content is to go is for a person to decide.
func FindDistrusted(m *Mirror) ([]Distrusted, error) {
	g, err := m.trees.Published()
	if err != nil || g == nil {
		return nil, err
	}
	p, err := m.state.Policy()
	if err != nil {
		return nil, err
	}
	var out []Distrusted
	for _, s := range g.Sets {
		for _, k := range s.Signers {
			if !p.Holds(k.Role, k.ID, s.Set) {
				out = append(out, Distrusted{s.Set, s.Sequence, fmt.Sprintf("signed by %s key %s", k.Role, k.ID)})
			}
		}
		root, err := m.state.AcceptedRoot(bundle.DirName(s.Set, s.Sequence))
		if errors.Is(err, fs.ErrNotExist) {
			continue // older mirrors did not record it
		}
		if err != nil {
			return nil, err
		}
		for _, k := range root.Keys {
			if !p.Publishes(s.Set, k) {
				out = append(out, Distrusted{s.Set, s.Sequence, fmt.Sprintf("publishes OpenPGP key %s (%s)", k.Fingerprint, k.Role)})
			}
		}
	}
	return out, nil
}

// forward describes how to publish the last accepted bundle of a set again while an older one
// is published. The text is empty if the last one is published, or if the set is not meant to
// be. gen is the generation that has it; 0: none that is kept.
func forward(trees *tree.Trees, t state.Ratchet, published *tree.GenerationSet) (text string, gen int, err error) {
	if t.Sequence == 0 || published == nil || published.Sequence == t.Sequence {
		return "", 0, nil
	}
	all, err := trees.Generations()
	if err != nil {
		return "", 0, err
	}
	for _, g := range slices.Backward(all) {
		if s := g.Set(t.Set); s != nil && s.Sequence == t.Sequence {
			return fmt.Sprintf("published is %d, accepted was %d: gapbundle rollback %s --set %s --to %d publishes it again",
				published.Sequence, t.Sequence, trees.Dir(), t.Set, g.Number), g.Number, nil
		}
	}
	return fmt.Sprintf("published is %d, accepted was %d, whose generation is not kept: the next newer bundle goes forward", published.Sequence, t.Sequence), 0, nil
}
