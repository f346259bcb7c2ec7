package modulemd

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
)

// maxSteps bounds the search for streams that go together: a file can be made
// so that it takes for ever.
const maxSteps = 100_000_000

// errKnot: the search was given up.
var errKnot = fmt.Errorf("modules depend on each other in too many ways: %w", bundle.ErrMalformed)

// errApart: not all of it can be active.
var errApart = errors.New("cannot be enabled together")

// rule is that one of these builds is active.
type rule struct {
	one  []*build
	weak bool // it may be dropped: a default
	ask  Ask  // why
}

// solver finds the variants that a client has. It does what libsolv does with
// modules as libdnf describes them to it: what is requested, then the defaults, in their
// newest builds if possible; of a module one variant; of several that would
// do the first.
type solver struct {
	dead  map[*build]bool
	steps int
}

// state is where a search has got to.
type state struct {
	chosen map[string]*build // by module
	order  []*build          // of chosen
	refuse map[*build]int    // how many of chosen refuse it
	failed map[*build]bool   // tried, and not possible with what is chosen
	trail  []*build          // of failed
}

func (at *state) choose(b *build) {
	at.chosen[b.of.module] = b
	at.order = append(at.order, b)
	for _, other := range b.refuses {
		at.refuse[other]++
	}
}

func (at *state) fail(b *build) {
	at.failed[b] = true
	at.trail = append(at.trail, b)
}

// back undoes what came after the first so many.
func (at *state) back(chosen, failed int) {
	for _, b := range at.order[chosen:] {
		delete(at.chosen, b.of.module)
		for _, other := range b.refuses {
			at.refuse[other]--
		}
	}
	for _, b := range at.trail[failed:] {
		delete(at.failed, b)
	}
	at.order, at.trail = at.order[:chosen], at.trail[:failed]
}

// activate returns what is active. Strong rules have to hold: errors are errApart
// with the first that does not go with those before it, or errKnot.
func activate(dead map[*build]bool, strong, weak []rule) (map[string]*build, error) {
	s := &solver{dead: dead}
	_, err := s.solve(newest(strong))
	if err == nil {
		strong = newest(strong) // as long as that goes, nothing older is looked at
	} else if _, again := s.solve(strong); errors.Is(again, errApart) {
		at, err := s.first(strong)
		if err != nil {
			return nil, err
		}
		return nil, &apartError{strong[at].ask}
	} else if again != nil {
		return nil, again
	}
	rules := slices.Concat(strong, weak)
	for _, r := range weak {
		if best := newest([]rule{r}); len(best) > 1 {
			rules = append(rules, best[1])
		}
	}
	for {
		chosen, err := s.solve(rules)
		if !errors.Is(err, errApart) {
			return chosen, err
		}
		at, err := s.first(rules)
		if err != nil {
			return nil, err
		}
		rules = slices.Delete(slices.Clone(rules), at, at+1)
	}
}

type apartError struct{ ask Ask }

func (e *apartError) Error() string {
	return fmt.Sprintf("module %s: stream %s: what it needs of other modules cannot be enabled, or not together with the others that are requested", e.ask.Module, e.ask.Stream)
}

// newest adds to each rule that one of the newest builds is active, where there
// are older ones.
func newest(rules []rule) []rule {
	all := slices.Clone(rules)
	for _, r := range rules {
		best := slices.DeleteFunc(slices.Clone(r.one), func(b *build) bool { return b != b.of.builds[0] })
		if len(best) < len(r.one) {
			r.one = best
			all = append(all, r)
		}
	}
	return all
}

// first returns the place of the first rule that does not go with those before it.
func (s *solver) first(rules []rule) (int, error) {
	low, high := 0, len(rules) // the first low rules go together, the first high do not
	for high-low > 1 {
		middle := (low + high) / 2
		switch _, err := s.solve(rules[:middle]); {
		case err == nil:
			low = middle
		case errors.Is(err, errApart):
			high = middle
		default:
			return 0, err
		}
	}
	return high - 1, nil
}

func (s *solver) solve(rules []rule) (map[string]*build, error) {
	at := &state{chosen: map[string]*build{}, refuse: map[*build]int{}, failed: map[*build]bool{}}
	if err := s.search(at, rules); err != nil {
		return nil, err
	}
	return at.chosen, nil
}

// search follows what has to be, and tries what may be.
func (s *solver) search(at *state, rules []rule) error {
	open, err := s.propagate(at, rules)
	if err != nil || open == nil {
		return err
	}
	chosen, failed := len(at.order), len(at.trail)
	for _, b := range prefer(open) {
		at.choose(b)
		if err := s.search(at, rules); !errors.Is(err, errApart) {
			return err
		}
		at.back(chosen, failed)
		at.fail(b)
		failed++
	}
	return errApart
}

// prefer sorts those that would do: the newest build of each variant, by name,
// then older builds.
func prefer(open []*build) []*build {
	slices.SortStableFunc(open, func(a, b *build) int { return strings.Compare(a.of.name, b.of.name) })
	var first, rest []*build
	for i, b := range open {
		if i == 0 || open[i-1].of != b.of {
			first = append(first, b)
		} else {
			rest = append(rest, b)
		}
	}
	return append(first, rest...)
}

// propagate chooses what alone will do until nothing more follows, and returns
// those of the first rule that leaves a choice; nil: there is none left.
func (s *solver) propagate(at *state, rules []rule) ([]*build, error) {
	for {
		var open []*build
		changed := false
		look := func(one []*build) error {
			left := s.left(at, one)
			switch {
			case s.steps > maxSteps:
				return errKnot
			case len(left) == 0:
				return errApart
			case at.chosen[left[0].of.module] == left[0]:
			case len(left) == 1:
				at.choose(left[0])
				changed = true
			case open == nil:
				open = left
			}
			return nil
		}
		for _, r := range rules {
			if err := look(r.one); err != nil {
				return nil, err
			}
		}
		for _, b := range at.order { // what this adds is looked at in the next round
			for _, one := range b.needs {
				if err := look(one); err != nil {
					return nil, err
				}
			}
		}
		if !changed {
			return open, nil
		}
	}
}

// left returns the streams that can still be, or the one that is chosen.
func (s *solver) left(at *state, one []*build) []*build {
	s.steps += len(one) + 1
	var left []*build
	for _, b := range one {
		if at.chosen[b.of.module] == b {
			return []*build{b}
		}
		if s.can(at, b) {
			left = append(left, b)
		}
	}
	return left
}

// can reports whether a build can be chosen in addition to what is.
func (s *solver) can(at *state, b *build) bool {
	if s.dead[b] || at.failed[b] || at.refuse[b] > 0 || at.chosen[b.of.module] != nil {
		return false
	}
	s.steps += len(b.refuses)
	for _, other := range b.refuses {
		if at.chosen[other.of.module] == other {
			return false
		}
	}
	for _, one := range b.needs {
		s.steps += len(one) + 1
		if !slices.ContainsFunc(one, func(other *build) bool {
			taken := at.chosen[other.of.module]
			return taken == other || taken == nil && !s.dead[other] && !at.failed[other]
		}) {
			return false
		}
	}
	return true
}
