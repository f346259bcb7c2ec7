package rpm

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/gapbundle/gapbundle/internal/strictyaml"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/rebuild"
	"github.com/gapbundle/gapbundle/sources/rpm/closure"
	"github.com/gapbundle/gapbundle/sources/rpm/modulemd"
	"github.com/gapbundle/gapbundle/sources/rpm/rpmmd"
	"github.com/gapbundle/gapbundle/sources/upstream"
)

// choice is what was chosen over all sources: the second of the three steps of a plan.
type choice struct {
	// selections are those of the sources that are rebuilt, by name.
	selections map[string]*selection
	modules    carriedModules
	// held bounds what is known of all packages that are carried.
	held *rpmmd.Interner
}

// selection is what was chosen of one source.
type selection struct {
	repos []repoChoice // in the order of the source's
	notes []string
}

// repoChoice is what was chosen of one repository.
type repoChoice struct {
	packages []chosenPackage
	// climb is how many folders above the repository its packages begin.
	climb   int
	modules *modulemd.Index // nil: it has none
}

// chosenPackage is a package, where upstream has it, and why it was chosen.
type chosenPackage struct {
	*rpmmd.Package
	at  location
	why string
}

// listing is a primary that takes part in the choice.
type listing struct {
	source  *loaded
	repo    int // of the source's
	index   closure.Index
	climb   int
	modules *modulemd.Index // nil: the repository has none
}

// choose chooses over all sources together, for those that are rebuilt.
func choose(ctx context.Context, env *sources.Env, r *reading) (*choice, error) {
	c := &choice{
		selections: map[string]*selection{}, held: &rpmmd.Interner{Limit: r.limit},
		modules: carriedModules{map[string]bool{}, map[*modulemd.Stream]bool{}},
	}
	if !r.chooses() || r.all[0].unchanged { // then all of them are
		return c, nil
	}
	in := &rpmmd.Interner{Limit: r.limit}
	listings, err := readListings(env, r, in)
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, l := range r.all {
		if l.rebuilt {
			c.selections[l.name] = &selection{repos: make([]repoChoice, len(l.repos))}
			errs = append(errs, l.checkFilters(listings))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	for i := range listings {
		if s := c.selections[listings[i].source.name]; s != nil {
			s.repos[listings[i].repo] = repoChoice{climb: listings[i].climb, modules: listings[i].modules}
		}
	}
	taken := map[*rpmmd.Package]bool{} // for another release
	for _, release := range releases(r.all) {
		other := func(l *loaded) bool { return !l.isOf(release) }
		all := slices.DeleteFunc(slices.Clone(r.all), other)
		of := slices.DeleteFunc(slices.Clone(listings), func(l listing) bool { return other(l.source) })
		if err := c.addRelease(ctx, env, release, all, of, taken, in); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// checkFilters refuses exclusions that match nothing in any repository of the source.
func (l *loaded) checkFilters(listings []listing) error {
	var own []closure.Index
	for i := range listings {
		if listings[i].source == l {
			own = append(own, listings[i].index)
		}
	}
	r := l.request()
	return r.CheckFilters(own)
}

// readListings reads primary and the modules of all repositories.
func readListings(env *sources.Env, r *reading, in *rpmmd.Interner) ([]listing, error) {
	var all []listing
	for _, l := range r.all {
		for i, repo := range l.repos {
			one := listing{source: l, repo: i, index: closure.Index{Source: l.name, Priority: priority(repo.priority)}}
			err := repo.packages(env, rpmmd.Relations, in, func(p *rpmmd.Package, at location) error {
				if err := l.readable(p); err != nil {
					return err
				}
				one.climb = max(one.climb, climbs(at.path))
				one.index.Packages = append(one.index.Packages, p)
				return nil
			}, l.leaving())
			if err == nil {
				one.modules, err = readModules(env, repo)
			}
			if err != nil {
				return nil, sources.InSource(l.pos, l.name, err)
			}
			all = append(all, one)
		}
	}
	return all, nil
}

// maxLeft bounds the remarks on packages that are left out.
const maxLeft = 100

// leaving returns what notes a package that is left out because it cannot be used; nil: it
// is an error.
func (l *loaded) leaving() func(error) {
	if !l.options.Absent.Skips() {
		return nil
	}
	left := 0
	return func(err error) {
		if left++; left <= maxLeft {
			l.remarks = append(l.remarks, rebuild.LeftOut(err))
		}
	}
}

// readable refuses a package whose rich dependencies cannot be read, where such ones are
// left out. Otherwise that is an error if the package takes part in a choice.
func (l *loaded) readable(p *rpmmd.Package) error {
	if !l.options.Absent.Skips() {
		return nil
	}
	for _, list := range [][]*rpmmd.Relation{p.Provides, p.Requires, p.Conflicts, p.Obsoletes, p.Recommends, p.Supplements, p.Suggests, p.Enhances} {
		for _, relation := range list {
			if !relation.IsRich() {
				continue
			}
			if _, err := rpmmd.ParseRich(relation.Name); err != nil {
				return upstream.Blame("rich dependency", err)
			}
		}
	}
	return nil
}

// addRelease chooses among the sources of one release.
func (c *choice) addRelease(ctx context.Context, env *sources.Env, release string, all []*loaded, listings []listing, taken map[*rpmmd.Package]bool, in *rpmmd.Interner) error {
	view, err := viewOf(all, listings, release)
	if err != nil {
		return err
	}
	indexes := make([]closure.Index, len(listings))
	for i := range listings {
		indexes[i] = listings[i].index
		indexes[i].Packages = seen(view, &listings[i], indexes[i].Packages)
	}
	listings, indexes = apart(view, listings, indexes)
	requests, notes, err := requestsOf(env, all, listings, indexes, view)
	if err != nil {
		return err
	}
	if err := c.addFiles(ctx, env, listings, indexes, requests, in); err != nil {
		return err
	}
	sel, err := closure.Select(indexes, requests)
	if err != nil {
		err = sources.Unresolved(upstream.Blame(typePrimary, err)) // that: relations of a package
		for _, l := range all {
			if l.options.Absent.Skips() {
				err = rebuild.Missing(err, l.name, l.remarks)
			}
		}
		return err
	}
	for _, one := range sel.Choices {
		at := listings[one.Index]
		if s := c.selections[at.source.name]; s != nil && !taken[one.Package] {
			taken[one.Package] = true
			if err := s.repos[at.repo].add(one, c.held); err != nil {
				return err
			}
		}
	}
	c.addModules(view, listings)
	for _, l := range all {
		if s := c.selections[l.name]; s != nil {
			s.notes = append(append(s.notes, notes...), sel.Notes...)
		}
	}
	return nil
}

// requestsOf returns what the specs ask for, with the packages of groups and modules.
func requestsOf(env *sources.Env, all []*loaded, listings []listing, indexes []closure.Index, view *modulemd.View) (requests []closure.Request, notes []string, err error) {
	var errs []error
	first := 0
	for _, l := range all {
		from := first
		first += len(l.repos)
		if !l.rebuilt {
			continue
		}
		r := l.request()
		more, err := expandGroups(env, l, &r, indexes)
		notes, errs = append(notes, more...), append(errs, err, addModuleRequest(view, &r, listings[from:first], indexes[from:first]))
		requests = append(requests, r)
		if view != nil && l.countsModules() {
			r.Source, r.Newest = modulesOf(l.name), 0
			requests = append(requests, r)
		}
	}
	return requests, notes, strictyaml.Join(errs...)
}

// priority returns dnf's; "" is its default.
func priority(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0
	}
	return n
}

// addFiles looks paths up in filelists that relations name and primary does not have.
func (c *choice) addFiles(ctx context.Context, env *sources.Env, listings []listing, indexes []closure.Index, requests []closure.Request, in *rpmmd.Interner) error {
	paths := closure.WantedFiles(indexes, requests)
	if len(paths) == 0 {
		return nil
	}
	wanted := make(map[string]bool, len(paths))
	for _, name := range paths {
		wanted[name] = true
	}
	for i := range indexes {
		l := listings[i].source
		if err := addFilelists(ctx, env, &listings[i], &indexes[i], wanted, in); err != nil {
			return sources.InSource(l.pos, l.name, err)
		}
	}
	return nil
}

// addFilelists fills in which packages have the files that are wanted.
func addFilelists(ctx context.Context, env *sources.Env, from *listing, index *closure.Index, wanted map[string]bool, in *rpmmd.Interner) error {
	repo := from.source.repos[from.repo]
	m := repo.find(typeFilelists)
	if m == nil {
		return nil
	}
	if m.local == "" {
		// For a source that is carried whole, filelists is read only if it is needed: it is
		// the largest file of all.
		later := *m
		later.local = localName(from.source.entry, from.repo) + "-later"
		if _, _, err := repo.place.Download(ctx, env, later.local, repo.want(m.Data), m.path); err != nil {
			return err
		}
		m = &later
	}
	places := make(map[string][]int, len(index.Packages))
	for i, pkg := range index.Packages {
		places[pkg.Checksum.Hex] = append(places[pkg.Checksum.Hex], i)
	}
	index.Files = map[string][]int{}
	r, err := repo.open(env, m)
	if err != nil {
		return err
	}
	err = rpmmd.FindFiles(r, wanted, func(id, path string) error {
		here := places[id]
		if have := index.Files[path]; len(here) == 0 || len(have) > 0 && have[len(have)-1] == here[len(here)-1] {
			return nil // a package has it once
		}
		index.Files[path] = append(index.Files[path], here...)
		return in.Hold(2 * 8 * int64(len(here)))
	})
	if err == nil {
		err = upstream.Drain(repo.where(m.path), r)
	}
	return errors.Join(upstream.Blame(repo.where(m.path), err), r.Close())
}

// request returns what a source's spec asks for.
func (e *entry) request() closure.Request {
	o := &e.options
	return closure.Request{
		Source: e.name, Packages: o.Packages, All: e.takesAll(), Newest: o.Newest, Exclude: o.Exclude,
		Recommends: o.Recommends, Sources: o.Sources, Architectures: e.architectures(),
	}
}

// takesAll reports that no packages are named: everything is chosen that is not excluded.
func (e *entry) takesAll() bool { return len(e.options.Packages)+len(e.options.Modules) == 0 }

// architectures returns the clients': those of the spec, or the one that $basearch stands for.
func (e *entry) architectures() []string {
	if len(e.options.Architectures) > 0 {
		return e.options.Architectures
	}
	if arch := e.options.Vars["basearch"]; arch != "" {
		return []string{arch}
	}
	return nil
}

// maxStep bounds the text of one step of the way to a package.
const maxStep = 300 // bytes

// add adds what was chosen. The data that it was chosen by is not held any longer.
func (c *repoChoice) add(choice closure.Choice, held *rpmmd.Interner) error {
	pkg, err := held.Keep(choice.Package)
	if err != nil {
		return upstream.Blame(typePrimary, err)
	}
	at, err := locate(pkg.Location, pkg.BaseURL)
	if err != nil {
		return err
	}
	why := choice.Why()
	for i, step := range why {
		if len(step) > maxStep {
			why[i] = strings.ToValidUTF8(step[:maxStep], "") + "..."
		}
	}
	one := chosenPackage{pkg, at, strings.Join(why, "; ")}
	c.packages = append(c.packages, one)
	return upstream.Blame(typePrimary, held.Hold(int64(len(one.why))))
}
