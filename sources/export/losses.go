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
// rebuilt is signed as well as any other. Fewer are reported and do not stop it, because a
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

// SourceChanges is what becomes of the files of a source.
type SourceChanges struct {
	Source string `json:"source"`
	bundle.Changes
}

// losses are what becomes of the base's files by a plan. The zero value is a plan without a
// base.
type losses struct {
	// Shrunk are the repositories that have far fewer files than in the base: those of the
	// plan, and those that a source derived then and does not any more.
	Shrunk []Shrunk
	// Gone are those that the spec does not have any more.
	Gone []Gone
	// Changes are those of all sources that have any.
	Changes []SourceChanges
}

// compare compares a plan with the base.
func compare(in *opened, resolved *collect.Resolved, survey *collect.Survey) (l losses) {
	if in.base == nil {
		return l
	}
	for i, of := range resolved.Repositories {
		c := survey.Tallies[i].Changes
		l.add(in.o.AllowShrink, of.Name, c.Before, c.Before+c.Added-c.Removed)
		if c.Any() {
			l.Changes = append(l.Changes, SourceChanges{of.Name, c})
		}
	}
	for _, r := range in.base.manifest.Repositories {
		planned := slices.ContainsFunc(resolved.Repositories, func(p collect.Planned) bool { return p.Name == r.Name })
		held := slices.ContainsFunc(in.held, func(h bundle.Repository) bool { return h.Name == r.Name })
		if planned || held || r.Kind == ownKind {
			continue
		}
		l.Gone = append(l.Gone, Gone{r.Name, r.Count})
		source, _, derived := strings.Cut(r.Name, "/")
		if derived && slices.ContainsFunc(in.specs, func(p sources.Spec) bool { return p.Name == source }) {
			l.add(in.o.AllowShrink, r.Name, r.Count, 0)
		}
	}
	return l
}

// add notes a repository if it has far fewer files than before.
func (l *losses) add(allow []string, name string, before, after int64) {
	if lost := before - after; lost < minShrink || lost*100 <= before*maxShrink {
		return
	}
	source, _, _ := strings.Cut(name, "/")
	allowed := slices.Contains(allow, name) || slices.Contains(allow, source)
	l.Shrunk = append(l.Shrunk, Shrunk{Source: name, Before: before, After: after, Allowed: allowed})
}

// refuse stops an export that would carry far less than the base has.
func (l losses) refuse() error {
	var errs []error
	for _, r := range l.Shrunk {
		if !r.Allowed {
			errs = append(errs, fmt.Errorf("source %s: has %s and had %d in the base, %d %% are gone (more than %d %%); if upstream or the spec meant that: --allow-shrink %s: %w",
				r.Source, bundle.Count(r.After, "file"), r.Before, (r.Before-r.After)*100/r.Before, maxShrink, r.Source, bundle.ErrUsage))
		}
	}
	return errors.Join(errs...)
}

// repository returns the base's with a name; nil: there is none.
func (b *base) repository(name string) *bundle.Repository {
	i := slices.IndexFunc(b.manifest.Repositories, func(r bundle.Repository) bool { return r.Name == name })
	if i < 0 {
		return nil
	}
	return &b.manifest.Repositories[i]
}

// before returns what the base has of repositories, for a survey. Files that are made
// late are not among those that a survey sees, and its absence there is no loss.
func (b *base) before() func(collect.Planned) iter.Seq2[bundle.File, error] {
	if b == nil {
		return nil
	}
	return func(of collect.Planned) iter.Seq2[bundle.File, error] {
		r := b.repository(of.Name)
		switch {
		case r == nil:
			return func(func(bundle.File, error) bool) {}
		case of.Late != nil:
			return b.upstreams(*r)
		}
		return b.listed(*r)
	}
}

// upstreams returns the files of a repository that came from somewhere, by their evidence.
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
