package unpack

import (
	"context"
	"fmt"
	"iter"
	"slices"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/bundle/contents"
	"github.com/gapbundle/gapbundle/unpack/tree"
	"github.com/gapbundle/gapbundle/verify"
)

// Names compares what generations and bundles hold by name. Like the Mirror that it is
// of it reads only, and takes no lock.
type Names struct{ trees *tree.Trees }

// Names returns what the mirror knows by name.
func (m *Mirror) Names() Names { return Names{m.trees} }

// Repositories returns the repositories of a generation with what they hold by name, the sets in
// order; nil: the generation is nil.
func (n Names) Repositories(g *tree.Generation) []contents.Repository {
	if g == nil {
		return nil
	}
	var all []contents.Repository
	for i := range g.Sets {
		all = append(all, named(n.trees, &g.Sets[i])...)
	}
	return all
}

// Contents reads what a repository of a generation holds by name: r is one of
// Generation.Sets, of any generation that Generations returns. The entries come in
// the order of bundle.CompareEntries, each checked by itself; memory does not grow with
// their number. A repository whose r.Contents is nil has no entries: its bundle was
// made by a program that knew no contents lists, which is not the same as a list
// without entries. The list was checked against the lists of files and evidence when it
// was imported; its bytes are compared with its digest at the end, and an error there
// (it matches bundle.ErrCorrupt) means that the entries before it may be wrong.
func (n Names) Contents(r bundle.Repository) iter.Seq2[bundle.Entry, error] {
	return n.trees.Contents(r)
}

// Changes finds by name what is different in one generation from another, which may be
// nil: nothing. There is a summary for each set that is not in the same state in both,
// with at most keep changes; 0: none are looked for.
func (n Names) Changes(ctx context.Context, before, after *tree.Generation, keep int) ([]*contents.Summary, error) {
	return changesByName(ctx, n.trees, before, after, keep)
}

// Brings finds by name what an import of a bundle would change of its set, with at most
// keep changes; nil: none are looked for. The bundle was opened with the mirror's
// Receiver, and is not closed yet.
func (n Names) Brings(ctx context.Context, b *verify.Bundle, keep int) (*contents.Summary, error) {
	return brings(ctx, n.trees, b, keep)
}

func changesByName(ctx context.Context, trees *tree.Trees, before, after *tree.Generation, keep int) ([]*contents.Summary, error) {
	if keep == 0 {
		return nil, nil
	}
	var names []string
	for _, g := range []*tree.Generation{before, after} {
		if g == nil {
			continue
		}
		for _, s := range g.Sets {
			names = append(names, s.Set)
		}
	}
	slices.Sort(names)
	var all []*contents.Summary
	for _, set := range slices.Compact(names) {
		was, is := before.Set(set), after.Set(set)
		if was != nil && is != nil && sameState(*was, *is) {
			continue
		}
		s, err := contents.Summarise(ctx, set, named(trees, was), named(trees, is), keep)
		if err != nil {
			return nil, fmt.Errorf("set %s: %w", set, err)
		}
		all = append(all, s)
	}
	return all, nil
}

func brings(ctx context.Context, trees *tree.Trees, b *verify.Bundle, keep int) (*contents.Summary, error) {
	if keep == 0 {
		return nil, nil
	}
	current, err := trees.Published()
	if err != nil {
		return nil, err
	}
	m := b.Manifest()
	var after []contents.Repository
	for i, r := range m.Repositories {
		after = append(after, contents.Of(m.Set, r, func() iter.Seq2[bundle.Entry, error] { return b.Contents(i) }))
	}
	s, err := contents.Summarise(ctx, m.Set, named(trees, current.Set(m.Set)), after, keep)
	if err != nil {
		return nil, fmt.Errorf("set %s: %w", m.Set, err)
	}
	return s, nil
}

// named returns the repositories of a set as the mirror keeps them; nil: there is no set.
func named(trees *tree.Trees, s *tree.GenerationSet) []contents.Repository {
	if s == nil {
		return nil
	}
	var all []contents.Repository
	for _, r := range s.Repositories {
		all = append(all, contents.Of(s.Set, r.Repository, func() iter.Seq2[bundle.Entry, error] { return trees.Contents(r.Repository) }))
	}
	return all
}
