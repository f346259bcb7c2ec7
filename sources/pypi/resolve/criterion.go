package resolve

import (
	"errors"
	"fmt"
	"slices"

	"github.com/gapbundle/gapbundle/sources/pypi/marker"
	"github.com/gapbundle/gapbundle/sources/pypi/pep440"
)

// pythonKey is the key of Python itself, which only ever has a criterion that
// cannot be met.
const pythonKey = ""

// subject is what a criterion is about: a project, with or without extras.
type subject struct {
	key, name string
	extras    []string
}

func about(name string, extras []string) subject {
	return subject{key: marker.Key(name, extras), name: name, extras: extras}
}

// wish is one requirement on a criterion. With explicit it is met by that
// candidate alone.
type wish struct {
	subject
	set      pep440.Set
	explicit *candidate
}

// information is a wish and who has it; parent nil: the root.
type information struct {
	wants  wish
	parent *candidate
	from   string // of the root's: where it is written
}

func (i *information) String() string {
	what := i.wants.key + i.wants.set.String()
	switch {
	case i.wants.key == pythonKey:
		what = "Python " + i.wants.set.String()
	case i.wants.explicit != nil:
		what = i.wants.key + "==" + i.wants.explicit.release.Version.String()
	}
	if i.parent == nil {
		return fmt.Sprintf("%s wants %s", i.from, what)
	}
	return fmt.Sprintf("%s %s wants %s", i.parent.key, i.parent.release.Version, what)
}

// candidate is a release, with or without extras. There is one of each, so
// that candidates are compared by address.
type candidate struct {
	subject
	release      *Release
	base         *candidate // of one with extras
	deps         []*information
	known        bool // deps are read
	limitsPython bool
	discarded    bool
}

type candidateKey struct {
	key     string
	release *Release
}

func (r *resolution) candidate(name string, extras []string, release *Release) *candidate {
	of := about(name, extras)
	id := candidateKey{of.key, release}
	c := r.candidates[id]
	if c == nil {
		c = &candidate{subject: of, release: release}
		r.candidates[id] = c
		if len(extras) > 0 {
			c.base = r.candidate(name, nil, release)
		}
	}
	return c
}

// criterion is everything wanted of one key. It is never changed once it is
// made.
type criterion struct {
	of                subject
	candidates        []*candidate
	information       []*information
	incompatibilities []*candidate
}

// wishes turns a requirement whose marker was looked at into what is added to
// criteria. Versions of a project with extras are wanted of the project alone
// as well, so that contradictions show early.
func (r *resolution) wishes(q *marker.Requirement) ([]wish, error) {
	if q.URL != "" {
		release, err := r.provider.Direct(r.ctx, q)
		if err != nil {
			return nil, err
		}
		base := r.candidate(q.Name, nil, release)
		all := []wish{{subject: base.subject, explicit: base}}
		if len(q.Extras) > 0 {
			c := r.candidate(q.Name, q.Extras, release)
			all = append(all, wish{subject: c.subject, explicit: c})
		}
		return all, nil
	}
	var all []wish
	if len(q.Extras) > 0 && len(q.Set) > 0 {
		all = append(all, wish{subject: about(q.Name, nil), set: q.Set})
	}
	return append(all, wish{subject: about(q.Name, q.Extras), set: q.Set}), nil
}

// meets reports whether c is what w asks for.
func (w *wish) meets(c *candidate) bool {
	if w.explicit != nil {
		return w.explicit == c
	}
	return w.set.Contains(c.release.Version)
}

// matches returns the candidates for a criterion, the best first, without those
// that are known not to work. base is what is wanted of its project, where it
// is about extras.
func (r *resolution) matches(c *criterion, base []*information, incompatible []*candidate) ([]*candidate, error) {
	if len(c.information)+len(base) == 0 {
		return nil, nil
	}
	of, limit := c.of, r.constraints[c.of.name]
	var explicit []*candidate
	set := slices.Clone(limit)
	for _, i := range append(slices.Clone(c.information), base...) {
		if i.wants.explicit != nil {
			explicit = append(explicit, r.candidate(of.name, of.extras, i.wants.explicit.release))
		}
		set = append(set, i.wants.set...)
	}
	if len(explicit) > 0 {
		slices.SortFunc(explicit, func(a, b *candidate) int { return b.release.Version.Compare(a.release.Version) })
		return slices.DeleteFunc(slices.Compact(explicit), func(one *candidate) bool {
			return slices.Contains(incompatible, one) || !limit.Contains(one.release.Version) ||
				slices.ContainsFunc(c.information, func(i *information) bool { return !i.wants.meets(one) })
		}), nil
	}
	releases, err := r.applicable(of.name, set)
	if err != nil {
		return nil, err
	}
	var found []*candidate
	for _, release := range releases {
		if one := r.candidate(of.name, of.extras, release); !one.discarded && !slices.Contains(incompatible, one) {
			found = append(found, one)
		}
	}
	return found, nil
}

// applicable returns the releases of a project that meet set, the newest first.
// Pre-releases count where they are requested, or where there is nothing else;
// yanked ones only where a version is pinned and nothing else meets it.
func (r *resolution) applicable(name string, set pep440.Set) ([]*Release, error) {
	project, err := r.provider.Project(r.ctx, name)
	if err != nil {
		return nil, err
	}
	var all, final []*Release
	for _, release := range project.Releases {
		if set.Contains(release.Version) {
			all = append(all, release)
			if !release.Version.IsPreRelease() {
				final = append(final, release)
			}
		}
	}
	pre := set.NamesPreRelease() || r.problem.PreReleases != nil && r.problem.PreReleases(name)
	if !pre && len(final) > 0 {
		all = final
	}
	standing := slices.DeleteFunc(slices.Clone(all), func(release *Release) bool { return release.Yanked })
	if len(standing) > 0 || !set.IsPin() {
		all = standing
	}
	slices.SortStableFunc(all, func(a, b *Release) int { return b.Version.Compare(a.Version) })
	return all, nil
}

// dependencies returns what a candidate wants of others. ok is false for one that
// is passed over.
func (r *resolution) dependencies(c *candidate) (deps []*information, ok bool, err error) {
	if c.known || c.discarded {
		return c.deps, !c.discarded, nil
	}
	m, err := r.provider.Metadata(r.ctx, c.name, c.release)
	if errors.Is(err, ErrDiscard) {
		c.discarded = true
		r.discarded[err.Error()] = c
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	if c.base != nil {
		c.deps = []*information{{wants: wish{subject: c.base.subject, explicit: c.base}, parent: c}}
	} else if len(m.RequiresPython) > 0 {
		admits, err := r.problem.Environment.AdmitsPython(m.RequiresPython)
		if err != nil {
			return nil, false, fmt.Errorf("%s %s: Requires-Python %w", c.name, c.release.Version, err)
		}
		c.limitsPython = true
		if !admits {
			c.deps = []*information{{wants: wish{set: m.RequiresPython}, parent: c}}
		}
	}
	if err := r.requires(c, m); err != nil {
		return nil, false, err
	}
	c.known = true
	return c.deps, true, nil
}

// requires adds the requirements in a candidate's metadata whose markers hold
// for the extras that are requested and that it has.
func (r *resolution) requires(c *candidate, m *Metadata) error {
	var extras []string
	for _, e := range c.extras {
		if slices.Contains(m.Extras, e) {
			extras = append(extras, e)
		} else {
			r.missing[fmt.Sprintf("%s %s has no extra %s", c.name, c.release.Version, e)] = true
		}
	}
	for i := range m.Requires {
		q := &m.Requires[i]
		holds, err := q.Marker.Holds(r.problem.Environment, marker.Selection{Extras: extras})
		if err != nil {
			return fmt.Errorf("%s %s wants %s: %w", c.name, c.release.Version, q.String(), err)
		}
		if !holds {
			continue
		}
		wishes, err := r.wishes(q)
		if err != nil {
			return err
		}
		for _, w := range wishes {
			c.deps = append(c.deps, &information{wants: w, parent: c})
		}
	}
	return nil
}
