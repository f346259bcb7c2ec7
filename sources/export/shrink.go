package export

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/collect"
)

// An export stops where a repository has lost more than maxShrink percent of the files that
// the base has, and at least minShrink of them: an archive that is emptied while it is
// rebuilt is signed as well as any other. Fewer are told and do not stop it, because a
// repository of three files loses a third with each of them.
const (
	maxShrink = 40 // percent
	minShrink = 5  // files
)

// Shrunk is a repository that has far fewer files than in the base.
type Shrunk struct {
	Source string `json:"source"`
	Before int64  `json:"before"`
	After  int64  `json:"after"`
	// Allowed: --allow-shrink names it.
	Allowed bool `json:"allowed,omitempty"`
}

// Gone is a repository of the base that the spec does not have any more.
type Gone struct {
	Source string `json:"source"`
	Files  int64  `json:"files"`
}

// ofBase is the repository of the base with a name; nil: there is none.
func (s *session) ofBase(name string) *bundle.Repository {
	if s.base == nil {
		return nil
	}
	i := slices.IndexFunc(s.base.manifest.Repositories, func(r bundle.Repository) bool { return r.Name == name })
	if i < 0 {
		return nil
	}
	return &s.base.manifest.Repositories[i]
}

// filesBefore returns what the base has of repositories, for a survey. What was made late
// is not among what a survey sees, and its absence there is no loss.
func (s *session) filesBefore() func(collect.Planned) iter.Seq2[bundle.File, error] {
	if s.base == nil {
		return nil
	}
	return func(of collect.Planned) iter.Seq2[bundle.File, error] {
		r := s.ofBase(of.Name)
		switch {
		case r == nil:
			return func(func(bundle.File, error) bool) {}
		case of.Late != nil:
			return s.base.upstreams(*r)
		}
		return s.base.listed(*r)
	}
}

// upstreams are the files of a repository that came from somewhere, by their evidence.
func (b *base) upstreams(r bundle.Repository) iter.Seq2[bundle.File, error] {
	return func(yield func(bundle.File, error) bool) {
		next, stop := iter.Pull2(readBase[bundle.Evidence](b, r, r.Evidence, bundle.MediaTypeEvidence))
		defer stop()
		e, err, ok := next()
		for f, ferr := range b.listed(r) {
			for ok && err == nil && bundle.ComparePaths(e.Path, f.Path) < 0 {
				e, err, ok = next()
			}
			if err := errors.Join(ferr, err); err != nil {
				yield(f, err)
				return
			}
			if ok && e.Path == f.Path && e.Origin != "" && !yield(f, nil) {
				return
			}
		}
	}
}

// shrunk are the repositories that have far fewer files than in the base: those of the
// plan, and those that a source derived then and does not any more.
func (s *session) shrunk() []Shrunk {
	var all []Shrunk
	add := func(name string, before, after int64) {
		if lost := before - after; lost >= minShrink && lost*100 > before*maxShrink {
			source, _, _ := strings.Cut(name, "/")
			allowed := slices.Contains(s.o.AllowShrink, name) || slices.Contains(s.o.AllowShrink, source)
			all = append(all, Shrunk{Source: name, Before: before, After: after, Allowed: allowed})
		}
	}
	for i, p := range s.resolved.Repositories {
		c := s.survey.Tallies[i].Changes
		add(p.Name, c.Before, c.Before+c.Added-c.Removed)
	}
	for _, r := range s.vanished() {
		source, _, derived := strings.Cut(r.Name, "/")
		if derived && slices.ContainsFunc(s.specs, func(p sources.Spec) bool { return p.Name == source }) {
			add(r.Name, r.Count, 0)
		}
	}
	return all
}

// vanished are the repositories of the base that are neither planned nor held back.
func (s *session) vanished() []bundle.Repository {
	if s.base == nil {
		return nil
	}
	var all []bundle.Repository
	for _, r := range s.base.manifest.Repositories {
		planned := slices.ContainsFunc(s.resolved.Repositories, func(p collect.Planned) bool { return p.Name == r.Name })
		held := slices.ContainsFunc(s.held, func(h bundle.Repository) bool { return h.Name == r.Name })
		if !planned && !held && r.Kind != ownKind {
			all = append(all, r)
		}
	}
	return all
}

func (s *session) gone() []Gone {
	var all []Gone
	for _, r := range s.vanished() {
		all = append(all, Gone{r.Name, r.Count})
	}
	return all
}

// unknownAllowed refuses what --allow-shrink and --allow-older name and the spec does not have.
func (s *session) unknownAllowed() error {
	var errs []error
	for _, option := range []struct {
		flag  string
		names []string
	}{{"--allow-shrink", s.o.AllowShrink}, {"--allow-older", s.o.AllowOlder}} {
		for _, name := range option.names {
			known := func(p sources.Spec) bool { return p.Name == name || strings.HasPrefix(name, p.Name+"/") }
			if !slices.ContainsFunc(s.spec.Sources, known) {
				errs = append(errs, fmt.Errorf("%s %s: no such source in the spec: %w", option.flag, name, bundle.ErrUsage))
			}
		}
	}
	return errors.Join(errs...)
}

// refuseShrunk stops an export that would carry far less than the base has.
func (s *session) refuseShrunk() error {
	var errs []error
	for _, r := range s.shrunk() {
		if !r.Allowed {
			errs = append(errs, fmt.Errorf("source %s: has %s and had %d in the base, %d %% are gone (more than %d %%); if upstream or the spec meant that: --allow-shrink %s: %w",
				r.Source, bundle.Count(r.After, "file"), r.Before, (r.Before-r.After)*100/r.Before, maxShrink, r.Source, bundle.ErrUsage))
		}
	}
	return errors.Join(errs...)
}

// overrides are the checks that were switched off and would have stopped the export,
// as the root has them.
func (s *session) overrides() []string {
	var all []string
	if s.o.NoReadback {
		all = append(all, "no-readback")
	}
	for _, r := range s.shrunk() {
		if r.Allowed {
			all = append(all, "allow-shrink "+r.Source)
		}
	}
	for _, source := range s.dates.WentBack() {
		all = append(all, "allow-older "+source)
	}
	for _, key := range s.weak.Used() {
		all = append(all, bundle.OverrideWeakKey+key)
	}
	slices.Sort(all)
	return all
}

// SourceChanges is what becomes of the files of a source.
type SourceChanges struct {
	Source string `json:"source"`
	bundle.Changes
}

// changes are those of all sources that have any, on a base.
func (s *session) changes() []SourceChanges {
	var all []SourceChanges
	for i, p := range s.resolved.Repositories {
		if c := s.survey.Tallies[i].Changes; s.base != nil && c.Any() {
			all = append(all, SourceChanges{p.Name, c})
		}
	}
	return all
}
