package resolve

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/sources/pypi/marker"
	"github.com/gapbundle/gapbundle/sources/pypi/pep440"
)

// MaxRounds is how many pins are tried before the resolver gives up; pip's own
// bound.
const MaxRounds = 200_000

var (
	// ErrConflict is matched by a Conflict.
	ErrConflict = errors.New("no versions meet all requirements")
	// ErrTooDeep means that MaxRounds were not enough.
	ErrTooDeep = errors.New("gave up looking for versions that meet all requirements")
	// ErrDiscard is matched by errors of Provider.Metadata about a release that
	// clients pass over: its metadata is not valid, or is that of another.
	ErrDiscard = errors.New("clients skip this release")
)

// Release is what a target can install of one version of a project.
type Release struct {
	Version pep440.Version
	// Yanked releases count only where a version is pinned.
	Yanked bool
	// File is the provider's own: the one file of the version that the target
	// prefers.
	File any
}

// Exclusion states why a version of a project cannot be installed on a target.
type Exclusion struct {
	Version pep440.Version
	Why     string
}

// Project is what an index has of a project for one target.
type Project struct {
	// Source names the index, for messages.
	Source string
	// Releases has each version once, in any order.
	Releases []*Release
	// Excluded explains versions that are not in Releases.
	Excluded []Exclusion
}

// Metadata is what a release states about itself.
type Metadata struct {
	RequiresPython pep440.Set
	Requires       []marker.Requirement
	Extras         []string // that it provides, in normal form
}

// Provider reads indexes for one target. It is asked for one thing at a time,
// often for the same one again, and keeps what it read.
type Provider interface {
	// Project lists a project by its name in normal form. One that no index
	// has is empty.
	Project(ctx context.Context, name string) (*Project, error)
	// Metadata reads that of a release. An error that matches ErrDiscard
	// skips the release; any other error ends the resolution.
	Metadata(ctx context.Context, name string, r *Release) (*Metadata, error)
	// Direct is the release that a requirement names by URL.
	Direct(ctx context.Context, r *marker.Requirement) (*Release, error)
}

// Wanted is a requirement and where it is written.
type Wanted struct {
	Requirement marker.Requirement
	From        string // such as "requirements.txt:3"
}

// Problem is what is to be resolved.
type Problem struct {
	Environment  *marker.Environment
	Requirements []Wanted
	// Constraints limit versions and ask for nothing.
	Constraints []Wanted
	// PreReleases reports whether pre-releases of a project count like others.
	// nil: of none; they still count where a requirement names one, and where
	// there is nothing else.
	PreReleases func(name string) bool
}

// Pin is a chosen release.
type Pin struct {
	Name     string
	Extras   []string // that are requested, sorted
	Release  *Release
	Metadata *Metadata
	// Because has a line for everyone who wants it.
	Because []string
}

// Result is a resolution, sorted by name.
type Result struct {
	Pins []Pin
	// Discarded has a line for each release that was passed over because of its
	// metadata, Missing for each extra that a release does not have.
	Discarded, Missing []string
}

// Resolve chooses versions. Errors match ErrConflict or ErrTooDeep, or are the
// provider's or a marker's.
func Resolve(ctx context.Context, provider Provider, problem Problem) (*Result, error) {
	r := &resolution{
		ctx: ctx, provider: provider, problem: &problem,
		requested: map[string]int{}, constraints: map[string]pep440.Set{},
		candidates: map[candidateKey]*candidate{}, discarded: map[string]*candidate{}, missing: map[string]bool{},
		conflicts: map[string]int{}, promoted: map[string]bool{}, optimistic: true,
	}
	if err := r.constrain(); err != nil {
		return nil, err
	}
	final, err := r.run()
	if err != nil {
		return nil, err
	}
	return r.result(final)
}

// constrain collects constraints whose markers hold.
func (r *resolution) constrain() error {
	for _, w := range r.problem.Constraints {
		c := w.Requirement
		if c.URL != "" || len(c.Extras) > 0 {
			return fmt.Errorf("%s: constraint %s: want a name and versions alone: %w", w.From, c.String(), marker.ErrInvalid)
		}
		holds, err := c.Marker.Holds(r.problem.Environment, marker.Selection{})
		if err != nil {
			return fmt.Errorf("%s: %w", w.From, err)
		}
		if holds {
			r.constraints[c.Name] = append(r.constraints[c.Name], c.Set...)
		}
	}
	return nil
}

// result collects what the root leads to.
func (r *resolution) result(s *state) (*Result, error) {
	pins, chosen := map[string]*Pin{}, s.pins()
	for key := range reachable(s, chosen) {
		c := chosen[key]
		p := pins[c.name]
		if p == nil {
			p = &Pin{Name: c.name, Release: c.release}
			pins[c.name] = p
		}
		p.Extras = append(p.Extras, c.extras...)
		for _, i := range s.criteria[key].information {
			if i.parent == nil || i.parent.name != c.name {
				p.Because = append(p.Because, i.String())
			}
		}
	}
	out := &Result{Discarded: slices.Sorted(maps.Keys(r.discarded)), Missing: slices.Sorted(maps.Keys(r.missing))}
	for _, name := range slices.Sorted(maps.Keys(pins)) {
		p := pins[name]
		slices.Sort(p.Extras)
		slices.Sort(p.Because)
		p.Extras, p.Because = slices.Compact(p.Extras), slices.Compact(p.Because)
		var err error
		if p.Metadata, err = r.provider.Metadata(r.ctx, name, p.Release); err != nil {
			return nil, err
		}
		out.Pins = append(out.Pins, *p)
	}
	return out, nil
}

// reachable returns the pinned criteria that the root's requirements lead to.
func reachable(s *state, pins map[string]*candidate) map[string]bool {
	wants := map[*candidate][]string{}
	var queue []string
	for key, c := range s.criteria {
		for _, i := range c.information {
			if i.parent == nil {
				queue = append(queue, key)
			} else {
				wants[i.parent] = append(wants[i.parent], key)
			}
		}
	}
	reached := map[string]bool{}
	for len(queue) > 0 {
		key := queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		if c := pins[key]; c != nil && !reached[key] {
			reached[key] = true
			queue = append(queue, wants[c]...)
		}
	}
	return reached
}

// Conflict explains why there are no versions.
type Conflict struct {
	// Excluded are versions that would do and that the target cannot install.
	Excluded []string
	// PassedOver are versions that would do and whose metadata clients cannot use.
	PassedOver []string
	// Causes has who wants what, each with the chain that leads to it.
	Causes []string
}

func (c *Conflict) Error() string {
	lines := slices.Concat(c.Excluded, c.PassedOver, c.Causes)
	return fmt.Sprintf("%v:\n  %s", ErrConflict, strings.Join(lines, "\n  "))
}

// Unwrap makes it match ErrConflict.
func (c *Conflict) Unwrap() error { return ErrConflict }

// maxExplained bounds how many excluded versions of a project are listed.
const maxExplained = 5

// explain makes a Conflict of what contradicted itself.
func (r *resolution) explain(s *state, causes []*information) error {
	conflict := &Conflict{}
	sets := map[string]pep440.Set{}
	for _, i := range causes {
		conflict.Causes = append(conflict.Causes, r.chain(s, i))
		if i.wants.explicit == nil {
			sets[i.wants.name] = append(sets[i.wants.name], i.wants.set...)
		}
	}
	slices.Sort(conflict.Causes)
	conflict.Causes = slices.Compact(conflict.Causes)
	for _, name := range slices.Sorted(maps.Keys(sets)) {
		if name == pythonKey {
			continue
		}
		project, err := r.provider.Project(r.ctx, name)
		if err != nil {
			return err
		}
		set := append(sets[name], r.constraints[name]...)
		conflict.Excluded = append(conflict.Excluded, excluded(name, project, set)...)
		conflict.PassedOver = append(conflict.PassedOver, r.passedOver(name, set)...)
	}
	return conflict
}

// passedOver reports what of a project would do and was passed over.
func (r *resolution) passedOver(name string, set pep440.Set) []string {
	var lines []string
	for _, why := range slices.Sorted(maps.Keys(r.discarded)) {
		if c := r.discarded[why]; c.name != name || !set.Contains(c.release.Version) {
			continue
		}
		if len(lines) >= maxExplained {
			return append(lines, name+": and more")
		}
		lines = append(lines, name+": "+strings.ReplaceAll(why, "\n", ": "))
	}
	return lines
}

// excluded reports what of a project would do and cannot be installed, or that
// there is nothing.
func excluded(name string, project *Project, set pep440.Set) []string {
	var lines []string
	if len(project.Releases)+len(project.Excluded) == 0 {
		return []string{name + ": no index has it"}
	}
	for _, r := range project.Releases {
		if set.Contains(r.Version) && (!r.Yanked || set.IsPin()) {
			return nil
		}
		if set.Contains(r.Version) {
			lines = append(lines, fmt.Sprintf("%s %s (%s): yanked, taken only where it is pinned", name, r.Version, project.Source))
		}
	}
	for _, e := range project.Excluded {
		if !set.Contains(e.Version) {
			continue
		}
		if len(lines) >= maxExplained {
			return append(lines, name+": and more")
		}
		lines = append(lines, fmt.Sprintf("%s %s (%s): %s", name, e.Version, project.Source, e.Why))
	}
	if len(lines) == 0 {
		lines = append(lines, fmt.Sprintf("%s (%s): no version meets %s", name, project.Source, set))
	}
	return lines
}

// chain returns a requirement with all that lead to it, up to the root.
func (r *resolution) chain(s *state, i *information) string {
	text := i.String()
	seen := map[*candidate]bool{}
	for p := i.parent; p != nil && !seen[p]; {
		seen[p] = true
		c := s.criteria[p.key]
		if c == nil || len(c.information) == 0 {
			break
		}
		next := c.information[0]
		text += ", which " + next.String()
		p = next.parent
	}
	return text
}
