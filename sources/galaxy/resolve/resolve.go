// Package resolve chooses versions of collections that go together, as ansible-galaxy does.
//
// Every collection gets one version, which is in every range that is requested: by the spec and by the
// versions chosen of other collections. The newest is tried first, and where it leads to a conflict the
// next one, back to the first choice that was open. Collections with few candidates are decided first.
package resolve

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources/galaxy/api"
	"github.com/gapbundle/gapbundle/sources/galaxy/version"
)

const (
	// maxSteps bounds how many versions are tried: dependencies can be made so that the search takes
	// for ever.
	maxSteps = 10_000
	// maxCollections bounds how many collections go together.
	maxCollections = 2000
	// maxNamed bounds how many versions an error lists.
	maxNamed = 20
)

// Server is where versions are looked up. Its answers have to stay the same during a search.
type Server interface {
	// Versions lists the versions of a collection; none for one that is not there.
	Versions(ctx context.Context, full string) ([]version.Version, error)
	// Release reads one of them.
	Release(ctx context.Context, full string, v version.Version) (*api.Release, error)
}

// Want is a collection that is requested.
type Want struct {
	Name  string
	Range version.Range
	// By is who asks, for people.
	By string
}

// Choice is a version that was chosen.
type Choice struct {
	Name    string
	Release *api.Release
	// By is the chain of those that ask for it, the last one first to ask.
	By string
}

// Solve chooses versions for all of wants and what they depend on, sorted by name. Errors match
// bundle.ErrUsage where there is no choice, and name the chain that leads to the conflict; others are
// those of the server.
func Solve(ctx context.Context, server Server, wants []Want) ([]Choice, error) {
	s := &search{server: server, wants: map[string][]Want{}, chosen: map[string]Choice{}, all: map[string][]version.Version{}, open: map[string][]version.Version{}}
	for _, w := range wants {
		s.wants[w.Name] = append(s.wants[w.Name], w)
	}
	for _, w := range wants {
		if err := s.possible(ctx, w.Name); err != nil {
			return nil, err
		}
	}
	if err := s.decide(ctx); err != nil {
		if errors.Is(err, errConflict) {
			err = s.first
		}
		return nil, err
	}
	return slices.SortedFunc(maps.Values(s.chosen), func(a, b Choice) int { return strings.Compare(a.Name, b.Name) }), nil
}

// errConflict is an error that another choice may lift.
var errConflict = fmt.Errorf("conflict: %w", bundle.ErrUsage)

// conflict is an errConflict with a text of its own.
type conflict struct{ text string }

func (c *conflict) Error() string { return c.text }

func (c *conflict) Is(target error) bool { return target == errConflict || target == bundle.ErrUsage }

// search is one call of Solve.
type search struct {
	server Server
	all    map[string][]version.Version // that were looked up
	open   map[string][]version.Version // of these, those that all wants of now have, as far as they were looked for
	wants  map[string][]Want
	chosen map[string]Choice
	first  error // the conflict that the newest versions lead to
	steps  int
}

// candidates returns the versions that all wants of a collection have.
func (s *search) candidates(ctx context.Context, name string) ([]version.Version, error) {
	if some, known := s.open[name]; known {
		return some, nil
	}
	if _, known := s.all[name]; !known {
		all, err := s.server.Versions(ctx, name)
		if err != nil {
			return nil, err
		}
		s.all[name] = all
	}
	var ranges []version.Range
	for _, w := range s.wants[name] {
		ranges = append(ranges, w.Range)
	}
	s.open[name] = version.Select(s.all[name], ranges...)
	return s.open[name], nil
}

// possible reports a conflict about a collection: its version, or that none is left.
func (s *search) possible(ctx context.Context, name string) error {
	some, err := s.candidates(ctx, name)
	if err != nil {
		return err
	}
	if c, ok := s.chosen[name]; ok {
		if slices.ContainsFunc(some, func(v version.Version) bool { return v.String() == c.Release.Version.String() }) {
			return nil
		}
	} else if len(some) > 0 {
		return nil
	}
	return s.conflict(name)
}

func (s *search) conflict(name string) error {
	var asked []string
	for _, w := range s.wants[name] {
		asked = append(asked, fmt.Sprintf("%s by %s", w.Range, w.By))
	}
	there := "there is none on the server"
	if all := slices.Clone(s.all[name]); len(all) > 0 {
		slices.SortFunc(all, func(a, b version.Version) int { return version.Compare(b, a) })
		var names []string
		for _, v := range all[:min(len(all), maxNamed)] {
			names = append(names, v.String())
		}
		there = "there is " + strings.Join(names, ", ")
		if more := len(all) - len(names); more > 0 {
			there += fmt.Sprintf(" and %d more", more)
		}
	}
	err := &conflict{fmt.Sprintf("collection %s: no version is %s; %s", name, strings.Join(asked, " and "), there)}
	if s.first == nil {
		s.first = err
	}
	return err
}

// next returns the collection to decide: the one with the fewest candidates.
func (s *search) next(ctx context.Context) (name string, some []version.Version, err error) {
	for other := range s.wants {
		if _, done := s.chosen[other]; done {
			continue
		}
		candidates, err := s.candidates(ctx, other)
		if err != nil {
			return "", nil, err
		}
		if name == "" || cmp.Or(cmp.Compare(len(candidates), len(some)), strings.Compare(other, name)) < 0 {
			name, some = other, candidates
		}
	}
	return name, some, nil
}

// decide chooses a version for every collection that has none, or none at all and an error.
func (s *search) decide(ctx context.Context) error {
	name, some, err := s.next(ctx)
	if err != nil || name == "" {
		return err
	}
	if len(s.chosen) == maxCollections {
		return fmt.Errorf("collection %s: more than %d collections depend on each other: %w", name, maxCollections, bundle.ErrUsage)
	}
	for _, v := range some {
		if s.steps++; s.steps > maxSteps {
			return fmt.Errorf("collections depend on each other in too many ways; the first conflict: %w", s.first)
		}
		if err := s.try(ctx, name, v); !errors.Is(err, errConflict) {
			return err
		}
	}
	return errConflict
}

// try chooses v, and then all others.
func (s *search) try(ctx context.Context, name string, v version.Version) error {
	r, err := s.server.Release(ctx, name, v)
	if err != nil {
		return err
	}
	by := s.wants[name][0].By
	s.chosen[name] = Choice{Name: name, Release: r, By: by}
	before := map[string][]Want{}
	err = s.depend(ctx, r, fmt.Sprintf("%s %s, which is requested by %s", name, v, by), before)
	if err == nil {
		err = s.decide(ctx)
	}
	if err != nil { // decide has taken its own choices back
		delete(s.chosen, name)
		for on, wants := range before {
			s.want(on, wants)
		}
	}
	return err
}

// depend adds what a release depends on. The wants that it changes go to before.
func (s *search) depend(ctx context.Context, r *api.Release, by string, before map[string][]Want) error {
	for _, on := range slices.Sorted(maps.Keys(r.Dependencies)) {
		before[on] = s.wants[on]
		s.want(on, append(slices.Clip(s.wants[on]), Want{Name: on, Range: r.Dependencies[on], By: by}))
		if err := s.possible(ctx, on); err != nil {
			return err
		}
	}
	return nil
}

// want replaces the wants of a collection; none: it is not wanted.
func (s *search) want(name string, wants []Want) {
	delete(s.open, name)
	if s.wants[name] = wants; len(wants) == 0 {
		delete(s.wants, name)
	}
}
