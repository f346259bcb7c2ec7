package closure

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources/apt/deb"
	"github.com/gapbundle/gapbundle/sources/closure"
)

const defaultPriority = 500

// maxProviders bounds who provides one name: every relation to it looks at all
// of them. Debian 12 has at most 213.
const maxProviders = 10_000

// entry is a package in an index.
type entry struct {
	pkg      *deb.Package
	index    int
	priority int
	seq      int // over all indexes, in order
}

// provider is an entry that provides a name.
type provider struct {
	*entry
	version string // "": of no version
}

// universe is all that can be chosen.
type universe struct {
	indexes       []Index
	requests      map[string]*Request // by source
	architectures []string            // asked for, in order
	entries       []entry
	byName        map[string][]*entry // in apt's order of preference, whatever the architecture
	providers     map[string][]provider
	excluded      map[string]bool // names, for errors
	rank          map[string]int  // when apt first sees a name; made when first needed
}

func newUniverse(indexes []Index, requests []Request) (*universe, error) {
	u := &universe{indexes: indexes, requests: map[string]*Request{}, byName: map[string][]*entry{}, providers: map[string][]provider{}, excluded: map[string]bool{}}
	pins := map[string][]string{} // name, or name:arch, to the versions that are requested
	var errs []error
	for i := range requests {
		r := &requests[i]
		u.requests[r.Source] = r
		for _, a := range r.Architectures {
			if !slices.Contains(u.architectures, a) {
				u.architectures = append(u.architectures, a)
			}
		}
		errs = append(errs, closure.CheckPatterns(r.Source, slices.Concat(r.Packages, r.Exclude)...), r.checkExclusions())
		for _, want := range r.Packages {
			if name, version, ok := strings.Cut(want, "="); ok {
				pins[name] = append(pins[name], version)
			}
		}
		for _, p := range r.Reproduce {
			key := p.Name + ":" + p.Architecture
			pins[key] = append(pins[key], p.Version)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return u, u.add(pins)
}

func (u *universe) add(pins map[string][]string) error {
	n := 0
	for _, x := range u.indexes {
		n += len(x.Packages)
	}
	u.entries = make([]entry, 0, n)
	for i, x := range u.indexes {
		r := u.requests[x.Source]
		priority := cmp.Or(x.Priority, defaultPriority)
		for _, p := range x.Packages {
			if r.Excludes(p) {
				u.excluded[p.Name] = true
				continue
			}
			if !pinned(pins, p) {
				continue
			}
			u.entries = append(u.entries, entry{pkg: p, index: i, priority: priority, seq: len(u.entries)})
			e := &u.entries[len(u.entries)-1]
			u.byName[p.Name] = append(u.byName[p.Name], e)
			if p.Provides == "" {
				continue
			}
			clauses, err := deb.ParseRelations(p.Provides)
			if err != nil {
				return fmt.Errorf("source %s: package %s: Provides: %w", x.Source, p.ID(), err)
			}
			for _, c := range clauses {
				u.providers[c[0].Name] = append(u.providers[c[0].Name], provider{e, c[0].Version})
				if len(u.providers[c[0].Name]) > maxProviders {
					return fmt.Errorf("source %s: %s: provided by more than %d packages: %w", x.Source, c[0].Name, maxProviders, bundle.ErrMalformed)
				}
			}
		}
	}
	for _, all := range u.byName {
		slices.SortStableFunc(all, func(a, b *entry) int {
			return cmp.Or(cmp.Compare(b.priority, a.priority), deb.CompareVersions(b.pkg.Version, a.pkg.Version))
		})
	}
	return nil
}

// pinned reports whether no version of p was asked for, or this one.
func pinned(pins map[string][]string, p *deb.Package) bool {
	if len(pins) == 0 {
		return true
	}
	versions := slices.Concat(pins[p.Name], pins[p.Name+":"+p.Architecture])
	return len(versions) == 0 || slices.ContainsFunc(versions, func(v string) bool { return deb.CompareVersions(v, p.Version) == 0 })
}

// candidate returns the version that apt would take of a name on one architecture;
// nil: none.
func (u *universe) candidate(name, arch, native string) *entry {
	for _, e := range u.byName[name] {
		if e.on(native) == arch {
			return e
		}
	}
	return nil
}

// on returns the architecture that a package counts as for a native one.
func (e *entry) on(native string) string { return effective(e.pkg, native) }

func effective(p *deb.Package, native string) string {
	if p.Architecture == "all" {
		return native
	}
	return p.Architecture
}

// providerNames returns at most five of those who provide a name.
func (u *universe) providerNames(name string) []string {
	var all []string
	for _, p := range u.providers[name] {
		if !slices.Contains(all, p.pkg.Name) && len(all) < 5 {
			all = append(all, p.pkg.Name)
		}
	}
	return all
}

// versions returns at most five of those of a name, with the architecture.
func (u *universe) versions(name string) []string {
	var all []string
	for _, e := range u.byName[name] {
		if v := e.pkg.Version + " " + e.pkg.Architecture; !slices.Contains(all, v) && len(all) < 5 {
			all = append(all, v)
		}
	}
	return all
}

// compareProviders orders who provides a name as apt's CompareProviders does.
func (u *universe) compareProviders(a, b *entry) int {
	return cmp.Or(
		cmp.Compare(boolRank(b.pkg.Essential), boolRank(a.pkg.Essential)),
		cmp.Compare(priorityRank(a.pkg), priorityRank(b.pkg)),
		cmp.Compare(u.known(b.pkg.Name), u.known(a.pkg.Name)),
		cmp.Compare(a.seq, b.seq))
}

func boolRank(b bool) int {
	if b {
		return 1
	}
	return 0
}

// priorityRank returns apt's order: a package without a Priority is before all others,
// and one that apt does not know is after them.
func priorityRank(p *deb.Package) int {
	switch p.Field("Priority") {
	case "":
		return 0
	case "required":
		return 1
	case "important":
		return 2
	case "standard":
		return 3
	case "optional":
		return 4
	}
	return 5
}

// known returns when apt first sees a name, as a package or in a relation,
// while it reads the indexes: among providers that are equal otherwise it
// takes the one it came to know last (seen with apt 2.6).
func (u *universe) known(name string) int {
	if u.rank == nil {
		u.rank = make(map[string]int, len(u.byName)+len(u.byName)/4)
		for _, x := range u.indexes {
			for _, p := range x.Packages {
				u.meet(p)
			}
		}
	}
	return u.rank[name]
}

// meet ranks the names that p mentions, in apt's order.
func (u *universe) meet(p *deb.Package) {
	u.rankOf(p.Name)
	var values [10]string
	for name, value := range p.Fields() {
		if i := relationField(name); i >= 0 {
			values[i] = value
		}
	}
	for _, value := range values {
		for value != "" {
			var one string
			if end := strings.IndexAny(value, ",|"); end >= 0 {
				one, value = value[:end], value[end+1:]
			} else {
				one, value = value, ""
			}
			one = strings.Trim(one, " \t\n")
			if end := strings.IndexAny(one, " \t\n(:[<"); end >= 0 {
				one = one[:end]
			}
			if one != "" {
				u.rankOf(one)
			}
		}
	}
}

// relationField returns the place of a field in the order in which apt reads the
// relations of a package, -1 for others.
func relationField(name string) int {
	switch name {
	case "Pre-Depends":
		return 1
	case "Depends":
		return 0
	case "Suggests":
		return 2
	case "Recommends":
		return 3
	case "Conflicts":
		return 4
	case "Breaks":
		return 5
	case "Replaces":
		return 6
	case "Obsoletes":
		return 7
	case "Enhances":
		return 8
	case "Provides":
		return 9
	}
	return -1
}

func (u *universe) rankOf(name string) {
	if _, ok := u.rank[name]; !ok {
		u.rank[name] = len(u.rank) + 1
	}
}
