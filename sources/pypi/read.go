package pypi

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/pypi/index"
	"github.com/gapbundle/gapbundle/sources/pypi/marker"
	"github.com/gapbundle/gapbundle/sources/pypi/pages"
	"github.com/gapbundle/gapbundle/sources/pypi/pep440"
	"github.com/gapbundle/gapbundle/sources/pypi/resolve"
	"github.com/gapbundle/gapbundle/sources/pypi/simple"
	"github.com/gapbundle/gapbundle/sources/pypi/tags"
	"github.com/gapbundle/gapbundle/sources/rebuild"
)

// reader asks the indexes of one source, each thing once.
type reader struct {
	env      *sources.Env
	entry    *entry
	wanted   *wanted
	index    *index.Reader
	projects index.Memo[string, *project]

	ahead sync.WaitGroup // of pages that are read before anybody asks
	slots chan struct{}
	mu    sync.Mutex
	notes map[string]bool
}

// readAhead is how much is read at once before it is asked for.
const readAhead = 16

func newReader(env *sources.Env, e *entry, w *wanted) *reader {
	r := &reader{
		env: env, entry: e, wanted: w, index: index.NewReader(env, sources.ScratchName(Name, e.name)), slots: make(chan struct{}, readAhead), notes: map[string]bool{},
	}
	r.index.LookForFiles = e.Absent.Skips()
	return r
}

// project is a name at its index, as the targets see it.
type project struct {
	name, index string
	files       []*index.File      // those that some target can install; without targets all
	targets     []*resolve.Project // by target
}

func (r *reader) note(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.notes[fmt.Sprintf(format, args...)] = true
}

// project reads the page of a name.
func (r *reader) project(ctx context.Context, name string) (*project, error) {
	return r.projects.Get(name, func() (*project, error) { return r.readProject(ctx, name) })
}

// expect reads what will be asked for soon: the pages of requirements, and the
// metadata of the releases that a target is likely to take.
func (r *reader) expect(ctx context.Context, at int, requirements []marker.Requirement) {
	for _, q := range requirements {
		r.ahead.Go(func() {
			select {
			case r.slots <- struct{}{}:
				defer func() { <-r.slots }()
			case <-ctx.Done():
				return
			}
			p, err := r.project(ctx, q.Name) // whoever asks for it gets the error
			if err != nil {
				return
			}
			for _, release := range p.targets[at].Releases {
				if f := release.File.(*index.File); q.Set.Contains(release.Version) && !release.Yanked && !release.Version.IsPreRelease() {
					if !f.Parsed.Sdist {
						_, _ = r.index.Metadata(ctx, q.Name, f)
					}
					return
				}
			}
		})
	}
}

func (r *reader) readProject(ctx context.Context, name string) (*project, error) {
	indexes := r.entry.indexes
	if one := r.entry.indexOf(name); one != "" {
		indexes = []string{one}
	}
	pages := make([]*simple.Page, len(indexes))
	err := sources.EachOf(ctx, len(indexes), len(indexes), func(ctx context.Context, i int) (err error) {
		pages[i], err = r.index.Page(ctx, indexes[i], name)
		return err
	})
	if err != nil {
		return nil, err
	}
	var have []int
	for i, page := range pages {
		if page != nil {
			have = append(have, i)
		}
	}
	if len(have) > 1 && !agree(indexes, pages, have, name) {
		return nil, r.entry.Pos.Errorf("%s: two indexes have it, %s and %s: set under names which one it is taken from, as in {%s: %s}",
			name, fetch.Redact(indexes[have[0]]), fetch.Redact(indexes[have[1]]), name, fetch.Redact(indexes[have[0]]))
	}
	p := &project{name: name}
	seen := map[string]bool{}
	for _, i := range have {
		if p.index == "" {
			p.index = indexes[i]
		}
		if s := pages[i].Status; s != "" && s != "active" {
			r.note("%s: %s has it as %s %s", name, fetch.Redact(indexes[i]), s, pages[i].Reason)
		}
		if pages[i].Status == "quarantined" {
			continue // offers no files
		}
		for _, f := range pages[i].Files {
			if !seen[f.Name] {
				seen[f.Name] = true
				p.add(r.entry, r.wanted, indexes[i], f)
			}
		}
	}
	p.view(r.entry, r.wanted)
	return p, nil
}

// agree reports whether the pages of a name all name each other as the same
// project (PEP 708).
func agree(indexes []string, pages []*simple.Page, have []int, name string) bool {
	for _, i := range have {
		for _, j := range have {
			other := strings.TrimSuffix(indexes[j]+name, "/")
			names := slices.Concat(pages[i].Tracks, pages[i].Alternates)
			if i != j && !slices.ContainsFunc(names, func(s string) bool { return strings.TrimSuffix(s, "/") == other }) {
				return false
			}
		}
	}
	return true
}

// add takes a file up if its name is that of one of the project. An index may
// list other files, which clients skip.
func (p *project) add(e *entry, w *wanted, from string, f simple.File) {
	parsed, err := tags.ParseFile(p.name, f.Name)
	if err != nil {
		return
	}
	one := &index.File{File: f, Parsed: parsed, Index: from}
	if slices.Contains(w.hashes[p.name], f.SHA256) {
		one.Pinned = w.pinnedBy[p.name]
	}
	one.Python, _ = pep440.ParseSet(f.RequiresPython) // clients ignore one that is not valid
	usable := len(e.targets) == 0 || slices.ContainsFunc(e.targets, func(t pages.Target) bool { return t.Rank(parsed) >= 0 })
	if !usable {
		one.Parsed = &tags.File{Version: parsed.Version} // for explanations alone
		one.File = simple.File{Name: f.Name}
	}
	p.files = append(p.files, one)
}

// view decides what each target can install of the project: of every version
// the file that it prefers.
func (p *project) view(e *entry, w *wanted) {
	for _, t := range e.targets {
		seen := &resolve.Project{Source: fetch.Redact(p.index)}
		best := map[string]*index.File{}
		why := map[string]resolve.Exclusion{}
		for _, f := range p.files {
			version := f.Parsed.Version.String()
			if reason := w.excludes(e, t, p.name, f); reason != "" {
				why[version] = resolve.Exclusion{Version: f.Parsed.Version, Why: reason}
			} else if have := best[version]; have == nil || prefers(t, f, have) {
				best[version] = f
			}
		}
		for version, f := range best {
			delete(why, version)
			seen.Releases = append(seen.Releases, &resolve.Release{Version: f.Parsed.Version, Yanked: f.Yanked, File: f})
		}
		for _, x := range why {
			seen.Excluded = append(seen.Excluded, x)
		}
		slices.SortFunc(seen.Releases, func(a, b *resolve.Release) int { return b.Version.Compare(a.Version) })
		slices.SortFunc(seen.Excluded, func(a, b resolve.Exclusion) int { return b.Version.Compare(a.Version) })
		p.targets = append(p.targets, seen)
	}
	p.files = slices.DeleteFunc(p.files, func(f *index.File) bool { return f.URL == "" })
}

// prefers reports whether a target takes a before b, two files of one version.
func prefers(t pages.Target, a, b *index.File) bool {
	if a.Yanked != b.Yanked {
		return b.Yanked
	}
	if x, y := t.Rank(a.Parsed), t.Rank(b.Parsed); x != y {
		return x < y
	}
	return a.Parsed.Build.Compare(b.Parsed.Build) > 0
}

// provider is what a resolution for one target asks.
type provider struct {
	*reader
	at int // the target
}

func (p *provider) Project(ctx context.Context, name string) (*resolve.Project, error) {
	all, err := p.project(ctx, name)
	if err != nil {
		return nil, err
	}
	return all.targets[p.at], nil
}

func (p *provider) Metadata(ctx context.Context, name string, of *resolve.Release) (*resolve.Metadata, error) {
	f := of.File.(*index.File)
	k, err := p.index.Metadata(ctx, name, f)
	if err != nil {
		return nil, p.leave(f, err)
	}
	if f.Parsed.Sdist && !k.StaticDependencies() {
		return nil, p.entry.Pos.Errorf("%s %s for %s: there is only a source archive, %s, and what it depends on is known once it is built, which is never done here: "+
			"take a version that has a wheel (constraints), a lock file that has it, an index with a wheel of it (names), or sdists: never", name, of.Version, p.entry.targets[p.at].Name(), f.Name)
	}
	m := &resolve.Metadata{RequiresPython: k.RequiresPython, Requires: k.Requires, Extras: k.Extras}
	var next []marker.Requirement
	for _, q := range m.Requires {
		if holds, err := q.Marker.Holds(p.entry.targets[p.at].Env, marker.Selection{}); err == nil && holds && q.URL == "" {
			next = append(next, q)
		}
	}
	p.expect(ctx, p.at, next)
	return m, nil
}

// leave returns the error of a file. If that is one with which pip would end, and the spec
// wants it to be left out, the error matches resolve.ErrDiscard.
func (r *reader) leave(f *index.File, err error) error {
	switch unusable := errors.As(err, new(*index.UnusableError)); {
	case !unusable:
		return err
	case r.entry.Absent.Skips():
		return &leftOut{rebuild.LeftOut(fmt.Errorf("%s: %w", f.Name, err))}
	}
	return fmt.Errorf("%s: %w; %s", f.Name, err, rebuild.SkipHint)
}

// leftOut is a file that is left out because the spec wants that.
type leftOut struct{ remark string }

func (l *leftOut) Error() string { return l.remark }

// Unwrap returns resolve.ErrDiscard.
func (l *leftOut) Unwrap() error { return resolve.ErrDiscard }

func (p *provider) Direct(_ context.Context, q *marker.Requirement) (*resolve.Release, error) {
	release, err := p.wanted.direct(q)
	if err != nil {
		return nil, p.entry.Pos.Errorf("%s: %w", q.String(), err)
	}
	if p.entry.targets[p.at].Rank(release.File.(*index.File).Parsed) < 0 {
		return nil, p.entry.Pos.Errorf("%s: not for %s", q.String(), p.entry.targets[p.at].Name())
	}
	return release, nil
}
