package rpm

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/strictyaml"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/rpm/closure"
	"github.com/gapbundle/gapbundle/sources/rpm/modulemd"
	"github.com/gapbundle/gapbundle/sources/rpm/reindex"
	"github.com/gapbundle/gapbundle/sources/rpm/rpmmd"
	"github.com/gapbundle/gapbundle/sources/upstream"
)

// viewOf decides what a client of a release sees of modules. Nil: no repository has any,
// and none is requested.
func viewOf(all []*loaded, listings []listing, release string) (*modulemd.View, error) {
	var indexes []*modulemd.Index
	for i := range listings {
		if listings[i].modules != nil {
			indexes = append(indexes, listings[i].modules)
		}
	}
	var asked []modulemd.Ask
	var asking *loaded
	for _, l := range all {
		if len(l.asks) > 0 && asking == nil {
			asking = l
		}
		asked = append(asked, l.asks...)
	}
	if len(indexes) == 0 && asking == nil {
		return nil, nil
	}
	view, err := modulemd.NewView(indexes, asked, release)
	switch {
	case errors.Is(err, bundle.ErrMalformed):
		return nil, upstream.Blame("modules", err)
	case err != nil: // nothing else than what is requested
		return nil, asking.pos.Errorf("source %s: modules: %w", asking.name, err)
	}
	return view, nil
}

// readModules reads the modules of a repository; nil: it has none.
func readModules(env *sources.Env, repo *loadedRepo) (*modulemd.Index, error) {
	m := repo.find(typeModules)
	if m == nil {
		return nil, nil
	}
	r, err := repo.open(env, m)
	if err != nil {
		return nil, err
	}
	index, err := modulemd.Parse(r)
	return index, errors.Join(upstream.Blame(repo.where(m.path), err), r.Close())
}

// seen returns the packages that a client sees. A source that is carried whole keeps
// everything, because other clients see other streams.
func seen(view *modulemd.View, l *listing, packages []*rpmmd.Package) []*rpmmd.Package {
	if view == nil || l.source.rebuilt && l.source.takesAll() {
		return packages
	}
	hotfixes := l.source.repos[l.repo].hotfixes
	return slices.DeleteFunc(slices.Clone(packages), func(p *rpmmd.Package) bool {
		return !view.Sees(p.ModuleNEVRA(), p.Arch, namesOf(p), hotfixes)
	})
}

// countsModules reports that the newest is carried of everything in a source. For modules
// each stream counts by itself.
func (e *entry) countsModules() bool { return e.rebuilt && e.takesAll() && e.options.Newest > 0 }

// modulesOf returns the name, within the choice, of the packages of modules of a source whose
// modules are counted.
func modulesOf(source string) string { return source + " (modules)" }

// apart puts packages of modules into indexes of their own, after the others, if the
// newest are carried: no more of them than that.
func apart(view *modulemd.View, listings []listing, indexes []closure.Index) ([]listing, []closure.Index) {
	if view == nil {
		return listings, indexes
	}
	for i, l := range listings {
		if !l.source.countsModules() {
			continue
		}
		newest := newestOfStreams(view, indexes[i].Packages, l.source.options.Newest)
		modular := closure.Index{Source: modulesOf(l.source.name), Priority: indexes[i].Priority}
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

// newestOfStreams returns the packages of the newest builds of each variant of a stream,
// and the newest of each name that it has, which may be of an older build.
func newestOfStreams(view *modulemd.View, packages []*rpmmd.Package, n int) map[string]bool {
	has := map[string]*rpmmd.Package{}
	for _, p := range packages {
		if nevra := p.ModuleNEVRA(); view.Lists(nevra) {
			has[nevra] = p
		}
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

// namesOf returns a package's name and what it provides.
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

// addModuleRequest adds the packages of the modules that a source asks for. listings and
// indexes are the source's own.
func addModuleRequest(view *modulemd.View, r *closure.Request, listings []listing, indexes []closure.Index) error {
	var errs []error
	var own []*modulemd.Index
	l := listings[0].source
	for i := range listings {
		if listings[i].modules != nil {
			own = append(own, listings[i].modules)
		}
	}
	for _, ask := range l.asks {
		artifacts, names, err := view.Packages(own, l.architectures(), ask)
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
			err = fmt.Errorf("module %s: the source has no package of it", ask.Module)
		}
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return l.pos.Errorf("source %s: modules: %w", l.name, err)
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

// carriedModules is what modules are filtered by: what of them is carried, in whichever
// repository, and which streams are needed for it.
type carriedModules struct {
	packages map[string]bool
	needed   map[*modulemd.Stream]bool
}

func (c *carriedModules) has(nevra string) bool { return c.packages[nevra] }

// addModules notes what was chosen, and what sources have that are carried whole.
func (c *choice) addModules(view *modulemd.View, listings []listing) {
	if view == nil {
		return
	}
	note := func(pkg *rpmmd.Package) {
		if nevra := pkg.ModuleNEVRA(); view.Lists(nevra) {
			c.modules.packages[nevra] = true
		}
	}
	for _, l := range listings {
		if s := c.selections[l.source.name]; s != nil {
			for _, pkg := range s.repos[l.repo].packages {
				note(pkg.Package)
			}
			continue
		}
		for _, pkg := range l.index.Packages {
			note(pkg)
		}
	}
	maps.Copy(c.modules.needed, view.Needed(c.modules.has))
}

// makeModules makes modules.yaml of what is carried, if upstream has one and something of
// it is.
func makeModules(made *reindex.Builder, modules *modulemd.Index, carried *carriedModules) error {
	if modules == nil {
		return nil
	}
	if n, err := modules.Filter(io.Discard, carried.has, carried.needed); n == 0 || err != nil {
		return err
	}
	return made.Put(typeModules, "modules.yaml", true, func(w io.Writer) error {
		_, err := modules.Filter(w, carried.has, carried.needed)
		return err
	}, readModulesOf(modules, carried))
}
