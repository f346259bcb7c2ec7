package rpm

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/gapbundle/gapbundle/internal/strictyaml"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/rpm/closure"
	"github.com/gapbundle/gapbundle/sources/rpm/modulemd"
	"github.com/gapbundle/gapbundle/sources/rpm/rpmmd"
)

// selection is what was chosen of one source.
type selection struct {
	repos []repoChoice // in the order of the source's
	notes []string
}

// repoChoice is what was chosen of one repository.
type repoChoice struct {
	packages []chosen
}

// chosen is a package, where it lies, and why.
type chosen struct {
	*rpmmd.Package
	at  spot
	why string
}

// listing is a primary that takes part in the choice.
type listing struct {
	g     *gathered
	repo  int // of g's
	index closure.Index
}

// choose chooses over all sources together, for those that are rebuilt; nil
// for the others.
func (p *planner) choose(ctx context.Context, all []*gathered) ([]*selection, error) {
	chosen := make([]*selection, len(all))
	if !p.lists || all[0].unchanged { // then all of them are
		return chosen, nil
	}
	selections := map[*gathered]*selection{}
	p.carried = carriage{map[string]bool{}, map[*modulemd.Stream]bool{}}
	var listings []listing
	in := rpmmd.Interner{Limit: p.listed.Limit}
	for i, g := range all {
		for j, l := range g.repos {
			index, err := p.index(g, l, &in)
			if err != nil {
				return nil, g.pos.Wrap(fmt.Errorf("source %s: %w", g.name, err))
			}
			listings = append(listings, listing{g, j, index})
		}
		if g.rebuilt {
			chosen[i] = &selection{repos: make([]repoChoice, len(g.repos))}
			selections[g] = chosen[i]
		}
	}
	taken := map[*rpmmd.Package]bool{} // for another release
	for _, release := range releases(all) {
		if err := p.chooseRelease(ctx, release, all, listings, selections, taken, &in); err != nil {
			return nil, err
		}
	}
	return chosen, nil
}

// chooseRelease chooses among the sources of one release.
func (p *planner) chooseRelease(ctx context.Context, release string, all []*gathered, listings []listing, selections map[*gathered]*selection, taken map[*rpmmd.Package]bool, in *rpmmd.Interner) error {
	other := func(g *gathered) bool { return !g.isOf(release) }
	all = slices.DeleteFunc(slices.Clone(all), other)
	listings = slices.DeleteFunc(slices.Clone(listings), func(l listing) bool { return other(l.g) })
	view, err := p.modules(ctx, all, release)
	if err != nil {
		return err
	}
	indexes := make([]closure.Index, len(listings))
	for i := range listings {
		l := &listings[i]
		indexes[i] = l.index
		indexes[i].Packages = seen(view, l.g, l.g.repos[l.repo], l.index.Packages)
	}
	listings, indexes = apart(view, listings, indexes)
	requests, notes, err := p.requests(all, indexes, view)
	if err != nil {
		return err
	}
	if err := p.files(ctx, listings, indexes, requests, in); err != nil {
		return err
	}
	sel, err := closure.Select(indexes, requests)
	if err != nil {
		return sources.Unresolved(upstreamError(typePrimary, err)) // that: relations of a package
	}
	for _, c := range sel.Choices {
		at := listings[c.Index]
		if s := selections[at.g]; s != nil && !taken[c.Package] {
			taken[c.Package] = true
			if err := s.repos[at.repo].add(c, &p.listed); err != nil {
				return err
			}
		}
	}
	p.carry(view, listings, selections)
	for _, g := range all {
		if s := selections[g]; s != nil {
			s.notes = append(append(s.notes, notes...), sel.Notes...)
		}
	}
	return nil
}

// requests are what the specs ask for, groups and modules taken apart.
func (p *planner) requests(all []*gathered, indexes []closure.Index, view *modulemd.View) (requests []closure.Request, notes []string, err error) {
	var errs []error
	first := 0
	for _, g := range all {
		own := indexes[first : first+len(g.repos)]
		first += len(g.repos)
		if !g.rebuilt {
			continue
		}
		r := g.request()
		more, err := p.expandGroups(g, &r, indexes)
		notes, errs = append(notes, more...), append(errs, err, g.moduleRequest(view, &r, own))
		requests = append(requests, r)
		if view != nil && g.countsModules() {
			r.Source, r.Newest = modulesOf(g.name), 0
			requests = append(requests, r)
		}
	}
	return requests, notes, strictyaml.Join(errs...)
}

// index reads the primary of a repository.
func (p *planner) index(g *gathered, l *loaded, in *rpmmd.Interner) (closure.Index, error) {
	index := closure.Index{Source: g.name, Priority: priority(l.priority)}
	err := p.packages(l, rpmmd.Relations, in, func(pkg *rpmmd.Package, at spot) error {
		l.climb = max(l.climb, climbs(at.path))
		index.Packages = append(index.Packages, pkg)
		return nil
	})
	return index, err
}

// priority is dnf's; "" is its default.
func priority(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0
	}
	return n
}

// files looks paths up in filelists that relations name and primary does not have.
func (p *planner) files(ctx context.Context, listings []listing, indexes []closure.Index, requests []closure.Request, in *rpmmd.Interner) error {
	paths := closure.WantedFiles(indexes, requests)
	if len(paths) == 0 {
		return nil
	}
	wanted := make(map[string]bool, len(paths))
	for _, name := range paths {
		wanted[name] = true
	}
	for i := range indexes {
		g := listings[i].g
		if err := p.filelists(ctx, g, listings[i].repo, &indexes[i], wanted, in); err != nil {
			return g.pos.Wrap(fmt.Errorf("source %s: %w", g.name, err))
		}
	}
	return nil
}

// filelists fills in who has the files that are wanted.
func (p *planner) filelists(ctx context.Context, g *gathered, repo int, index *closure.Index, wanted map[string]bool, in *rpmmd.Interner) (err error) {
	l := g.repos[repo]
	m := l.find(typeFilelists)
	if m == nil {
		return nil
	}
	if err := p.fetchLater(ctx, g, repo, m); err != nil {
		return err
	}
	places := make(map[string][]int, len(index.Packages))
	for i, pkg := range index.Packages {
		places[pkg.Checksum.Hex] = append(places[pkg.Checksum.Hex], i)
	}
	index.Files = map[string][]int{}
	r, err := l.open(p.env.Scratch, m)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	err = rpmmd.FindFiles(r, wanted, func(id, path string) error {
		here := places[id]
		if have := index.Files[path]; len(here) == 0 || len(have) > 0 && have[len(have)-1] == here[len(here)-1] {
			return nil // a package has it once
		}
		index.Files[path] = append(index.Files[path], here...)
		return in.Hold(2 * 8 * int64(len(here)))
	})
	if err != nil {
		return upstreamError(l.at(m.path), err)
	}
	return drained(r, l.at(m.path))
}

// request is what a source's spec asks for.
func (g *gathered) request() closure.Request {
	o := &g.options
	return closure.Request{
		Source: g.name, Packages: o.Packages, All: g.takesAll(), Newest: o.Newest, Exclude: o.Exclude,
		Recommends: o.Recommends, Sources: o.Sources, Architectures: g.architectures(),
	}
}

// takesAll says that no packages are named: what is chosen is left of everything.
func (g *gathered) takesAll() bool { return len(g.options.Packages)+len(g.options.Modules) == 0 }

// architectures are the clients': those of the spec, or the one that $basearch
// stands for.
func (g *gathered) architectures() []string {
	if len(g.options.Architectures) > 0 {
		return g.options.Architectures
	}
	if arch := g.options.Vars["basearch"]; arch != "" {
		return []string{arch}
	}
	return nil
}

// maxStep bounds what is told of one step of the way to a package.
const maxStep = 300 // bytes

// add adds what was chosen, and lets go of what it was chosen by.
func (c *repoChoice) add(choice closure.Choice, listed *rpmmd.Interner) error {
	pkg, err := listed.Keep(choice.Package)
	if err != nil {
		return upstreamError(typePrimary, err)
	}
	at, err := locateHref(pkg.Location, pkg.BaseURL)
	if err != nil {
		return err
	}
	why := choice.Why()
	for i, step := range why {
		if len(step) > maxStep {
			why[i] = strings.ToValidUTF8(step[:maxStep], "") + "..."
		}
	}
	c.packages = append(c.packages, chosen{pkg, at, strings.Join(why, "; ")})
	return upstreamError(typePrimary, listed.Hold(int64(len(c.packages[len(c.packages)-1].why))))
}
