package unpack

import (
	"errors"
	"iter"
	"maps"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/unpack/state"
	"github.com/gapbundle/gapbundle/unpack/tree"
)

// checkConflicts refuses, before anything is written, what could not be
// published together with the other sets.
func checkConflicts(of *state.State, trees *tree.Trees, choices []*choice) error {
	coming := map[string]*arrival{}
	for _, c := range choices {
		if len(c.candidates) > 0 && !c.candidates[0].background {
			coming[c.set] = c.candidates[0]
		}
	}
	if len(coming) == 0 {
		return nil
	}
	current, err := trees.Published()
	if err != nil {
		return err
	}
	err = (&conflicts{of: of, trees: trees, coming: coming, current: current}).check()
	var conflict *tree.ConflictError
	if errors.As(err, &conflict) {
		for i, set := range conflict.Sets {
			if a := coming[set]; a != nil {
				conflict.Bundles[i] = a.Name()
			} else if s := current.Set(set); s != nil {
				conflict.Bundles[i] = bundle.DirName(set, s.Sequence)
			}
		}
	}
	return err
}

// conflicts compares what is coming with what the other sets have.
type conflicts struct {
	of      *state.State
	trees   *tree.Trees
	coming  map[string]*arrival
	current *tree.Generation // nil: nothing is published
}

func (c *conflicts) check() error {
	given, err := c.of.Given()
	if err != nil {
		return err
	}
	sets, parts, err := c.together(given)
	if err != nil {
		return err
	}
	owned, err := c.of.Ratchets()
	if err != nil {
		return err
	}
	if err := tree.CheckMounts(owned, sets); err != nil {
		return err
	}
	for _, set := range slices.Sorted(maps.Keys(c.coming)) {
		if err := c.checkGiven(set, given); err != nil {
			return err
		}
	}
	owners := map[string]bool{}
	for _, p := range parts {
		owners[p.Set] = true
	}
	if len(owners) < 2 {
		return nil // one set agrees with itself: verify has seen to that
	}
	new := map[string]bool{}
	for set := range c.coming {
		new[set] = true
	}
	var published []tree.GenerationSet
	for set := range c.coming {
		if s := c.current.Set(set); s != nil {
			published = append(published, *s)
		}
	}
	differs, err := tree.Agree(parts, new, c.trees.Parts(published))
	if err != nil {
		return err
	}
	for _, a := range c.coming {
		a.differs = differs
	}
	images, err := imageOwners(c.of, c.trees, c.current, owned)
	if err != nil {
		return err
	}
	return tree.CheckTags(parts, new, images.owner(given))
}

// together returns the sets as they would be published, and their parts of what is shared.
func (c *conflicts) together(given []state.Given) (sets []tree.GenerationSet, parts []tree.Part, err error) {
	if c.current != nil {
		sets = slices.DeleteFunc(slices.Clone(c.current.Sets), func(s tree.GenerationSet) bool { return c.coming[s.Set] != nil })
		for set := range c.coming {
			yieldTo(sets, set, given)
		}
	}
	published := len(sets)
	for _, set := range slices.Sorted(maps.Keys(c.coming)) {
		sets = append(sets, generationSet(c.coming[set].Bundle, time.Time{}))
	}
	lists := func(set string, repository int) iter.Seq2[bundle.File, error] {
		if a := c.coming[set]; a != nil {
			return a.Files(repository)
		}
		return nil
	}
	if _, err := c.trees.StepAside(sets, c.current, lists, seniority(c.of)); err != nil {
		return nil, nil, err
	}
	parts = c.trees.Parts(sets[:published])
	for _, s := range sets[published:] {
		for i, r := range s.Repositories {
			if bundle.IsSharedMount(r.Mount) {
				parts = append(parts, tree.Part{Set: s.Set, Repository: r.Repository, Files: tree.WithAside(s.Set, lists(s.Set, i), r.Aside)})
			}
		}
	}
	return sets, parts, nil
}

// seniority returns the order in which sets were first imported: lower came earlier. It
// reads the journal when it is asked for the first time. Where that cannot be read sets
// are of one rank.
func seniority(of *state.State) func(set string) int {
	ranks := sync.OnceValue(func() map[string]int {
		all := map[string]int{}
		history, err := of.History()
		if err != nil {
			return all
		}
		for _, e := range history {
			if _, known := all[e.Set]; e.Outcome == state.Imported && !known {
				all[e.Set] = len(all)
			}
		}
		return all
	})
	return func(set string) int {
		if rank, ok := ranks()[set]; ok {
			return rank
		}
		return math.MaxInt
	}
}

// checkGiven refuses what was given to another set.
func (c *conflicts) checkGiven(set string, given []state.Given) error {
	if len(given) == 0 {
		return nil
	}
	a := c.coming[set]
	refuse := func(path, repository string) error {
		to, at := state.GivenTo(given, path)
		if to == "" || to == set {
			return nil
		}
		return &tree.ConflictError{Path: path, Sets: [2]string{to, set}, Repositories: [2]string{"given " + at, repository}}
	}
	for i, r := range a.Manifest().Repositories {
		if !bundle.IsSharedMount(r.Mount) {
			if err := refuse(r.Mount, r.Name); err != nil {
				return err
			}
			continue
		}
		if !slices.ContainsFunc(given, func(g state.Given) bool { return g.Set != set && state.Below(r.Mount, g.Path) }) {
			continue
		}
		for f, err := range a.Files(i) {
			if err != nil {
				return err
			}
			if err := refuse(r.Mount+"/"+f.Path, r.Name); err != nil {
				return err
			}
		}
	}
	return nil
}

// yieldTo leaves out of sets what was given to another set, which is coming.
func yieldTo(sets []tree.GenerationSet, to string, given []state.Given) {
	for i := range sets {
		if sets[i].Set == to {
			continue
		}
		sets[i].Repositories = slices.Clone(sets[i].Repositories)
		for _, g := range given {
			if g.Set != to {
				continue
			}
			sets[i].Repositories = slices.DeleteFunc(sets[i].Repositories, func(r tree.GenerationRepository) bool {
				return !bundle.IsSharedMount(r.Mount) && state.Below(g.Path, r.Mount)
			})
			for j := range sets[i].Repositories {
				r := &sets[i].Repositories[j]
				if bundle.IsSharedMount(r.Mount) && state.Below(r.Mount, g.Path) && !slices.Contains(r.Without, g.Path) {
					r.Without = append(slices.Clone(r.Without), g.Path)
				}
			}
		}
	}
}

// images are the sets that image names belong to.
type images map[string]string

// imageOwners reads which set has which image. A set that was imported by a program that
// did not record it has the images that it publishes; of two, the one that the journal
// names first.
func imageOwners(of *state.State, trees *tree.Trees, current *tree.Generation, owned []state.Ratchet) (images, error) {
	all := images{}
	var before []string
	for _, t := range owned {
		for _, name := range t.Images {
			all[name] = t.Set
		}
		if !t.ImagesKnown && current.Set(t.Set) != nil {
			before = append(before, t.Set)
		}
	}
	if len(before) == 0 {
		return all, nil
	}
	history, err := of.History()
	if err != nil {
		return nil, err
	}
	var order []string
	for _, e := range history {
		if e.Outcome == state.Imported && slices.Contains(before, e.Set) && !slices.Contains(order, e.Set) {
			order = append(order, e.Set)
		}
	}
	for _, set := range order {
		s := current.Set(set)
		for _, p := range trees.Parts([]tree.GenerationSet{*s}) {
			if err := all.claim(p); err != nil {
				return nil, err
			}
		}
	}
	return all, nil
}

// claim makes the part's set the owner of the images in the part that have none.
func (i images) claim(p tree.Part) error {
	if p.Repository.Mount != "v2" {
		return nil
	}
	return tree.ImageNames(p, func(name string) {
		if i[name] == "" {
			i[name] = p.Set
		}
	})
}

// of returns the names of a set, sorted.
func (i images) of(set string) (names []string) {
	for name, owner := range i {
		if owner == set {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names[:min(len(names), tree.MaxImages)]
}

// owner returns the set that an image belongs to: that which it was given to, or which had it
// first.
func (i images) owner(given []state.Given) func(name string) string {
	return func(name string) string {
		if set, _ := state.GivenTo(given, "v2/"+name); set != "" {
			return set
		}
		return i[name]
	}
}
