package apt

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/apt/closure"
	"github.com/gapbundle/gapbundle/sources/apt/deb"
	"github.com/gapbundle/gapbundle/sources/upstream"
)

// view is what a client sees of a set: the suites of one release and those of
// none; or all of them, where release is "".
type view struct {
	release  string
	releases []string // of the set; empty: there is one kind of client
	// alone is the one suite that is seen by those who set up a system from it; nil: v is
	// a client of a system.
	alone  *loadedSuite
	chosen []int // places in choices.all
	notes  []string
}

// views returns the views of all clients that a set is for. One that sees everything
// is among them: some mix releases, and one sources file may have several.
func views(all []*loaded) []*view {
	found := releases(all)
	if len(found) < 2 {
		return []*view{{}}
	}
	views := make([]*view, 0, len(found)+1)
	for _, r := range found {
		views = append(views, &view{release: r, releases: found})
	}
	return append(views, &view{releases: found})
}

// mixed reports whether v sees several releases: it may be that nobody has such a
// client.
func (v *view) mixed() bool { return v.alone == nil && v.release == "" && len(v.releases) > 0 }

func (v *view) sees(s *loadedSuite) bool {
	if v.alone != nil {
		return s == v.alone
	}
	if v.release == "" {
		return true
	}
	own := s.releaseOf(v.releases)
	return own == "" || own == v.release
}

func (v *view) seesAny(l *loaded) bool { return slices.ContainsFunc(l.suites, v.sees) }

func (v *view) String() string {
	if v.alone != nil {
		return "suite " + v.alone.name + " by itself"
	}
	if v.release == "" {
		return "clients of all releases at once"
	}
	return "clients of release " + v.release
}

// wrap adds to an error which clients it is about.
func (v *view) wrap(err error) error {
	switch {
	case err == nil:
		return nil
	case v.alone != nil:
		return fmt.Errorf("bootstrap, %s: %w", v, err)
	case v.release == "":
		return err
	}
	return fmt.Errorf("%s, which use every source without another release (set it with release: in the spec): %w", v, err)
}

// choices are what all clients of a set take.
type choices struct {
	views   []*view // of clients, and then of those who set up systems
	clients int
	all     []closure.Choice
	why     []string             // what precedes the reason of each
	at      map[*deb.Package]int // places in all
	missing []*missing
}

// missing is what a source asks for and clients of some releases do not find.
type missing struct {
	closure.Missing
	releases []string
}

// chooseForClients chooses for a client of each release by itself: one that
// saw the packages of another release, which have the same names, would take
// those, and the other release would stay incomplete.
func chooseForClients(all []*loaded, listings []listing) (*choices, error) {
	c := &choices{views: views(all), at: map[*deb.Package]int{}}
	systems, err := bootstraps(all, listings)
	if err != nil {
		return nil, err
	}
	c.clients = len(c.views)
	c.views = append(c.views, systems...)
	requests := make([]closure.Request, len(all))
	var unmatched []error
	for i, l := range all {
		if !l.rebuilt {
			continue
		}
		if requests[i], err = l.request(); err != nil {
			return nil, err
		}
		var own []closure.Index
		for _, at := range listings {
			if at.source == i {
				own = append(own, at.index)
			}
		}
		unmatched = append(unmatched, requests[i].CheckFilters(own))
	}
	if err := errors.Join(unmatched...); err != nil {
		return nil, err
	}
	var errs []error
	for _, v := range c.views {
		errs = append(errs, v.wrap(c.choose(v, all, listings, requests)))
	}
	return c, errors.Join(append(errs, c.nowhere(all))...)
}

// choose chooses for one client.
func (c *choices) choose(v *view, all []*loaded, listings []listing, requests []closure.Request) error {
	var indexes []closure.Index
	var places []int
	for i, at := range listings {
		if v.sees(all[at.source].suites[at.suite]) {
			indexes, places = append(indexes, at.index), append(places, i)
		}
	}
	var asked []closure.Request
	for i, l := range all {
		if l.rebuilt && v.seesAny(l) {
			r := requests[i]
			r.Tolerant = v.mixed()
			r.Elsewhere = v.mixed() || c.users(l) > 1
			if v.alone != nil {
				r = alone(r, l.options.BootstrapInclude)
			}
			asked = append(asked, r)
		}
	}
	sel, err := closure.Select(indexes, asked)
	if err != nil {
		return sources.Unresolved(upstream.Blame("package lists", err))
	}
	why := ""
	if v.mixed() || v.alone != nil {
		why = v.String() + ": "
	} else {
		c.miss(v, sel.Missing)
	}
	for _, choice := range sel.Choices {
		choice.Index = places[choice.Index]
		at, known := c.at[choice.Package]
		if !known {
			at = len(c.all)
			c.at[choice.Package] = at
			c.all, c.why = append(c.all, choice), append(c.why, why)
		}
		v.chosen = append(v.chosen, at)
	}
	v.notes = sel.Notes
	return nil
}

// users counts the releases whose clients use a source.
func (c *choices) users(l *loaded) (n int) {
	for _, v := range c.views {
		if v.release != "" && v.seesAny(l) {
			n++
		}
	}
	return n
}

func (c *choices) miss(v *view, all []closure.Missing) {
	for _, m := range all {
		i := slices.IndexFunc(c.missing, func(o *missing) bool { return o.Source == m.Source && o.Name == m.Name })
		if i < 0 {
			i = len(c.missing)
			c.missing = append(c.missing, &missing{Missing: m})
		}
		c.missing[i].releases = append(c.missing[i].releases, v.release)
	}
}

// nowhere reports what the clients of no release find.
func (c *choices) nowhere(all []*loaded) error {
	var errs []error
	for _, l := range all {
		for _, m := range c.missing {
			if m.Source == l.name && len(m.releases) == c.users(l) {
				errs = append(errs, m.Err)
			}
		}
	}
	return errors.Join(errs...)
}

// of returns the choices of one client.
func (c *choices) of(v *view) []closure.Choice {
	all := make([]closure.Choice, len(v.chosen))
	for i, at := range v.chosen {
		all[i] = c.all[at]
	}
	return all
}

// notesOf returns remarks for a source.
func (c *choices) notesOf(l *loaded) []string {
	systems := c.systemsOf(l)
	if c.clients == 1 {
		return append(systems, c.views[0].notes...)
	}
	notes, users := systems, []string(nil)
	told := map[string]bool{}
	for _, v := range c.views[:c.clients] {
		if !v.seesAny(l) {
			continue
		}
		if v.release != "" {
			users = append(users, v.release)
		}
		for _, note := range v.notes {
			if !v.mixed() || !told[note] {
				notes = append(notes, v.String()+": "+note)
			}
			told[note] = true
		}
	}
	for _, m := range c.missing {
		if m.Source == l.name && !m.Reproduce {
			notes = append(notes, fmt.Sprintf("release %s: package %s, which is requested: in no index", strings.Join(m.releases, ", "), m.Name))
		}
	}
	return append([]string{"chosen for clients of release " + strings.Join(users, ", ")}, notes...)
}

// systemsOf returns remarks on the suites of a source that are complete by themselves.
func (c *choices) systemsOf(l *loaded) (notes []string) {
	for _, v := range c.views[c.clients:] {
		if v.seesAny(l) {
			notes = append(notes, fmt.Sprintf("bootstrap %s: %s is complete, %s", l.options.Bootstrap, v, bundle.Count(len(v.chosen), "package")))
			for _, note := range v.notes {
				notes = append(notes, v.String()+": "+note)
			}
		}
	}
	return notes
}

// elsewhere warns about packages that were requested from this source, and that apt takes
// from another source of the set although this one has them. Clients that use only this
// source would lack them.
func (c *choices) elsewhere(source int, all []*loaded, listings []listing) []string {
	from := map[string][]int{} // sources, by name of package
	for _, choice := range c.all {
		name, at := choice.Package.Name, listings[choice.Index].source
		if !slices.Contains(from[name], at) {
			from[name] = append(from[name], at)
		}
	}
	var notes []string
	for _, want := range all[source].options.Packages {
		name, _, _ := strings.Cut(want, "=")
		name, _, _ = strings.Cut(name, ":")
		has := func(at listing) bool {
			return at.source == source && slices.ContainsFunc(at.index.Packages, func(p *deb.Package) bool { return p.Name == name })
		}
		if others := from[name]; len(others) > 0 && !slices.Contains(others, source) && slices.ContainsFunc(listings, has) {
			notes = append(notes, fmt.Sprintf("package %s, which is requested: apt takes that of source %s; if clients do not have both, set release: for each, or make two sets", name, all[others[0]].name))
		}
	}
	return notes
}
