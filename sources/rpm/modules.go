package rpm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/strictyaml"
	"github.com/gapbundle/gapbundle/sources/rpm/closure"
	"github.com/gapbundle/gapbundle/sources/rpm/modulemd"
	"github.com/gapbundle/gapbundle/sources/rpm/reindex"
	"github.com/gapbundle/gapbundle/sources/rpm/rpmmd"
)

// modules reads the modules of all repositories, and decides what a client sees
// of them. Nil: no repository has any, and none is asked for.
func (p *planner) modules(ctx context.Context, all []*gathered, release string) (*modulemd.View, error) {
	var indexes []*modulemd.Index
	var asked []modulemd.Ask
	var asking *gathered
	for _, g := range all {
		for i, l := range g.repos {
			if err := p.readModules(ctx, g, i); err != nil {
				return nil, g.pos.Wrap(fmt.Errorf("source %s: %w", g.name, err))
			}
			if l.modules != nil {
				indexes = append(indexes, l.modules)
			}
		}
		if len(g.asks) > 0 && asking == nil {
			asking = g
		}
		asked = append(asked, g.asks...)
	}
	if len(indexes) == 0 && asking == nil {
		return nil, nil
	}
	view, err := modulemd.NewView(indexes, asked, release)
	switch {
	case errors.Is(err, bundle.ErrMalformed):
		return nil, upstreamError("modules", err)
	case err != nil: // nothing else than what is asked for
		return nil, asking.pos.Errorf("source %s: modules: %w", asking.name, err)
	}
	return view, nil
}

// readModules reads the modules of a repository.
func (p *planner) readModules(ctx context.Context, g *gathered, repo int) error {
	l := g.repos[repo]
	m := l.find(typeModules)
	if m == nil || l.modules != nil {
		return nil
	}
	if err := p.fetchLater(ctx, g, repo, m); err != nil {
		return err
	}
	r, err := l.open(p.env.Scratch, m)
	if err != nil {
		return err
	}
	l.modules, err = modulemd.Parse(r)
	if err := errors.Join(err, r.Close()); err != nil {
		return upstreamError(l.at(m.path), err)
	}
	return nil
}

// fetchLater puts a metadata file into scratch that turned out to be needed.
func (p *planner) fetchLater(ctx context.Context, g *gathered, repo int, m *metadata) error {
	if m.local != "" {
		return nil
	}
	m.local = fmt.Sprintf("%s-%s-later-%d-%s", Name, strings.ReplaceAll(g.name, "/", "-"), repo, m.Type)
	n, err := g.repos[repo].download(ctx, p.env.Fetch, p.env.Scratch, m)
	g.scratch += n
	return err
}

// seen are the packages that a client sees. A source that is carried whole
// keeps everything: other clients see other streams.
func seen(view *modulemd.View, g *gathered, l *loaded, packages []*rpmmd.Package) []*rpmmd.Package {
	if view == nil || g.rebuilt && g.takesAll() {
		return packages
	}
	return slices.DeleteFunc(slices.Clone(packages), func(p *rpmmd.Package) bool {
		return !view.Sees(p.ModuleNEVRA(), p.Arch, namesOf(p), l.hotfixes)
	})
}

// countsModules says that of everything in a source the newest is carried: of
// modules that is for each stream what it is for all other packages together.
func (g *gathered) countsModules() bool { return g.rebuilt && g.takesAll() && g.options.Newest > 0 }

// modulesOf is what the choice calls the packages of modules of a source whose
// modules are counted.
func modulesOf(source string) string { return source + " (modules)" }

// apart puts packages of modules into indexes of their own, behind the others,
// where the newest are carried: no more of them than that.
func apart(view *modulemd.View, listings []listing, indexes []closure.Index) ([]listing, []closure.Index) {
	if view == nil {
		return listings, indexes
	}
	for i, l := range listings {
		if !l.g.countsModules() {
			continue
		}
		newest := newestOfStreams(view, indexes[i].Packages, l.g.options.Newest)
		modular := closure.Index{Source: modulesOf(l.g.name), Priority: indexes[i].Priority}
		var rest []*rpmmd.Package
		for _, p := range indexes[i].Packages {
			nevra := p.ModuleNEVRA()
			switch {
			case newest[nevra]:
				modular.Packages = append(modular.Packages, p)
			case !view.Lists(nevra):
				rest = append(rest, p)
			}
		}
		indexes[i].Packages = rest
		listings, indexes = append(listings, l), append(indexes, modular)
	}
	return listings, indexes
}

// newestOfStreams are the packages of the newest builds of each variant of a stream,
// and the newest of each name that it has, which may be of an older build.
func newestOfStreams(view *modulemd.View, packages []*rpmmd.Package, n int) map[string]bool {
	has := make(map[string]*rpmmd.Package, len(packages))
	for _, p := range packages {
		has[p.ModuleNEVRA()] = p
	}
	newest := map[string]bool{}
	for builds := range view.Builds() {
		names := map[string][]*rpmmd.Package{}
		for i, artifacts := range builds {
			for _, a := range artifacts {
				newest[a] = newest[a] || i < n
				if p := has[a]; p != nil && !slices.Contains(names[p.Name+"."+p.Arch], p) {
					names[p.Name+"."+p.Arch] = append(names[p.Name+"."+p.Arch], p)
				}
			}
		}
		for _, all := range names {
			slices.SortStableFunc(all, func(a, b *rpmmd.Package) int { return b.EVR.Compare(a.EVR) })
			for _, p := range all[:min(n, len(all))] {
				newest[p.ModuleNEVRA()] = true
			}
		}
	}
	return newest
}

// namesOf are a package's name and what it provides.
func namesOf(p *rpmmd.Package) iter.Seq[string] {
	return func(yield func(string) bool) {
		if !yield(p.Name) {
			return
		}
		for _, r := range p.Provides {
			if !yield(r.Name) {
				return
			}
		}
	}
}

// moduleRequest adds the packages of the modules that a source asks for.
func (g *gathered) moduleRequest(view *modulemd.View, r *closure.Request, indexes []closure.Index) error {
	var errs []error
	var own []*modulemd.Index
	for _, l := range g.repos {
		if l.modules != nil {
			own = append(own, l.modules)
		}
	}
	for _, ask := range g.asks {
		artifacts, names, err := view.Packages(own, g.architectures(), ask)
		wanted := make(map[string]bool, len(artifacts))
		for _, a := range artifacts {
			wanted[a] = true
		}
		found := len(names)
		r.Packages = append(r.Packages, names...)
		for _, index := range indexes {
			for _, pkg := range index.Packages {
				if nevra := pkg.ModuleNEVRA(); wanted[nevra] && !pkg.IsSource() {
					r.Packages = append(r.Packages, nevra)
					found++
				}
			}
		}
		if found == 0 && err == nil {
			err = fmt.Errorf("module %s: no package of it is here", ask.Module)
		}
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return g.pos.Errorf("source %s: modules: %w", g.name, err)
	}
	return nil
}

// parseModules reads the spec's modules.
func (e *entry) parseModules() error {
	var errs []error
	for _, text := range e.options.Modules {
		ask, err := modulemd.ParseAsk(text)
		if err != nil {
			errs = append(errs, e.pos.Errorf("modules: %w", err))
		}
		e.asks = append(e.asks, ask)
	}
	return strictyaml.Join(errs...)
}

// carriage is what modules are filtered by: what of them is carried, in
// whichever repository, and which streams are needed for it.
type carriage struct {
	packages map[string]bool
	needed   map[*modulemd.Stream]bool
}

// carry notes what was chosen, and what sources have that are carried whole.
func (p *planner) carry(view *modulemd.View, listings []listing, selections map[*gathered]*selection) {
	if view == nil {
		return
	}
	for _, l := range listings {
		if s := selections[l.g]; s != nil {
			for _, pkg := range s.repos[l.repo].packages {
				p.carried.packages[pkg.ModuleNEVRA()] = true
			}
			continue
		}
		for _, pkg := range l.index.Packages {
			p.carried.packages[pkg.ModuleNEVRA()] = true
		}
	}
	maps.Copy(p.carried.needed, view.Needed(p.carried.has))
}

func (c *carriage) has(nevra string) bool { return c.packages[nevra] }

// moduleFile makes modules.yaml of what is carried, if upstream has one and
// something of it is.
func (b *rebuilding) moduleFile(made *reindex.Builder, l *loaded) error {
	if l.modules == nil {
		return nil
	}
	if n, err := l.modules.Filter(io.Discard, b.carried.has, b.carried.needed); n == 0 || err != nil {
		return err
	}
	return made.Put(typeModules, "modules.yaml", true, func(w io.Writer) error {
		_, err := l.modules.Filter(w, b.carried.has, b.carried.needed)
		return err
	})
}
