package resolve

import (
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

// state is how far a resolution has come. States share pins and criteria: nobody changes a
// pinned or the map of a criteria, only for another.
type state struct {
	last     *pinned // the pin that was made last; nil: there is none
	criteria map[string]*criterion
	causes   []*information
}

// pinned is a pin and those before it.
type pinned struct {
	*candidate
	before *pinned
}

func (s *state) clone() *state {
	return &state{last: s.last, criteria: s.criteria, causes: slices.Clone(s.causes)}
}

// pins returns all pins of a state by their keys.
func (s *state) pins() map[string]*candidate {
	all := map[string]*candidate{}
	for p := s.last; p != nil; p = p.before {
		all[p.key] = p.candidate
	}
	return all
}

// without returns the same pins except that of a key.
func (p *pinned) without(key string) *pinned {
	var after []*candidate
	for ; p != nil && p.key != key; p = p.before {
		after = append(after, p.candidate)
	}
	if p != nil {
		p = p.before
	}
	for _, c := range slices.Backward(after) {
		p = &pinned{c, p}
	}
	return p
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
	discarded   map[string]*candidate // by why they are passed over
	missing     map[string]bool

	states     []*state
	top        topKeys
	conflicts  map[string]int // how often an unpinned name was in a conflict
	promoted   map[string]bool
	optimistic bool
	saved      []*state // before the first jump without care
}

// conflicting means that a criterion has no candidate.
type conflicting struct{ criterion *criterion }

func (r *resolution) now() *state { return r.states[len(r.states)-1] }

func (r *resolution) run() (*state, error) {
	root := &state{criteria: map[string]*criterion{}}
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
			return r.now(), err
		}
	}
	return nil, fmt.Errorf("%d rounds: %w", MaxRounds, ErrTooDeep)
}

// wanted returns the root's requirements whose markers hold, those with extras
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

// ofBase returns what is wanted of the project of a subject with extras.
func ofBase(criteria map[string]*criterion, of subject) []*information {
	if len(of.extras) == 0 || criteria[of.name] == nil {
		return nil
	}
	return criteria[of.name].information
}

// round pins one key, or takes pins back.
func (r *resolution) round() (done bool, err error) {
	s := r.now()
	r.top.know(r, s)
	if len(r.top.open) == 0 {
		return true, nil
	}
	before := s.criteria
	key := r.next()
	deps, failed, err := r.attempt(key)
	if err != nil {
		return false, err
	}
	if failed != nil {
		return false, r.recover(failed)
	}
	var lost []string
	for _, i := range deps {
		if other := i.wants.key; before[other] != nil && !r.top.open[other] && !r.top.satisfied(s, other) {
			lost = append(lost, other)
		}
	}
	r.top.look(r, s, key)
	for _, i := range deps {
		r.top.look(r, s, i.wants.key)
	}
	if len(lost) > 0 {
		s.criteria = forget(s.criteria, lost)
		r.top.forget()
	}
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

// attempt pins key to the first of its candidates that contradicts nothing, and returns what
// that wants. It returns the criteria that each contradicted, where none does.
func (r *resolution) attempt(key string) (wants []*information, failed []*criterion, err error) {
	s := r.now()
	failed = []*criterion{}
candidates:
	for _, c := range s.criteria[key].candidates {
		deps, ok, err := r.dependencies(c)
		if err != nil {
			return nil, nil, err
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
				return nil, nil, err
			}
			if conflict != nil {
				failed = append(failed, conflict.criterion)
				continue candidates
			}
		}
		s.criteria = criteria
		r.top.pin(s, c)
		return deps, nil, nil
	}
	if len(failed) == 0 {
		failed = append(failed, s.criteria[key]) // all of them were passed over
	}
	return nil, failed, nil
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
	before := r.now()
	r.top.forget()
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
	r.now().causes = causes
	return nil
}

// careful goes back to before the first jump without care.
func (r *resolution) careful() {
	r.optimistic = false
	if r.saved != nil {
		r.states, r.saved = r.saved, nil
		r.top.forget()
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
		r.states = append(r.states, r.now().clone())
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
		broken := r.now()
		r.states = r.states[:len(r.states)-1]
		if broken.last == nil || len(r.states) == 0 {
			return nil, nil, nil
		}
		c := broken.last.candidate
		if !r.optimistic && !involved[c.key] {
			return broken, c, nil
		}
		if r.optimistic && r.saved == nil && !involved[c.key] {
			r.save()
		}
		deps, _, err := r.dependencies(c)
		if err != nil {
			return nil, nil, err
		}
		shares := involved[pythonKey] && c.limitsPython || slices.ContainsFunc(deps, func(i *information) bool { return involved[i.wants.key] })
		if shares || broken.last.before == nil {
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
	s := r.now()
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
