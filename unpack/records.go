package unpack

import (
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/unpack/state"
	"github.com/gapbundle/gapbundle/unpack/tree"
)

// records restores records of generations: from their second copies, and otherwise what can be
// done without. It leaves in r.generations those that can be read, and in r.unknown the number of
// the one that is served if its record cannot be restored.
func (r *rebuild) records() error {
	kept, err := r.trees.Records()
	if err != nil {
		return err
	}
	for _, n := range kept.Lost {
		has, err := r.trees.HasCopy(n)
		if err != nil {
			return err
		}
		line := state.Entry{Detail: fmt.Sprintf("the record of generation %d: from its second copy", n)}
		change := func() error { return r.trees.RestoreRecord(n) }
		switch {
		case !has && n == kept.Served:
			r.unknown = n
			continue // when everything else is restored
		case !has:
			line.Detail = fmt.Sprintf("generation %d is given up: its record cannot be restored; it is not served, and the next gc removes its files", n)
			change = func() error { return r.trees.DropRecord(n) }
		}
		if err := r.restore(line, change); err != nil {
			return err
		}
	}
	if !r.o.DryRun {
		if kept, err = r.trees.Records(); err != nil {
			return err
		}
	}
	r.generations = kept.Generations
	return nil
}

// served publishes what the journal records as served, when the record of that generation is
// lost. It makes a new generation from the lists and the store.
func (r *rebuild) served() error {
	if r.unknown == 0 {
		return nil
	}
	if !slices.ContainsFunc(r.journal, func(e state.Entry) bool { return e.Generation == r.unknown }) {
		return &StateError{state.GenerationsDir, fmt.Sprintf("generation %d is served and not on record, and the journal does not have it: this state is older than that generation; put back a newer one, or serve what the state knows (%s) and import again",
			r.unknown, r.pointBack())}
	}
	sets, err := r.servedSets()
	if err != nil {
		return err
	}
	if len(sets) == 0 {
		return &StateError{state.GenerationsDir, fmt.Sprintf("the record of generation %d is lost, and nothing that is kept says what it had: import into a new mirror", r.unknown)}
	}
	var what []string
	for _, s := range sets {
		what = append(what, bundle.DirName(s.Set, s.Sequence))
	}
	line := state.Entry{Time: r.state.Now(), What: "state", Detail: fmt.Sprintf("the record of generation %d is lost: %s published again", r.unknown, strings.Join(what, ", "))}
	r.res.Restored = append(r.res.Restored, line.Detail)
	if r.o.DryRun {
		return nil
	}
	now, err := r.trees.StandIn(r.unknown)
	if err != nil {
		return err
	}
	r.trees.Fresh = true
	_, err = r.publish(r.ctx, proposal{sets: sets, reason: "state rebuild", instead: now, then: state.Record{Journal: []state.Entry{line}}})
	if errors.Is(err, fs.ErrNotExist) || damaged(err) {
		r.res.Notes = append(r.res.Notes, "put back what is named, or remove the mirror and import again")
	}
	if err != nil {
		return err
	}
	return r.trees.DropRecord(r.unknown)
}

// pointBack returns the command that serves the newest generation that is on record.
func (r *rebuild) pointBack() string {
	if n := len(r.generations); n > 0 {
		return fmt.Sprintf("ln -sfn generations/%06d %s/current", r.generations[n-1].Number, r.dir)
	}
	return fmt.Sprintf("rm %s/current", r.dir)
}

var rolledBackTo = regexp.MustCompile(`^rollback(?: of \S+)? to generation ([0-9]+)`)

// servedSets returns the sets of the newest generation that is on record, updated with what
// the journal records as published after it.
func (r *rebuild) servedSets() ([]tree.GenerationSet, error) {
	sets := map[string]tree.GenerationSet{}
	from := 0
	if n := len(r.generations); n > 0 {
		from = r.generations[n-1].Number
		for _, s := range r.generations[n-1].Sets {
			sets[s.Set] = s
		}
	}
	for _, e := range r.journal {
		if e.Generation <= from {
			continue
		}
		switch {
		case e.What == "import" && e.Outcome == state.Imported:
			s, err := r.setOf(e)
			if err != nil {
				return nil, err
			}
			if s == nil {
				return nil, &StateError{state.GenerationsDir, fmt.Sprintf("the record of generation %d is lost, and so is the root of %s: import into a new mirror", r.unknown, bundle.DirName(e.Set, e.Sequence))}
			}
			sets[e.Set] = *s
		case e.What == "forget":
			delete(sets, e.Set)
		case e.What == "rollback":
			r.rollBack(sets, e)
		}
	}
	all := make([]tree.GenerationSet, 0, len(sets))
	for _, s := range sets {
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b tree.GenerationSet) int { return strings.Compare(a.Set, b.Set) })
	return unplanted(all), nil
}

// rollBack applies a line of the journal; what it led to may be gone.
func (r *rebuild) rollBack(sets map[string]tree.GenerationSet, e state.Entry) {
	m := rolledBackTo.FindStringSubmatch(e.Detail)
	i := -1
	if m != nil {
		to, _ := strconv.Atoi(m[1]) // digits; too many are no generation
		i = slices.IndexFunc(r.generations, func(g tree.Generation) bool { return g.Number == to })
	}
	if i < 0 {
		r.res.Notes = append(r.res.Notes, fmt.Sprintf("%q cannot be done again: generation not on record; the newest accepted bundles are published", e.Detail))
		return
	}
	if e.Set == "" {
		clear(sets)
	}
	for _, s := range r.generations[i].Sets {
		if e.Set == "" || s.Set == e.Set {
			sets[s.Set] = s
		}
	}
}

// setOf returns the set as the import of the line published it; nil: no record of it is kept.
func (r *rebuild) setOf(e state.Entry) (*tree.GenerationSet, error) {
	s := &tree.GenerationSet{Set: e.Set, Sequence: e.Sequence, Root: e.Root, Imported: e.Time, Signers: e.Signers, Overrides: e.Overrides}
	roots, err := r.state.KeptRoots()
	if err != nil {
		return nil, err
	}
	var content []bundle.Repository
	for _, k := range roots {
		if k.Set != e.Set || k.Sequence != e.Sequence {
			continue
		}
		m, root, err := r.state.RootIn(k.File)
		if damaged(err) || err == nil && root != e.Root {
			continue
		}
		if err != nil {
			return nil, err
		}
		s.Stream, s.State, s.Created, content = m.Stream, m.State, m.Created, m.Repositories
	}
	if content == nil {
		t, err := r.state.Ratchet(e.Set)
		if err != nil || t.Newest == nil || t.Root != e.Root {
			return nil, err
		}
		s.Stream, s.State, content = t.Stream, t.Newest.State, t.Newest.Repositories
	}
	for _, repo := range content {
		s.Repositories = append(s.Repositories, tree.GenerationRepository{Repository: repo})
	}
	return s, nil
}
