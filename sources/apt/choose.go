package apt

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources/apt/closure"
	"github.com/gapbundle/gapbundle/sources/apt/deb"
)

// selection is what was chosen of one source.
type selection struct {
	suites []suiteChoice // in the order of the source's
	notes  []string
}

type suiteChoice struct{ components []*componentChoice }

// componentChoice is what was chosen of a component. The one of a flat
// repository has no name.
type componentChoice struct {
	name     string
	packages []*deb.Package
	why      map[*deb.Package]string
	sources  []*deb.Source
}

// listing is an index that takes part in the choice.
type listing struct {
	source, suite int
	component     string
	form          *form
	index         closure.Index
}

// choose chooses over all sources together, for those that are rebuilt; nil
// for the others.
func (p *planner) choose(ctx context.Context, all []*loaded) ([]*selection, error) {
	chosen := make([]*selection, len(all))
	if !p.lists || all[0].unchanged {
		return chosen, nil
	}
	var listings []listing
	for i, l := range all {
		for j, s := range l.suites {
			for _, f := range s.forms {
				if f.group.target != targetPackages || f.local == "" {
					continue
				}
				packages, err := p.packages(s, f)
				if err != nil {
					return nil, l.pos.Wrap(fmt.Errorf("source %s: %w", l.name, err))
				}
				s.system = s.system || slices.ContainsFunc(packages, func(p *deb.Package) bool { return p.Name == systemPackage })
				index := closure.Index{Source: l.name, Priority: priority(s.release), Packages: packages}
				listings = append(listings, listing{i, j, f.group.component, f, index})
			}
		}
		if l.rebuilt {
			chosen[i] = l.nothing()
		}
	}
	c, err := p.chooseForClients(all, listings)
	if err != nil {
		return nil, err
	}
	if err := p.whole(ctx, all, listings, c.all); err != nil {
		return nil, err
	}
	for i, choice := range c.all {
		at := listings[choice.Index]
		if chosen[at.source] != nil {
			chosen[at.source].add(at, choice, c.why[i])
		}
	}
	for i, l := range all {
		if chosen[i] != nil {
			chosen[i].notes = append(c.notesOf(l), c.elsewhere(i, all, listings)...)
		}
	}
	return chosen, p.sourcePackages(all, chosen, listings, c)
}

// whole gives all choices their whole stanzas.
func (p *planner) whole(ctx context.Context, all []*loaded, listings []listing, choices []closure.Choice) error {
	byIndex := make([][]*closure.Choice, len(listings))
	for i := range choices {
		c := &choices[i]
		byIndex[c.Index] = append(byIndex[c.Index], c)
	}
	return each(ctx, len(listings), func(_ context.Context, i int) error {
		l := all[listings[i].source]
		if !l.rebuilt {
			return nil
		}
		return p.restore(l.suites[listings[i].suite], listings[i].form, byIndex[i])
	})
}

// priority is what apt gives an archive that says so itself.
func priority(r *deb.Release) int {
	switch {
	case r.NotAutomatic && r.ButAutomaticUpgrades:
		return 100
	case r.NotAutomatic:
		return 1
	}
	return 500
}

// packages reads an index that is in scratch.
func (p *planner) packages(s *loadedSuite, f *form) ([]*deb.Package, error) {
	r, err := p.open(s, f)
	if err != nil {
		return nil, err
	}
	var all []*deb.Package
	var slim slimmer
	for pkg, perr := range deb.Packages(r, deb.Limits{}) {
		if perr == nil {
			pkg, perr = slim.cut(pkg)
		}
		if perr != nil {
			err = upstreamError(s.describe(f), perr)
			break
		}
		all = append(all, pkg)
	}
	return all, errors.Join(err, r.Close())
}

// request is what a source's spec asks for.
func (l *loaded) request() (closure.Request, error) {
	o := &l.options
	r := closure.Request{
		Source: l.name, Packages: o.Packages, Sections: o.Sections, Newest: o.Newest, Exclude: o.Exclude,
		Recommends: o.Recommends, Architectures: l.architectures(),
		All: len(o.Packages)+len(o.Sections) == 0 && o.Reproduce == "",
	}
	var err error
	if r.Installed, err = l.status("installed", o.Installed); err != nil {
		return r, err
	}
	r.Reproduce, err = l.status("reproduce", o.Reproduce)
	return r, err
}

// status reads dpkg's status file of a reference host; "" is none.
func (l *loaded) status(key, name string) ([]*deb.Package, error) {
	if name == "" {
		return nil, nil
	}
	f, err := os.Open(within(l.dir, name))
	if err != nil {
		return nil, l.pos.Errorf("%s: %w", key, err)
	}
	defer f.Close()
	var all []*deb.Package
	for pkg, err := range deb.Installed(io.LimitReader(f, maxStatus), deb.Limits{}) {
		if err != nil {
			return nil, l.pos.Errorf("%s: %s: %w", key, name, err)
		}
		all = append(all, pkg)
	}
	if len(all) == 0 {
		return nil, l.pos.Errorf("%s: %s: no package is installed there", key, name)
	}
	return all, nil
}

// maxStatus bounds a status file; one of 5,000 packages has 10 MB.
const maxStatus = 1 << 30 // bytes

// nothing is an empty selection of a source.
func (l *loaded) nothing() *selection {
	sel := &selection{suites: make([]suiteChoice, len(l.suites))}
	for i, s := range l.suites {
		names := []string{""}
		if !s.flat {
			names = s.want.components(s.release)
		}
		for _, name := range names {
			sel.suites[i].components = append(sel.suites[i].components, &componentChoice{name: name, why: map[*deb.Package]string{}})
		}
	}
	return sel
}

// add adds what was chosen, and why: prefix says for which clients, if that
// does not go without saying.
func (sel *selection) add(at listing, c closure.Choice, prefix string) {
	for _, component := range sel.suites[at.suite].components {
		if component.name == at.component {
			component.packages = append(component.packages, c.Package)
			component.why[c.Package] = clip(prefix + strings.Join(c.Reason.Why(), "; "))
		}
	}
}

// clip bounds the reason for a package, which the ledger has to hold.
func clip(why string) string {
	const most, more = bundle.MaxAnnotationSize, "..."
	if len(why) <= most {
		return why
	}
	return strings.ToValidUTF8(why[:most-len(more)], "") + more
}

// sourcePackages adds the source packages of what was chosen, where they are
// asked for: from whichever suite of the source has them that the client sees.
func (p *planner) sourcePackages(all []*loaded, chosen []*selection, listings []listing, c *choices) error {
	var lists []closure.SourceIndex
	var places []listing
	for i, l := range all {
		for j, s := range l.suites {
			for _, f := range s.forms {
				if f.group.target != targetSources || f.local == "" || chosen[i] == nil {
					continue
				}
				packages, err := p.sources(s, f)
				if err != nil {
					return l.pos.Wrap(fmt.Errorf("source %s: %w", l.name, err))
				}
				lists = append(lists, closure.SourceIndex{Source: l.name, Packages: packages})
				places = append(places, listing{source: i, suite: j, component: f.group.component})
			}
		}
	}
	indexes := make([]closure.Index, len(listings))
	for i := range listings {
		indexes[i] = listings[i].index
	}
	for _, v := range c.views {
		var seen []closure.SourceIndex
		var at []listing
		for i, place := range places {
			if v.sees(all[place.source].suites[place.suite]) {
				seen, at = append(seen, lists[i]), append(at, place)
			}
		}
		found, err := closure.Sources(indexes, c.of(v), seen)
		if err != nil {
			return v.wrap(err)
		}
		for _, f := range found {
			chosen[at[f.Index].source].addSource(at[f.Index], f.Package)
		}
	}
	return nil
}

// addSource may add one several times: indexes have it once.
func (sel *selection) addSource(at listing, s *deb.Source) {
	for _, component := range sel.suites[at.suite].components {
		if component.name == at.component {
			component.sources = append(component.sources, s)
		}
	}
}

// sources reads an index of source packages that is in scratch.
func (p *planner) sources(s *loadedSuite, f *form) ([]*deb.Source, error) {
	r, err := p.open(s, f)
	if err != nil {
		return nil, err
	}
	var all []*deb.Source
	for src, serr := range deb.Sources(r, deb.Limits{}) {
		if serr != nil {
			err = upstreamError(s.describe(f), serr)
			break
		}
		all = append(all, src)
	}
	return all, errors.Join(err, r.Close())
}
