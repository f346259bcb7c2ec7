package closure

import (
	"cmp"
	"errors"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/sources/closure"
	"github.com/gapbundle/gapbundle/sources/rpm/rpmmd"
)

// Index is the packages of one repository. Packages that its modules hide from
// the client are not among them.
type Index struct {
	// Source is the name of the rpm source it belongs to.
	Source string
	// Priority is dnf's priority of the repository, 0 stands for 99. The
	// lowest wins, whatever the versions.
	Priority int
	Packages []*rpmmd.Package
	// Files has for paths of WantedFiles the places in Packages of those that
	// filelists state have them.
	Files map[string][]int
}

// Request is what one source's spec asks for. A source without a request is
// there to be chosen from, and nothing of it is asked for.
type Request struct {
	Source string
	// Packages are what dnf install takes: a name, also with version,
	// release, epoch or architecture, a pattern, a path, something provided.
	// Names and patterns are looked up among the packages of all sources, as
	// dnf does.
	Packages []string
	// All asks for every package of the source.
	All bool
	// Newest is how many versions of what is requested are carried; 0: of
	// Packages one, with All all.
	Newest int
	// Exclude are names or patterns of packages of this source that are not
	// chosen whatever depends on them.
	Exclude []string
	// Recommends follows Recommends of this source's packages, and takes those
	// of its packages that supplement what is chosen.
	Recommends bool
	// Sources adds the source packages of what is chosen.
	Sources bool
	// Installed are taken as being there.
	Installed []*rpmmd.Package
	// Architectures are the base architectures of the clients, as x86_64.
	Architectures []string
}

// Choice is a package that was chosen.
type Choice struct {
	// Index is the place in the indexes that were given.
	Index   int
	Package *rpmmd.Package
	reason  *closure.Reason
}

// step is a step of the way to a package that a need leads to: to another choice than
// its first, if another is set. Its text is made when somebody reads the way.
type step struct {
	need    *need
	another bool
}

func (s step) String() string {
	if s.another {
		return s.need.String() + ", if another choice is not possible"
	}
	return s.need.String()
}

// Why leads from what was requested to this package, one relation an element; the first
// is the request. The middle of a very long way is left out.
func (c Choice) Why() []string { return c.reason.Why() }

// Selection is what was chosen.
type Selection struct {
	// Choices are in order of indexes, and in each of them in the list's own.
	Choices []Choice
	// Notes are for the person who reads the plan: what was requested with
	// others and cannot be installed, recommendations that nobody meets,
	// packages that are not the newest, conflicts among what is carried.
	// Sorted.
	Notes []string
}

// Select chooses from indexes what requests ask for. Errors match
// bundle.ErrUsage for what is requested and is in no index, and
// bundle.ErrIncomplete for what a package needs and no index has; all are
// reported, each with the chain that leads to it.
func Select(indexes []Index, requests []Request) (*Selection, error) {
	c := &collector{reasons: map[place]*closure.Reason{}, notes: closure.Notes{}, indexes: indexes}
	var errs []error
	found := map[string]bool{}
	for _, base := range bases(requests) {
		u, err := newUniverse(base, indexes, requests)
		if err != nil {
			return nil, err
		}
		s := newSolver(u)
		for i := range requests {
			if slices.Contains(requests[i].Architectures, base) {
				s.request(&requests[i], found)
			}
		}
		errs = append(errs, s.solve(c))
	}
	for i := range requests {
		for _, want := range requests[i].Packages {
			if !found[want] {
				if len(requests[i].Architectures) == 0 {
					errs = append(errs, closure.NoArchitecture(requests[i].Source, want))
					continue
				}
				errs = append(errs, closure.NotFound(requests[i].Source, want, hint(indexes, &requests[i], want)))
			}
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	for i := range requests {
		if requests[i].Sources {
			c.sources(&requests[i])
		}
	}
	return c.selection(), nil
}

// bases returns the base architectures of the requests, sorted.
func bases(requests []Request) []string {
	var all []string
	for i := range requests {
		all = append(all, requests[i].Architectures...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// hint names what there is of that name all the same: for other
// architectures, or excluded. For a pattern it is what the source has at all.
func hint(indexes []Index, r *Request, want string) string {
	var have, all []string
	var exclude []form
	for _, spec := range r.Exclude {
		exclude = append(exclude, forms(spec)...)
	}
	wanted := forms(want)
	for i := range indexes {
		for _, p := range indexes[i].Packages {
			if indexes[i].Source == r.Source {
				if matchesAny(exclude, p) && matchesAny(wanted, p) {
					return ", left out by exclude " + strings.Join(r.Exclude, ", ")
				}
				all = append(all, p.NEVRA())
			}
			if p.Name == want || strings.HasPrefix(want, p.Name+".") || strings.HasPrefix(want, p.Name+"-") {
				have = append(have, p.NEVRA())
			}
		}
	}
	if closure.IsPattern(want) {
		have = all
	}
	if slices.Sort(have); len(have) == 0 {
		have = closure.Nearest(want, slices.Sorted(slices.Values(all)))
	}
	text := closure.Hint("there are", have)
	if len(r.Architectures) > 0 && text != "" {
		text = " for " + strings.Join(r.Architectures, ", ") + text
	}
	return text
}

// place is a package's place in the indexes.
type place struct{ index, at int }

// collector joins what the architectures chose.
type collector struct {
	indexes []Index
	reasons map[place]*closure.Reason
	notes   closure.Notes
}

// sources adds the source packages of what is chosen from r's source.
func (c *collector) sources(r *Request) {
	all := map[string][]place{}
	for i := range c.indexes {
		for at, p := range c.indexes[i].Packages {
			if p.IsSource() {
				name := p.Name + "-" + p.EVR.Version + "-" + p.EVR.Release + "." + p.Arch + ".rpm"
				all[name] = append(all[name], place{i, at})
			}
		}
	}
	for _, choice := range c.selection().Choices {
		name := choice.Package.SourceRPM
		if c.indexes[choice.Index].Source != r.Source || name == "" {
			continue
		}
		if len(all[name]) == 0 {
			c.notes.Add("%s is built from %s, which is in no index", choice.Package.NEVRA(), name)
		}
		for _, at := range all[name] {
			if _, ok := c.reasons[at]; !ok {
				c.reasons[at] = closure.Because(closure.Text(choice.Package.NEVRA()+" is built from it"), choice.reason)
			}
		}
	}
}

func (c *collector) selection() *Selection {
	s := &Selection{}
	for at, why := range c.reasons {
		s.Choices = append(s.Choices, Choice{at.index, c.indexes[at.index].Packages[at.at], why})
	}
	order := make(map[*rpmmd.Package]int, len(c.reasons))
	for at := range c.reasons {
		order[c.indexes[at.index].Packages[at.at]] = at.at
	}
	slices.SortFunc(s.Choices, func(a, b Choice) int {
		return cmp.Or(cmp.Compare(a.Index, b.Index), cmp.Compare(order[a.Package], order[b.Package]))
	})
	s.Notes = c.notes.Sorted()
	return s
}
