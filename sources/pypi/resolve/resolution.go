package resolve

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/gapbundle/gapbundle/sources/pypi/marker"
	"github.com/gapbundle/gapbundle/sources/pypi/pep440"
)

const (
	// promotion is how often a key is in a conflict, unpinned, before it is
	// resolved first; pip's threshold.
	promotion = 5
	// optimisticShare of the rounds that are left may be spent on jumping back
	// without care.
	optimisticShare = 10
)

// state is how far a resolution has come. order has the keys of pins, the last
// one last. States share criteria: nobody changes the map of one, only for another.
type state struct {
	pins     map[string]*candidate
	order    []string
	criteria map[string]*criterion
	causes   []*information
}

func (s *state) clone() *state {
	return &state{pins: maps.Clone(s.pins), order: slices.Clone(s.order), criteria: s.criteria, causes: slices.Clone(s.causes)}
}

func (s *state) pin(c *candidate) {
	s.order = append(slices.DeleteFunc(s.order, func(key string) bool { return key == c.key }), c.key)
	s.pins[c.key] = c
}

// satisfied reports whether the pin of a key meets everything wanted of it.
func (s *state) satisfied(key string) bool {
	pin := s.pins[key]
	return pin != nil && !slices.ContainsFunc(s.criteria[key].information, func(i *information) bool { return !i.wants.meets(pin) })
}

// resolution is one run of the algorithm, over one state that every step reads and may change: so it
// has more methods than other types. They follow those of resolvelib.
type resolution struct {
	ctx      context.Context // of the one call that it lives for
	provider Provider
	problem  *Problem

	requested   map[string]int // the root's keys, in their order
	constraints map[string]pep440.Set
	candidates  map[candidateKey]*candidate
	discarded   map[string]bool
	missing     map[string]bool

	states     []*state
	conflicts  map[string]int // how often an unpinned name was in a conflict
	promoted   map[string]bool
	optimistic bool
	saved      []*state // before the first jump without care
}

// conflicting means that a criterion has no candidate.
type conflicting struct{ criterion *criterion }

func (c *conflicting) Error() string { return ErrConflict.Error() }

func (r *resolution) top() *state { return r.states[len(r.states)-1] }

func (r *resolution) run() (*state, error) {
	root := &state{pins: map[string]*candidate{}, criteria: map[string]*criterion{}}
	r.states = []*state{root}
	wanted, err := r.wanted()
	if err != nil {
		return nil, err
	}
	for _, i := range wanted {
		if conflict, err := r.add(root.criteria, i); err != nil {
			return nil, err
		} else if conflict != nil {
			return nil, r.explain(root, conflict.criterion.information)
		}
	}
	r.states = append(r.states, root.clone())
	began, limit := -1, 0
	for round := range MaxRounds {
		if err := r.ctx.Err(); err != nil {
			return nil, err
		}
		if r.optimistic && r.saved != nil {
			if began < 0 {
				began, limit = round, (MaxRounds-round)/optimisticShare
			}
			if limit <= 0 || round-began >= limit {
				r.careful()
				continue
			}
		}
		done, err := r.round()
		if err != nil || done {
			return r.top(), err
		}
	}
	return nil, fmt.Errorf("%d rounds: %w", MaxRounds, ErrTooDeep)
}

// wanted are the root's requirements whose markers hold, those with extras
// last: then the versions of their projects are limited already.
func (r *resolution) wanted() ([]*information, error) {
	var plain, withExtras []*information
	for i := range r.problem.Requirements {
		w := &r.problem.Requirements[i]
		holds, err := w.Requirement.Marker.Holds(r.problem.Environment, marker.Selection{})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", w.From, err)
		}
		if !holds {
			continue
		}
		wishes, err := r.wishes(&w.Requirement)
		if err != nil {
			return nil, err
		}
		if _, ok := r.requested[wishes[0].key]; !ok {
			r.requested[wishes[0].key] = i
		}
		for _, wish := range wishes {
			one := &information{wants: wish, from: w.From}
			if len(wish.extras) > 0 {
				withExtras = append(withExtras, one)
			} else {
				plain = append(plain, one)
			}
		}
	}
	return append(plain, withExtras...), nil
}

// add puts i into its criterion.
func (r *resolution) add(criteria map[string]*criterion, i *information) (*conflicting, error) {
	old := criteria[i.wants.key]
	if old == nil {
		old = &criterion{of: i.wants.subject}
	}
	next := &criterion{of: old.of, information: append(slices.Clone(old.information), i), incompatibilities: old.incompatibilities}
	if i.wants.key == pythonKey {
		return &conflicting{next}, nil // a Python that the target does not have
	}
	var err error
	next.candidates, err = r.matches(next, ofBase(criteria, next.of), next.incompatibilities)
	if err != nil {
		return nil, err
	}
	if len(next.candidates) == 0 {
		return &conflicting{next}, nil
	}
	criteria[i.wants.key] = next
	return nil, nil
}

// ofBase is what is wanted of the project of a subject with extras.
func ofBase(criteria map[string]*criterion, of subject) []*information {
	if len(of.extras) == 0 || criteria[of.name] == nil {
		return nil
	}
	return criteria[of.name].information
}

// round pins one key, or takes pins back.
func (r *resolution) round() (done bool, err error) {
	s := r.top()
	var open []string
	satisfied := map[string]bool{}
	for key := range s.criteria { // in any order: next chooses by preference
		if s.satisfied(key) {
			satisfied[key] = true
		} else {
			open = append(open, key)
		}
	}
	if len(open) == 0 {
		return true, nil
	}
	failed, err := r.attempt(r.next(open))
	if err != nil {
		return false, err
	}
	if failed != nil {
		return false, r.recover(failed)
	}
	var lost []string
	for key := range satisfied {
		if !s.satisfied(key) {
			lost = append(lost, key)
		}
	}
	s.criteria = forget(s.criteria, lost)
	r.states = append(r.states, s.clone())
	return false, nil
}

// forget drops what candidates of keys wanted that are not chosen any more.
func forget(criteria map[string]*criterion, keys []string) map[string]*criterion {
	if len(keys) == 0 {
		return criteria
	}
	kept := make(map[string]*criterion, len(criteria))
	for key, c := range criteria {
		information := slices.DeleteFunc(slices.Clone(c.information), func(i *information) bool {
			return i.parent != nil && slices.Contains(keys, i.parent.key)
		})
		kept[key] = &criterion{of: c.of, candidates: c.candidates, information: information, incompatibilities: c.incompatibilities}
	}
	return kept
}

// attempt pins key to the first of its candidates that contradicts nothing. It
// returns the criteria that each contradicted, where none does.
func (r *resolution) attempt(key string) (failed []*criterion, err error) {
	s := r.top()
	failed = []*criterion{}
candidates:
	for _, c := range s.criteria[key].candidates {
		deps, ok, err := r.dependencies(c)
		if err != nil {
			return nil, err
		}
		if !ok {
			continue
		}
		criteria := s.criteria
		if len(deps) > 0 {
			criteria = maps.Clone(criteria)
		}
		for _, i := range deps {
			conflict, err := r.add(criteria, i)
			if err != nil {
				return nil, err
			}
			if conflict != nil {
				failed = append(failed, conflict.criterion)
				continue candidates
			}
		}
		s.criteria = criteria
		s.pin(c)
		return nil, nil
	}
	if len(failed) == 0 {
		failed = append(failed, s.criteria[key]) // all of them were passed over
	}
	return failed, nil
}

// recover jumps back after a failure.
func (r *resolution) recover(failed []*criterion) error {
	var causes []*information
	seen := map[*information]bool{}
	for _, c := range failed {
		for _, i := range c.information {
			if !seen[i] {
				seen[i] = true
				causes = append(causes, i)
			}
		}
	}
	before := r.top()
	ok, err := r.backjump(causes)
	if err != nil {
		return err
	}
	if !ok && r.optimistic && r.saved != nil {
		r.careful()
		return nil
	}
	if !ok {
		return r.explain(before, causes)
	}
	r.top().causes = causes
	return nil
}

// careful goes back to before the first jump without care.
func (r *resolution) careful() {
	r.optimistic = false
	if r.saved != nil {
		r.states, r.saved = r.saved, nil
	}
}

// backjump takes pins back until one that had a part in causes is gone, and
// remembers that it does not work. It reports whether there was one.
func (r *resolution) backjump(causes []*information) (bool, error) {
	involved := map[string]bool{}
	for _, i := range causes {
		involved[i.wants.key] = true
		if i.parent != nil {
			involved[i.parent.key] = true
		}
	}
	for len(r.states) >= 3 {
		r.states = r.states[:len(r.states)-1]
		broken, c, err := r.unpin(involved)
		if err != nil || c == nil {
			return false, err
		}
		known := map[string][]*candidate{}
		for key, criterion := range broken.criteria {
			known[key] = criterion.incompatibilities
		}
		known[c.key] = append(slices.Clone(known[c.key]), c)
		r.states = append(r.states, r.top().clone())
		ok, err := r.patch(known)
		if err != nil || ok {
			return ok, err
		}
	}
	return false, nil
}

// unpin removes states until the last pin of one had a part in the conflict.
// The candidate is nil where there is none.
func (r *resolution) unpin(involved map[string]bool) (*state, *candidate, error) {
	for {
		if len(r.states) == 0 {
			return nil, nil, nil
		}
		broken := r.top()
		r.states = r.states[:len(r.states)-1]
		if len(broken.order) == 0 || len(r.states) == 0 {
			return nil, nil, nil
		}
		last := broken.order[len(broken.order)-1]
		c := broken.pins[last]
		if !r.optimistic && !involved[last] {
			return broken, c, nil
		}
		if r.optimistic && r.saved == nil && !involved[last] {
			r.save()
		}
		deps, _, err := r.dependencies(c)
		if err != nil {
			return nil, nil, err
		}
		shares := involved[pythonKey] && c.limitsPython || slices.ContainsFunc(deps, func(i *information) bool { return involved[i.wants.key] })
		if shares || len(broken.order) == 1 {
			return broken, c, nil
		}
		if len(r.states) <= 1 {
			return nil, nil, nil
		}
	}
}

// save keeps the states as they are, for careful.
func (r *resolution) save() {
	r.saved = make([]*state, 0, len(r.states))
	for _, s := range r.states {
		r.saved = append(r.saved, s.clone())
	}
}

// patch applies what is known not to work to the top state.
func (r *resolution) patch(known map[string][]*candidate) (bool, error) {
	s := r.top()
	s.criteria = maps.Clone(s.criteria)
	for _, key := range slices.Sorted(maps.Keys(known)) {
		c := s.criteria[key]
		if len(known[key]) == 0 || c == nil {
			continue
		}
		incompatible := append(slices.Clone(known[key]), c.incompatibilities...)
		candidates, err := r.matches(c, ofBase(s.criteria, c.of), incompatible)
		if err != nil {
			return false, err
		}
		if len(candidates) == 0 {
			return false, nil
		}
		s.criteria[key] = &criterion{of: c.of, candidates: candidates, information: c.information, incompatibilities: incompatible}
	}
	return true, nil
}

// next chooses the key to pin: those with a part in the last conflict before
// those that often had one, before the others.
func (r *resolution) next(open []string) string {
	if len(open) == 1 {
		return open[0]
	}
	s := r.top()
	involved := map[string]bool{}
	for _, i := range s.causes {
		keys := []string{i.wants.key}
		if i.parent != nil {
			keys = append(keys, i.parent.key)
		}
		for _, key := range keys {
			involved[key] = true
			if s.pins[key] == nil {
				r.conflicts[key]++
				r.promoted[key] = r.promoted[key] || r.conflicts[key] >= promotion
			}
		}
	}
	keep := func(in map[string]bool) []string {
		return slices.DeleteFunc(slices.Clone(open), func(key string) bool { return !in[key] })
	}
	if of := keep(involved); len(of) > 0 {
		open = of
	} else if of := keep(r.promoted); len(of) > 0 {
		open = of
	}
	best := r.preference(open[0])
	for _, key := range open[1:] {
		if p := r.preference(key); p.compare(best) < 0 {
			best = p
		}
	}
	return best.key
}

// preference orders keys; less is sooner.
type preference struct {
	flags     [4]bool // promoted, direct, pinned, bounded from above: true is sooner
	requested int
	limited   bool
	key       string
}

func (r *resolution) preference(key string) preference {
	p := preference{requested: len(r.problem.Requirements), key: key}
	p.flags[0] = r.promoted[key]
	if at, ok := r.requested[key]; ok {
		p.requested = at
	}
	for _, i := range r.top().criteria[key].information {
		if i.wants.explicit != nil {
			p.flags[1] = true
		}
		for _, one := range i.wants.set {
			p.flags[2] = p.flags[2] || one.IsPin()
			p.flags[3] = p.flags[3] || one.IsUpperBound()
			p.limited = true
		}
	}
	return p
}

func (p preference) compare(o preference) int {
	for i := range p.flags {
		if p.flags[i] != o.flags[i] {
			return trueFirst(p.flags[i])
		}
	}
	if c := cmp.Compare(p.requested, o.requested); c != 0 {
		return c
	}
	if p.limited != o.limited {
		return trueFirst(p.limited)
	}
	return cmp.Compare(p.key, o.key)
}

func trueFirst(a bool) int {
	if a {
		return -1
	}
	return 1
}
