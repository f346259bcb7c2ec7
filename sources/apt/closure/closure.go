package closure

import (
	"cmp"
	"errors"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/sources/apt/deb"
	"github.com/gapbundle/gapbundle/sources/closure"
)

// Index is one list of binary packages. Indexes are in the order of the client's
// sources.
type Index struct {
	// Source is the name of the apt source it belongs to.
	Source string
	// Priority is apt's pin priority: 0 means 500; NotAutomatic archives
	// have 1, with ButAutomaticUpgrades 100.
	Priority int
	Packages []*deb.Package
}

// Request is what one source's spec asks for. A source without a request is
// there to be chosen from, and nothing of it is asked for.
type Request struct {
	Source string
	// Packages are "name[:arch][=version]"; name may be a pattern of
	// path.Match, which is looked up among the packages of this source.
	// A version keeps all others of that package out of the selection.
	Packages []string
	// Sections and Priorities ask for all packages of the source that are in
	// one of them; "net" also means "universe/net".
	Sections, Priorities []string
	// All asks for every package of the source.
	All bool
	// Bootstrap asks for what a new system is set up from; nil: nothing.
	Bootstrap *Bootstrap
	// Newest is how many versions of what is requested are carried; 0: of
	// Packages and Bootstrap one, of the rest all.
	Newest int
	// Exclude are packages of this source that are not chosen whatever depends on
	// them: "name[:arch][=version]", where name and version may be patterns. In
	// Reproduce they are skipped.
	Exclude []string
	// Reproduce asks for exactly these, and Installed are taken as being there.
	Reproduce, Installed []*deb.Package
	// Recommends follows those of packages of this source.
	Recommends bool
	// Architectures are those for which packages are asked for.
	Architectures []string
	// Elsewhere: others are asked for the same, so what is in no index is
	// reported in Selection.Missing and is no error.
	Elsewhere bool
	// Tolerant: what is requested and cannot be installed is carried all the
	// same, with a note, and is no error.
	Tolerant bool
}

// Bootstrap is what a new system is set up from: the packages of the source that are
// Essential or of one of Priorities, and With, as far as the source has them.
type Bootstrap struct {
	Priorities, With []string
	// Why precedes the name of a package in its reason.
	Why string
}

// Wants reports whether a package is one of them.
func (b *Bootstrap) Wants(p *deb.Package) bool {
	return p.Essential || slices.Contains(b.Priorities, p.Field("Priority")) || slices.Contains(b.With, p.Name)
}

// Missing is something that a request asks for and no index has.
type Missing struct {
	Source string
	// Name is as the request has it, or the ID of a package of Reproduce.
	Name string
	// Reproduce reports that it is of a status file.
	Reproduce bool
	Err       error // matches bundle.ErrUsage
}

// Choice is a package that was chosen.
type Choice struct {
	// Index is the place in the indexes that Select got.
	Index   int
	Package *deb.Package
	// Reason leads from the request to it.
	Reason *closure.Reason
}

// Selection is what was chosen.
type Selection struct {
	// Choices are in order of indexes, and in each of them in the list's own.
	Choices []Choice
	// Notes are for the person who reads the plan: what was requested by
	// section or pattern of sections and cannot be installed, Recommends that
	// nobody has, versions that are not apt's candidate. Sorted.
	Notes []string
	// Missing is what requests with Elsewhere ask for, in their order.
	Missing []Missing
}

// Select chooses from indexes what requests ask for. Errors match
// bundle.ErrUsage for what is requested and is in no index, and
// bundle.ErrIncomplete for what a package needs and no index has; all are
// reported, each with the chain that leads to it.
func Select(indexes []Index, requests []Request) (*Selection, error) {
	u, err := newUniverse(indexes, requests)
	if err != nil {
		return nil, err
	}
	sel := &collector{u: u, reasons: map[*entry]*closure.Reason{}, notes: closure.Notes{}}
	var errs []error
	found := map[string]bool{}
	for i := range requests {
		sel.reproduce(&requests[i], found)
	}
	for _, native := range u.architectures {
		s := newSolver(u, native)
		for i := range requests {
			if slices.Contains(requests[i].Architectures, native) {
				s.request(&requests[i], found)
			}
		}
		errs = append(errs, s.solve(sel))
	}
	var missing []Missing
	for i := range requests {
		for _, m := range notFound(u, &requests[i], found) {
			if requests[i].Elsewhere {
				missing = append(missing, m)
			} else {
				errs = append(errs, m.Err)
			}
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	s := sel.selection()
	s.Missing = missing
	return s, nil
}

// instead reports for people what the source has in the place of a package or pattern that is not
// found: other versions, the nearest names, or that exclude leaves it out.
func (u *universe) instead(r *Request, name string) string {
	var versions, names []string
	for _, x := range u.indexes {
		if x.Source != r.Source {
			continue
		}
		for _, p := range x.Packages {
			switch {
			case p.Name != name:
				names = append(names, p.Name)
			case r.Excludes(p):
				return ", left out by exclude " + strings.Join(r.Exclude, ", ")
			default:
				versions = append(versions, p.Version+" "+p.Architecture)
			}
		}
	}
	slices.Sort(names)
	switch {
	case closure.IsPattern(name):
		return closure.Hint("there are", names)
	case len(versions) == 0:
		return closure.Hint("there are", closure.Nearest(name, names))
	}
	return closure.Hint("there are", versions)
}

// notFound returns what is requested and is there for no architecture.
func notFound(u *universe, r *Request, found map[string]bool) (all []Missing) {
	for _, want := range r.Packages {
		if found[r.Source+" "+want] {
			continue
		}
		name, _, _ := strings.Cut(want, "=")
		name, _, _ = strings.Cut(name, ":")
		hint := cmp.Or(closure.Hint("provided by", u.providerNames(name)), u.instead(r, name))
		all = append(all, Missing{Source: r.Source, Name: want, Err: closure.NotFound(r.Source, want, hint)})
	}
	for _, p := range r.Reproduce {
		if !found[r.Source+" "+p.ID()] && !r.Excludes(p) {
			err := closure.NotFound(r.Source, p.ID()+" of the status file", "")
			all = append(all, Missing{Source: r.Source, Name: p.ID(), Reproduce: true, Err: err})
		}
	}
	return all
}

// collector joins what the architectures chose.
type collector struct {
	u       *universe
	reasons map[*entry]*closure.Reason
	notes   closure.Notes
}

// reproduce takes exactly what r.Reproduce names. Nothing is followed: the
// host on which all of it is installed has shown that nothing is missing.
func (c *collector) reproduce(r *Request, found map[string]bool) {
	for _, p := range r.Reproduce {
		for _, e := range c.u.byName[p.Name] {
			if e.pkg.Architecture == p.Architecture && deb.CompareVersions(e.pkg.Version, p.Version) == 0 {
				found[r.Source+" "+p.ID()] = true
				c.reasons[e] = closure.Because(closure.Text(p.ID()+" is installed on the reference host"), nil)
				break
			}
		}
	}
}

func (c *collector) selection() *Selection {
	s := &Selection{Notes: c.notes.Sorted()}
	chosen := make([]*entry, 0, len(c.reasons))
	for e := range c.reasons {
		chosen = append(chosen, e)
	}
	slices.SortFunc(chosen, func(a, b *entry) int { return cmp.Compare(a.seq, b.seq) })
	for _, e := range chosen {
		s.Choices = append(s.Choices, Choice{e.index, e.pkg, c.reasons[e]})
	}
	return s
}
