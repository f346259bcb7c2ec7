package apt

import (
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"unicode"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/apt/closure"
	"github.com/gapbundle/gapbundle/sources/apt/deb"
	shared "github.com/gapbundle/gapbundle/sources/closure"
	"github.com/gapbundle/gapbundle/sources/rebuild"
)

// selection is what was chosen of one source: the second of the three steps of a plan.
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

// choose chooses over all sources together, for those that are rebuilt; nil for the
// others, and for all of them if the base stands for the choice.
func choose(ctx context.Context, env *sources.Env, r *reading) ([]*selection, error) {
	all := r.all
	chosen := make([]*selection, len(all))
	if r.mark == "" || all[0].unchanged {
		return chosen, nil
	}
	listings, err := list(env, all)
	if err != nil {
		return nil, err
	}
	c, err := chooseForClients(all, listings)
	if err != nil {
		return nil, withUnusable(err, env, all, listings)
	}
	if err := whole(ctx, env, all, listings, c.all); err != nil {
		return nil, err
	}
	for i, l := range all {
		if l.rebuilt {
			chosen[i] = l.nothing()
			for _, s := range l.suites {
				chosen[i].notes = append(chosen[i].notes, s.skipped...)
			}
			chosen[i].notes = append(append(chosen[i].notes, c.notesOf(l)...), c.elsewhere(i, all, listings)...)
		}
	}
	for i, choice := range c.all {
		at := listings[choice.Index]
		if chosen[at.source] != nil {
			chosen[at.source].add(at, choice, c.why[i])
		}
	}
	for i, l := range all {
		if chosen[i] == nil {
			continue
		}
		if err := chosen[i].addInstaller(env, l); err != nil {
			return nil, sources.InSource(l.pos, l.name, err)
		}
	}
	return chosen, sourcePackages(env, all, chosen, listings, c)
}

// list reads the indexes of binary packages of all suites, and notes which suites are
// a system's.
func list(env *sources.Env, all []*loaded) ([]listing, error) {
	var listings []listing
	for i, l := range all {
		for j, s := range l.suites {
			for _, f := range s.forms {
				if f.group.target != targetPackages || f.local == "" || isInstaller(f.group.component) {
					continue
				}
				packages, err := slimPackages(env, s, f)
				if err != nil {
					return nil, sources.InSource(l.pos, l.name, err)
				}
				s.system = s.system || slices.ContainsFunc(packages, func(p *deb.Package) bool { return p.Name == systemPackage })
				index := closure.Index{Source: l.name, Priority: priority(s.release), Packages: packages}
				listings = append(listings, listing{i, j, f.group.component, f, index})
			}
		}
	}
	return listings, nil
}

// whole puts the whole stanzas into all choices.
func whole(ctx context.Context, env *sources.Env, all []*loaded, listings []listing, choices []closure.Choice) error {
	byIndex := make([][]*closure.Choice, len(listings))
	for i := range choices {
		c := &choices[i]
		byIndex[c.Index] = append(byIndex[c.Index], c)
	}
	return sources.Each(ctx, len(listings), func(_ context.Context, i int) error {
		l := all[listings[i].source]
		if !l.rebuilt {
			return nil
		}
		return sources.InSource(l.pos, l.name, restore(env, l.suites[listings[i].suite], listings[i].form, byIndex[i]))
	})
}

// priority returns the pin that apt sets for an archive whose Release asks for it.
func priority(r *deb.Release) int {
	switch {
	case r.NotAutomatic && r.ButAutomaticUpgrades:
		return 100
	case r.NotAutomatic:
		return 1
	}
	return 500
}

// slimPackages reads an index that is in scratch, as far as a choice needs it.
func slimPackages(env *sources.Env, s *loadedSuite, f *form) ([]*deb.Package, error) {
	var all []*deb.Package
	var slim slimmer
	err := stanzas(env, s, f, deb.Packages, func(p *deb.Package) error {
		if err := s.unusable(p); err != nil {
			s.skipped = append(s.skipped, rebuild.LeftOut(err))
			return nil
		}
		p, err := slim.cut(p)
		all = append(all, p)
		return err
	})
	return all, err
}

// unusable returns why a package is left out because clients cannot read it; nil: it is not.
func (s *suite) unusable(p *deb.Package) error {
	if !s.entry.options.Absent.Skips() {
		return nil
	}
	return p.CheckForClient()
}

// withUnusable returns the error of a choice with the packages in it that clients cannot read:
// what is missing may be one of them, or what only a relation of theirs asks for.
func withUnusable(err error, env *sources.Env, all []*loaded, listings []listing) error {
	named := map[string]bool{}
	for word := range strings.FieldsFuncSeq(err.Error(), outsideNames) {
		named[strings.TrimRight(word, ".")] = true
	}
	for i, l := range all {
		remark := rebuild.Unusable
		if l.options.Absent.Skips() {
			remark = rebuild.LeftOut
		}
		var remarks []string
		for _, at := range listings {
			if at.source != i || !l.rebuilt {
				continue
			}
			failed := stanzas(env, l.suites[at.suite], at.form, deb.Packages, func(p *deb.Package) error {
				if named[p.Name] {
					if fault := p.CheckForClient(); fault != nil {
						remarks = append(remarks, remark(fault))
					}
				}
				return nil
			})
			if failed != nil {
				return errors.Join(err, failed)
			}
		}
		err = rebuild.Missing(err, l.name, remarks)
	}
	return err
}

// outsideNames reports whether a character is in no name of a package (Debian Policy 5.6.1; other
// archives have capital letters and _ too).
func outsideNames(r rune) bool {
	return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("+-._", r)
}

// request returns what a source's spec asks for.
func (l *loaded) request() (closure.Request, error) {
	o := &l.options
	r := closure.Request{
		Source: l.name, Packages: slices.Concat(o.Packages, o.BootstrapInclude), Bootstrap: l.bootstrap(), Sections: o.Sections, Newest: o.Newest, Exclude: o.Exclude,
		Recommends: o.Recommends, Architectures: l.architectures(),
		All: len(o.Packages)+len(o.Sections) == 0 && o.Reproduce == "" && o.Bootstrap == "",
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
	f, err := os.Open(sources.Within(l.dir, name))
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

// nothing returns an empty selection of a source.
func (l *loaded) nothing() *selection {
	sel := &selection{suites: make([]suiteChoice, len(l.suites))}
	for i, s := range l.suites {
		names := []string{""}
		if !s.flat {
			names = s.want.parts(s.release)
		}
		for _, name := range names {
			sel.suites[i].components = append(sel.suites[i].components, &componentChoice{name: name, why: map[*deb.Package]string{}})
		}
	}
	return sel
}

// add adds what was chosen, and why: prefix names the clients that it is for, if not
// all have it.
func (sel *selection) add(at listing, c closure.Choice, prefix string) {
	component := sel.suites[at.suite].component(at.component)
	component.packages = append(component.packages, c.Package)
	why := c.Reason.Why()
	why[0] = prefix + why[0]
	component.why[c.Package] = shared.Clip(why, bundle.MaxAnnotationSize)
}

// component returns what was chosen of the one with that name.
func (c *suiteChoice) component(name string) *componentChoice {
	return c.components[slices.IndexFunc(c.components, func(one *componentChoice) bool { return one.name == name })]
}

// sourcePackages adds the source packages of what was chosen, where they are
// asked for: from whichever suite of the source has them that the client sees.
func sourcePackages(env *sources.Env, all []*loaded, chosen []*selection, listings []listing, c *choices) error {
	var lists []closure.SourceIndex
	var places []listing
	for i, l := range all {
		for j, s := range l.suites {
			for _, f := range s.forms {
				if f.group.target != targetSources || f.local == "" || chosen[i] == nil {
					continue
				}
				var packages []*deb.Source
				err := stanzas(env, s, f, deb.Sources, func(src *deb.Source) error {
					packages = append(packages, src)
					return nil
				})
				if err != nil {
					return sources.InSource(l.pos, l.name, err)
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
	component := sel.suites[at.suite].component(at.component)
	component.sources = append(component.sources, s)
}
