package pypi

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/strictyaml"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/pypi/index"
	"github.com/gapbundle/gapbundle/sources/pypi/lockfile"
	"github.com/gapbundle/gapbundle/sources/pypi/marker"
	"github.com/gapbundle/gapbundle/sources/pypi/pages"
	"github.com/gapbundle/gapbundle/sources/pypi/pep440"
	"github.com/gapbundle/gapbundle/sources/pypi/resolve"
	"github.com/gapbundle/gapbundle/sources/pypi/simple"
	"github.com/gapbundle/gapbundle/sources/pypi/tags"
)

// group is a set of files of one target that can be installed together.
type group struct {
	target int
	label  string // distinguishes groups of one target; "": the first
	pins   []pin
}

// pin is a chosen file, and why.
type pin struct {
	name   string
	extras []string
	file   *index.File
	reason string
}

// chosen is what all targets get.
type chosen struct {
	groups []group
	// loose are files that belong to no target: all of a lock, or source
	// archives besides a wheel.
	loose []pin
	notes []string
}

// maxRounds bounds how often versions are brought together for resolution: one.
const maxRounds = 20

// choose resolves for every target, and takes what locks have.
func choose(ctx context.Context, r *reader) (*chosen, error) {
	c := &chosen{}
	if err := r.resolveAll(ctx, c); err != nil {
		return nil, err
	}
	for i, l := range r.wanted.locks {
		if err := r.takeLock(ctx, c, i, l); err != nil {
			return nil, err
		}
	}
	if err := r.newest(ctx, c); err != nil {
		return nil, err
	}
	if err := r.sdists(ctx, c); err != nil {
		return nil, err
	}
	if c.empty() {
		return nil, r.entry.Pos.Errorf("source %s: nothing is left to carry: requirements, packages and locks name no package for these targets", r.entry.name)
	}
	c.compare(r.entry)
	return c, nil
}

// empty reports whether no target gets a file, and no lock has one.
func (c *chosen) empty() bool {
	return len(c.loose) == 0 && !slices.ContainsFunc(c.groups, func(g group) bool { return len(g.pins) > 0 })
}

// resolveAll resolves requirements and packages.
func (r *reader) resolveAll(ctx context.Context, c *chosen) error {
	requirements := r.wanted.requirements()
	if len(requirements) == 0 {
		return nil
	}
	constraints := r.wanted.constraints
	for range maxRounds {
		groups, err := r.resolveEach(ctx, requirements, constraints)
		if err != nil {
			return err
		}
		c.groups = groups
		if r.entry.Resolution == resolutionEach {
			return nil
		}
		more := together(groups)
		if len(more) == 0 {
			return nil
		}
		constraints = slices.Concat(constraints, more)
	}
	return r.entry.Pos.Errorf("resolution: one: %d rounds brought no versions that all targets can have", maxRounds)
}

func (r *reader) resolveEach(ctx context.Context, requirements, constraints []resolve.Wanted) ([]group, error) {
	groups := make([]group, len(r.entry.targets))
	var mu sync.Mutex
	said := map[string]bool{}
	err := sources.Each(ctx, len(groups), func(ctx context.Context, i int) (err error) {
		groups[i], err = r.resolve(ctx, i, "", requirements, constraints)
		mu.Lock()
		defer mu.Unlock()
		if err == nil || said[err.Error()] && ctx.Err() == nil {
			return nil // what is wrong with a page is wrong for all targets
		}
		said[err.Error()] = true
		return err
	})
	return groups, err
}

// resolve makes a group of what one target needs for requirements.
func (r *reader) resolve(ctx context.Context, at int, label string, requirements, constraints []resolve.Wanted) (group, error) {
	g := group{target: at, label: label}
	t := r.entry.targets[at]
	var first []marker.Requirement
	for _, w := range requirements {
		if holds, err := w.Requirement.Marker.Holds(t.Env, marker.Selection{}); err == nil && holds && w.Requirement.URL == "" {
			first = append(first, w.Requirement)
		}
	}
	r.expect(ctx, at, first)
	result, err := resolve.Resolve(ctx, &provider{r, at}, resolve.Problem{
		Environment: t.Env, Requirements: requirements, Constraints: constraints, PreReleases: r.wanted.preRelease(r.entry),
	})
	conflict := new(resolve.Conflict)
	switch {
	case errors.As(err, &conflict) && len(conflict.PassedOver) > 0: // upstream's fault, and not that of the spec
		return g, r.entry.Pos.Wrap(&unmet{fmt.Errorf("%s: %w", t.Name(), err)})
	case errors.Is(err, resolve.ErrConflict), errors.Is(err, resolve.ErrTooDeep), errors.Is(err, marker.ErrInvalid):
		return g, r.entry.Pos.Errorf("%s: %w", t.Name(), err)
	case errors.Is(err, marker.ErrUnknown):
		return g, r.entry.Pos.Errorf("targets: %s: %w: set the version in full, as in python: \"3.12.4\", or platform-release", t.Name(), err)
	case err != nil:
		return g, err
	}
	for _, line := range result.Discarded {
		r.note("%s: %s", t.Name(), strings.ReplaceAll(line, "\n", ": "))
	}
	for _, line := range result.Missing {
		r.note("%s: %s", t.Name(), line)
	}
	for _, p := range result.Pins {
		f := p.Release.File.(*index.File)
		if p.Release.Yanked {
			r.note("%s: %s was taken back by its authors: %s", t.Name(), f.Name, f.YankedReason)
		}
		if label == "" && r.wanted.isHashed() && len(r.wanted.hashes[p.Name]) == 0 {
			return g, r.entry.Pos.Errorf("%s: %s %s has no --hash, and other requirements have: %s", t.Name(), p.Name, p.Release.Version, strings.Join(p.Because, "; "))
		}
		g.pins = append(g.pins, pin{p.Name, p.Extras, f, strings.Join(p.Because, "; ")})
	}
	return g, nil
}

// unmet is a conflict that upstream's own files lead to: what would do cannot be used. It
// matches fetch.ErrUpstream.
type unmet struct{ error }

// Unwrap returns the conflict and its class.
func (u *unmet) Unwrap() []error { return []error{u.error, fetch.ErrUpstream} }

// together returns constraints to the oldest version of each name that targets
// differ in.
func together(groups []group) []resolve.Wanted {
	oldest, differ := map[string]pep440.Version{}, map[string]bool{}
	for _, g := range groups {
		for _, p := range g.pins {
			v := p.file.Parsed.Version
			have, ok := oldest[p.name]
			if ok && have.Compare(v) != 0 {
				differ[p.name] = true
			}
			if !ok || v.Compare(have) < 0 {
				oldest[p.name] = v
			}
		}
	}
	var all []resolve.Wanted
	for _, name := range slices.Sorted(maps.Keys(differ)) {
		set, err := pep440.ParseSet("==" + oldest[name].String())
		if err == nil {
			all = append(all, resolve.Wanted{Requirement: marker.Requirement{Name: name, Set: set}, From: "resolution: one"})
		}
	}
	return all
}

// takeLock takes the files of a lock: those for the targets, or all.
func (r *reader) takeLock(ctx context.Context, c *chosen, number int, l *lockfile.Lock) error {
	label := ""
	if number > 0 || len(c.groups) > 0 {
		label = fmt.Sprintf("lock%d", number+1)
	}
	files := &index.Memo[lockfile.File, *index.File]{}
	find := func(p *lockfile.Package, f lockfile.File) (*index.File, error) {
		return files.Get(f, func() (*index.File, error) { return r.locked(ctx, l, p, f) })
	}
	if len(r.entry.targets) == 0 {
		for _, p := range l.Packages {
			for _, f := range p.Files {
				one, err := find(p, f)
				if err != nil {
					return r.entry.Pos.Wrap(fmt.Errorf("locks: %s: %w", l.Name, err))
				}
				c.loose = append(c.loose, pin{p.Name, nil, one, l.Name})
			}
		}
		return nil
	}
	var errs []error
	for at, t := range r.entry.targets {
		packages, err := l.For(t.Env)
		if err != nil {
			errs = append(errs, r.entry.Pos.Errorf("locks: %s: %w", t.Name(), err))
			continue
		}
		g := group{target: at, label: label}
		for _, p := range packages {
			f, err := r.prefer(t, p, find)
			if err != nil {
				errs = append(errs, r.entry.Pos.Wrap(fmt.Errorf("locks: %s: %w", l.Name, err)))
				continue
			}
			g.pins = append(g.pins, pin{p.Name, nil, f, l.Name})
		}
		c.groups = append(c.groups, g)
	}
	return strictyaml.Join(errs...)
}

// prefer returns the file of a locked package that a target takes.
func (r *reader) prefer(t pages.Target, p *lockfile.Package, find func(*lockfile.Package, lockfile.File) (*index.File, error)) (*index.File, error) {
	var best *index.File
	for _, f := range p.Files {
		one := &index.File{File: simple.File{Name: f.Name}}
		parsed, err := tags.ParseFile(p.Name, f.Name)
		if err != nil {
			continue // a file that no client takes
		}
		one.Parsed = parsed
		if t.Rank(parsed) < 0 || parsed.Sdist && r.entry.Sdists == sdistsNever {
			continue
		}
		if best == nil || prefers(t, one, best) {
			best = one
		}
	}
	if best == nil {
		return nil, fmt.Errorf("%s %s: no file of the lock is for %s: %w", p.Name, p.Version, t.Name(), bundle.ErrUsage)
	}
	at := slices.IndexFunc(p.Files, func(f lockfile.File) bool { return f.Name == best.Name })
	return find(p, p.Files[at])
}

// locked returns the file of a lock: from its address there, or, where it has none,
// from the index, which has to agree about its digest.
func (r *reader) locked(ctx context.Context, l *lockfile.Lock, p *lockfile.Package, f lockfile.File) (*index.File, error) {
	if f.URL != "" {
		if f.SHA256 == "" {
			return nil, fmt.Errorf("%s: the lock has no sha256 of it: %w", f.Name, fetch.ErrRefused)
		}
		return newFile(p.Name, simple.File{Name: f.Name, URL: f.URL, SHA256: f.SHA256, Size: f.Size}, l.Name)
	}
	all, err := r.project(ctx, p.Name)
	if err != nil {
		return nil, err
	}
	at := slices.IndexFunc(all.files, func(have *index.File) bool { return have.Name == f.Name })
	if at < 0 {
		return nil, fmt.Errorf("%s: the lock names it, and no index has it: %w", f.Name, fetch.ErrUpstream)
	}
	one := *all.files[at] // of the lock's own: targets share the page's
	switch {
	case f.SHA256 == "" && one.SHA256 == "":
		return nil, fmt.Errorf("%s: neither the lock nor the index has its sha256: %w", f.Name, fetch.ErrRefused)
	case f.SHA256 != "" && one.SHA256 != "" && f.SHA256 != one.SHA256:
		return nil, fmt.Errorf("%s: the lock says sha256:%s, %s says sha256:%s: %w", f.Name, f.SHA256, fetch.Redact(one.Index), one.SHA256, fetch.ErrRefused)
	case f.SHA256 != "":
		one.SHA256, one.Pinned = f.SHA256, l.Name
	}
	return &one, nil
}

// newest adds more versions of the names in packages, each with what it needs.
func (r *reader) newest(ctx context.Context, c *chosen) error {
	if r.entry.Newest < 2 {
		return nil
	}
	var extra []group
	for _, g := range c.groups {
		if g.label != "" {
			continue
		}
		for _, w := range r.wanted.packages {
			q := w.Requirement
			holds, err := q.Marker.Holds(r.entry.targets[g.target].Env, marker.Selection{})
			if err != nil || !holds || q.URL != "" {
				continue
			}
			p, err := r.project(ctx, q.Name)
			if err != nil {
				return err
			}
			left := r.entry.Newest
			for _, release := range p.targets[g.target].Releases {
				plain := !release.Yanked && (!release.Version.IsPreRelease() || q.Set.NamesPreRelease() || r.wanted.preRelease(r.entry)(q.Name))
				if left == 0 || !plain || !q.Set.Contains(release.Version) {
					continue
				}
				left--
				one := q
				if one.Set, err = pep440.ParseSet("==" + release.Version.String()); err != nil {
					return err
				}
				more, err := r.resolve(ctx, g.target, q.Name+"-"+release.Version.String(), []resolve.Wanted{{Requirement: one, From: "newest"}}, r.wanted.constraints)
				if conflict := new(resolve.Conflict); errors.As(err, &conflict) {
					r.note("newest: %s %s: not for %s", q.Name, release.Version, r.entry.targets[g.target].Name())
					for _, line := range conflict.PassedOver {
						r.note("newest: %s", line)
					}
					left++
					continue
				}
				if err != nil {
					return err
				}
				extra = append(extra, more)
			}
		}
	}
	c.groups = append(c.groups, extra...)
	return nil
}

// sdists adds source archives where they are always requested, and what the
// build of every source archive needs.
func (r *reader) sdists(ctx context.Context, c *chosen) error {
	if r.entry.Sdists == sdistsAlways {
		if err := r.addSdists(ctx, c); err != nil {
			return err
		}
	}
	built := map[string]bool{}
	for done := 0; done < len(c.groups); { // a build may need what has to be built
		g := c.groups[done]
		done++
		for _, p := range g.pins {
			if p.file.Parsed.Sdist {
				if err := r.build(ctx, c, g.target, p, built); err != nil {
					return err
				}
			}
		}
	}
	for _, p := range c.loose {
		for at := range r.entry.targets {
			if p.file.Parsed.Sdist {
				if err := r.build(ctx, c, at, p, built); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (r *reader) addSdists(ctx context.Context, c *chosen) error {
	seen := map[*index.File]bool{}
	for _, g := range c.groups {
		for _, p := range g.pins {
			all, err := r.project(ctx, p.name)
			if err != nil {
				return err
			}
			for _, f := range all.files {
				if !f.Parsed.Sdist || f.Parsed.Version.Compare(p.file.Parsed.Version) != 0 || f == p.file || seen[f] {
					continue
				}
				seen[f] = true
				if _, err := r.index.Metadata(ctx, p.name, f); err != nil {
					if err = r.leave(f, err); !errors.Is(err, resolve.ErrDiscard) {
						return err
					}
					r.note("%s", err.Error())
					continue
				}
				c.loose = append(c.loose, pin{p.name, nil, f, "sdists: always"})
			}
		}
	}
	return nil
}

// build adds a group of what the build of a source archive needs on a target.
func (r *reader) build(ctx context.Context, c *chosen, at int, p pin, built map[string]bool) error {
	label := "build-" + p.name + "-" + p.file.Parsed.Version.String()
	key := fmt.Sprintf("%d %s", at, label)
	if built[key] {
		return nil
	}
	built[key] = true
	k, err := r.index.Metadata(ctx, p.name, p.file)
	if err != nil {
		return err
	}
	var requirements []resolve.Wanted
	for _, q := range k.Sdist.Build {
		requirements = append(requirements, resolve.Wanted{Requirement: q, From: "the build of " + p.file.Name})
	}
	if len(requirements) == 0 {
		return nil
	}
	g, err := r.resolve(ctx, at, label, requirements, nil)
	if err != nil {
		return err
	}
	c.groups = append(c.groups, g)
	return nil
}

// compare notes names whose version differs between targets.
func (c *chosen) compare(e *entry) {
	versions := map[string]map[string][]string{}
	for _, g := range c.groups {
		if g.label != "" {
			continue
		}
		for _, p := range g.pins {
			if versions[p.name] == nil {
				versions[p.name] = map[string][]string{}
			}
			v := p.file.Parsed.Version.String()
			versions[p.name][v] = append(versions[p.name][v], e.targets[g.target].Name())
		}
	}
	for _, name := range slices.Sorted(maps.Keys(versions)) {
		if len(versions[name]) < 2 {
			continue
		}
		var parts []string
		for _, v := range slices.Sorted(maps.Keys(versions[name])) {
			parts = append(parts, v+" for "+strings.Join(versions[name][v], ", "))
		}
		c.notes = append(c.notes, name+": differs: "+strings.Join(parts, "; "))
	}
}
