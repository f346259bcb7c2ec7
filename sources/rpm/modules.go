package rpm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/internal/strictyaml"
	"github.com/gapbundle/gapbundle/sources/rpm/closure"
	"github.com/gapbundle/gapbundle/sources/rpm/modulemd"
	"github.com/gapbundle/gapbundle/sources/rpm/reindex"
	"github.com/gapbundle/gapbundle/sources/rpm/rpmmd"
)

// modules reads the modules of all repositories, and decides what a client sees
// of them. Nil: no repository has any, and none is asked for.
func (p *planner) modules(ctx context.Context, all []*gathered) (*modulemd.View, error) {
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
	view, err := modulemd.NewView(indexes, asked)
	if err != nil {
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
	return slices.DeleteFunc(slices.Clone(packages), func(p *rpmmd.Package) bool { return !view.Sees(p.Name, p.ModuleNEVRA(), l.hotfixes) })
}

// moduleRequest adds the packages of the modules that a source asks for.
func (g *gathered) moduleRequest(view *modulemd.View, r *closure.Request, indexes []closure.Index) error {
	var errs []error
	for _, ask := range g.asks {
		found := 0
		for i, l := range g.repos {
			if l.modules == nil {
				continue
			}
			names, err := view.Packages(l.modules, ask)
			errs = append(errs, err)
			wanted := map[string]bool{}
			for _, name := range names {
				wanted[name] = true
			}
			for _, pkg := range indexes[i].Packages {
				if pkg.IsSource() || !wanted[pkg.ModuleNEVRA()] && (ask.Profile == "" || !wanted[pkg.Name]) {
					continue
				}
				r.Packages = append(r.Packages, pkg.ModuleNEVRA())
				found++
			}
		}
		if found == 0 && errors.Join(errs...) == nil {
			errs = append(errs, fmt.Errorf("module %s: no package of it is here", ask.Module))
		}
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

// moduleFile makes modules.yaml of what was chosen, if upstream has one and
// something of it was.
func (b *rebuilding) moduleFile(made *reindex.Builder, l *loaded, c *repoChoice) error {
	if l.modules == nil {
		return nil
	}
	carried := map[string]bool{}
	for _, pkg := range c.packages {
		carried[pkg.ModuleNEVRA()] = true
	}
	has := func(nevra string) bool { return carried[nevra] }
	if n, err := l.modules.Filter(io.Discard, has); n == 0 || err != nil {
		return err
	}
	return made.Put(typeModules, "modules.yaml", true, func(w io.Writer) error {
		_, err := l.modules.Filter(w, has)
		return err
	})
}
