package unpack

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/unpack/site"
	"github.com/gapbundle/gapbundle/unpack/state"
	"github.com/gapbundle/gapbundle/unpack/tree"
)

// RollbackOptions select what is published again.
type RollbackOptions struct {
	// Set is the one set whose content changes; empty: all.
	Set string
	// To is the generation whose content it is; 0: the newest that has other
	// content than the current one and was not withdrawn.
	To int
	// Withdraw takes what is published now out of reach at once: servers do not fall
	// back to it, and no later rollback chooses it by itself.
	Withdraw bool
}

// Rollback publishes the content of another generation as a new one: with a
// new number and newer times, so that no client takes what it holds for what
// is there. It works forwards too. Accepted bundles stay accepted. Where
// the content is what is published already, that generation is returned.
func (m *Mirror) Rollback(ctx context.Context, o RollbackOptions) (g *tree.Generation, err error) {
	if m.o.DryRun {
		sets, from, err := rolledBack(m.state, m.trees, o)
		if err != nil {
			return nil, err
		}
		current, err := m.Current()
		if err != nil {
			return nil, err
		}
		if sets == nil {
			return current, nil
		}
		return &tree.Generation{Number: current.Number + 1, Sets: sets, Reason: rollbackReason(o, from)}, nil
	}
	err = m.write(ctx, func(w *writer) error {
		sets, from, err := rolledBack(w.state.State, w.trees.Trees, o)
		if err != nil {
			return err
		}
		if sets == nil {
			if g, err = w.trees.Current(); err != nil || !o.Withdraw {
				return err
			}
			sets = unplanted(g.Sets) // published already: what servers fall back to goes
		}
		reason := rollbackReason(o, from)
		g, err = w.publish(ctx, proposal{sets: sets, reason: reason, then: state.Record{
			Withdraw: o.Withdraw, Journal: []state.Entry{{Time: w.state.Now(), What: "rollback", Set: o.Set, Detail: reason}},
		}})
		return err
	})
	return g, err
}

func rollbackReason(o RollbackOptions, from int) string {
	what := "rollback"
	if o.Set != "" {
		what += " of " + o.Set
	}
	what += fmt.Sprintf(" to generation %d", from)
	if o.Withdraw {
		what += ", what was published is withdrawn"
	}
	return what
}

// rolledBack returns the content that Rollback is going to publish, and the number
// of the generation that it comes from. No sets: that is published already.
func rolledBack(of *state.State, trees *tree.Trees, o RollbackOptions) ([]tree.GenerationSet, int, error) {
	current, err := trees.Current()
	if err != nil {
		return nil, 0, err
	}
	from, err := rollbackTarget(trees, current, o)
	if err != nil {
		return nil, 0, err
	}
	sets := slices.Clone(from.Sets)
	if o.Set != "" {
		old := from.Set(o.Set)
		if old == nil {
			return nil, 0, fmt.Errorf("generation %d: has no set %s: %w", from.Number, o.Set, bundle.ErrUsage)
		}
		sets = slices.DeleteFunc(slices.Clone(current.Sets), func(s tree.GenerationSet) bool { return s.Set == o.Set })
		sets = append(sets, *old)
		slices.SortFunc(sets, func(a, b tree.GenerationSet) int { return strings.Compare(a.Set, b.Set) })
	}
	if sameContent(sets, current.Sets) {
		return nil, from.Number, nil
	}
	sets = unplanted(sets)
	owned, err := of.Ratchets()
	if err != nil {
		return nil, 0, err
	}
	return sets, from.Number, tree.CheckMounts(owned, sets)
}

// unplanted returns a copy of sets: planting writes tree numbers, not into what current holds.
func unplanted(sets []tree.GenerationSet) []tree.GenerationSet {
	sets = slices.Clone(sets)
	for i := range sets {
		sets[i].Repositories = slices.Clone(sets[i].Repositories)
	}
	return sets
}

// withdrawn returns the roots that generations took out of reach.
func withdrawn(all []tree.Generation) map[bundle.Digest]bool {
	gone := map[bundle.Digest]bool{}
	for _, g := range all {
		for _, root := range g.Withdrawn {
			gone[root] = true
		}
	}
	return gone
}

func rollbackTarget(trees *tree.Trees, current *tree.Generation, o RollbackOptions) (*tree.Generation, error) {
	if o.To != 0 {
		if o.To < 0 || o.To > current.Number {
			return nil, bundle.About(bundle.AboutGeneration, fmt.Errorf("generation %d: the newest is %d: %w", o.To, current.Number, bundle.ErrUsage))
		}
		return trees.Generation(o.To)
	}
	all, err := trees.Generations()
	if err != nil {
		return nil, err
	}
	gone := withdrawn(all)
	for _, g := range slices.Backward(all) {
		switch {
		case slices.ContainsFunc(g.Sets, func(s tree.GenerationSet) bool { return gone[s.Root] && (o.Set == "" || o.Set == s.Set) }):
		case o.Set == "" && !slices.EqualFunc(g.Sets, current.Sets, sameState):
			return &g, nil
		case o.Set != "" && g.Set(o.Set) != nil && (current.Set(o.Set) == nil || !sameState(*g.Set(o.Set), *current.Set(o.Set))):
			return &g, nil
		}
	}
	if o.Set != "" && !slices.ContainsFunc(all, func(g tree.Generation) bool { return g.Set(o.Set) != nil }) {
		return nil, bundle.About(bundle.AboutSet, fmt.Errorf("set %s: in no generation of mirror %s: %w", o.Set, trees.Dir(), bundle.ErrUsage))
	}
	return nil, bundle.About(bundle.AboutGeneration, fmt.Errorf("mirror %s: no generation with other content is here: %w", trees.Dir(), bundle.ErrUsage))
}

func sameContent(a, b []tree.GenerationSet) bool {
	return slices.EqualFunc(a, b, func(a, b tree.GenerationSet) bool { return sameSet(&a, &b) })
}

func sameSet(a, b *tree.GenerationSet) bool {
	return a != nil && b != nil && a.Set == b.Set && a.Root == b.Root
}

// sameState reports whether clients see no difference: a full bundle and a delta of
// one state have different roots.
func sameState(a, b tree.GenerationSet) bool { return a.Set == b.Set && a.State == b.State }

// Forget takes a set out of the mirror: what it publishes, also where servers fall back
// to it, what it owns, and what waits of it.
// Its stream stays bound and older bundles stay refused; the one that was
// accepted last may be imported again. Blobs go with the next gc.
func (m *Mirror) Forget(ctx context.Context, set string) (g *tree.Generation, err error) {
	known, err := m.state.Ratchet(set)
	if err != nil {
		return nil, err
	}
	waiting, err := pendingOf(m.state, set)
	if err != nil {
		return nil, err
	}
	if known.Stream == "" {
		if len(waiting) > 0 {
			return nil, fmt.Errorf("set %s: nothing of it was imported, %s wait: drop those alone: %w", set, bundle.Count(len(waiting), "bundle"), bundle.ErrUsage)
		}
		return nil, bundle.About(bundle.AboutSet, fmt.Errorf("set %s: not known here: %w", set, bundle.ErrUsage))
	}
	if m.o.DryRun {
		return nextOf(m.trees, "forget "+set, func(s tree.GenerationSet) bool { return s.Set != set })
	}
	err = m.write(ctx, func(w *writer) error {
		current, err := w.trees.Published()
		if err != nil {
			return err
		}
		t, err := w.state.Ratchet(set)
		if err != nil {
			return err
		}
		t.Sequence, t.Root, t.Roots = max(0, t.Sequence-1), bundle.Digest{}, nil
		t.Mounts, t.Images, t.Newest, t.Acknowledged = nil, nil, nil, nil
		then := state.Record{Withdraw: true, Ratchets: []state.Ratchet{t}, Journal: []state.Entry{{Time: w.state.Now(), What: "forget", Set: set}}}
		if then.Settled, err = pendingOf(w.state.State, set); err != nil {
			return err
		}
		p := proposal{reason: "forget " + set, then: then}
		if current != nil {
			p.sets = slices.DeleteFunc(slices.Clone(current.Sets), func(s tree.GenerationSet) bool { return s.Set == set })
		}
		g, err = w.publish(ctx, p)
		return err
	})
	return g, err
}

// ForgetPending drops what waits of a set, and returns the names of the bundles.
// Published content stays. Nothing that waits matches bundle.ErrUsage.
func ForgetPending(ctx context.Context, m *Mirror, set string) (names []string, err error) {
	if names, err = pendingOf(m.state, set); err == nil && len(names) == 0 {
		err = fmt.Errorf("set %.80q: nothing waits: %w", set, bundle.ErrUsage)
	}
	if err != nil || m.o.DryRun {
		return names, err
	}
	return names, m.write(ctx, func(w *writer) error {
		brought, err := waitingBlobs(ctx, w.state.State, names)
		if err != nil {
			return err
		}
		for _, name := range names {
			s, sequence, _, _ := bundle.SplitDirName(name)
			line := state.Entry{Time: w.state.Now(), What: "forget", Set: s, Sequence: sequence, Detail: "what waited of " + name}
			if err := errors.Join(w.state.Note(line), w.state.Queue().Drop(name)); err != nil {
				return err
			}
		}
		return w.discard(ctx, func(d bundle.Digest) bool {
			_, ok := brought.Size(d)
			return ok
		})
	})
}

// nextOf returns, for a dry run, the generation that would follow with the sets that
// are kept; nil where nothing is published.
func nextOf(trees *tree.Trees, reason string, keep func(tree.GenerationSet) bool) (*tree.Generation, error) {
	current, err := trees.Published()
	if err != nil || current == nil {
		return nil, err
	}
	sets := slices.DeleteFunc(slices.Clone(current.Sets), func(s tree.GenerationSet) bool { return !keep(s) })
	return &tree.Generation{Number: current.Number + 1, Sets: sets, Reason: reason}, nil
}

func pendingOf(of *state.State, set string) ([]string, error) {
	names, err := of.Pendings()
	return slices.DeleteFunc(names, func(name string) bool {
		s, _, _, _ := bundle.SplitDirName(name)
		return s != set
	}), err
}

// SetBaseURL records the address that clients use and publishes it in their configuration.
// If nothing was published before, the generation is nil and the next import publishes the
// address.
func (m *Mirror) SetBaseURL(ctx context.Context, url string) (g *tree.Generation, err error) {
	if err := site.CheckBase(url); err != nil {
		return nil, err
	}
	if m.o.DryRun {
		return nextOf(m.trees, "base URL "+url, func(tree.GenerationSet) bool { return true })
	}
	err = m.write(ctx, func(w *writer) error {
		g, err = w.publishBase(ctx, url)
		return err
	})
	return g, err
}

func (w *writer) publishBase(ctx context.Context, url string) (*tree.Generation, error) {
	current, err := w.trees.Published()
	if err != nil {
		return nil, err
	}
	line := state.Entry{Time: w.state.Now(), What: "config", Detail: "base URL " + url}
	if current == nil {
		s, err := w.state.Settings()
		if err != nil {
			return nil, err
		}
		s.BaseURL = url
		if err := w.state.Note(line); err != nil {
			return nil, err
		}
		return nil, w.state.SetSettings(s)
	}
	return w.publish(ctx, proposal{sets: current.Sets, reason: line.Detail, baseURL: url, then: state.Record{Journal: []state.Entry{line}}})
}
