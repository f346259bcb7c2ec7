package closure

import (
	"slices"

	"github.com/gapbundle/gapbundle/sources/apt/deb"
)

// client is a machine of one architecture that installs from the indexes.
type client struct {
	u         *universe
	native    string                    // its architecture
	installed map[string][]*deb.Package // by the names that they have and provide
}

func (x *client) addInstalled(name string, p *deb.Package) {
	if !slices.Contains(x.installed[name], p) {
		x.installed[name] = append(x.installed[name], p)
	}
}

// isInstalled reports whether the reference host has e, or a newer one.
func (x *client) isInstalled(e *entry) bool {
	return slices.ContainsFunc(x.installed[e.pkg.Name], func(p *deb.Package) bool {
		return p.Name == e.pkg.Name && effective(p, x.native) == e.on(x.native) && deb.CompareVersions(p.Version, e.pkg.Version) >= 0
	})
}

// isCandidate reports whether apt would take e of all versions of its package.
func (x *client) isCandidate(e *entry) bool {
	return x.u.candidate(e.pkg.Name, e.on(x.native), x.native) == e
}

// targets returns the entries that meet a clause of a package of architecture
// arch, in the order in which apt would try them; after those, versions that
// are nobody's candidate, which apt would take only if told.
func (x *client) targets(c deb.Clause, arch string) []*entry {
	var first, second []*entry
	seen := map[*entry]bool{}
	for _, r := range c {
		var group []*entry
		for _, e := range x.u.byName[r.Name] {
			if r.Admits(e.pkg.Version) && x.serves(e.pkg, r.Arch, arch) {
				group = append(group, e)
			}
		}
		slices.SortStableFunc(group, func(a, b *entry) int { // apt takes the client's own, even for a foreign package
			return boolRank(a.on(x.native) != x.native) - boolRank(b.on(x.native) != x.native)
		})
		group = append(group, x.provide(r, arch)...)
		for _, e := range group {
			if seen[e] {
				continue
			}
			seen[e] = true
			if x.isCandidate(e) {
				first = append(first, e)
			} else {
				second = append(second, e)
			}
		}
	}
	return append(first, second...)
}

// provide returns the packages that provide what r names, best first.
func (x *client) provide(r deb.Relation, arch string) []*entry {
	var all []*entry
	for _, p := range x.u.providers[r.Name] {
		if (r.Op == deb.Any || p.version != "" && r.Admits(p.version)) && p.pkg.Name != r.Name && x.serves(p.pkg, r.Arch, arch) {
			all = append(all, p.entry)
		}
	}
	if len(all) > 1 {
		slices.SortStableFunc(all, func(a, b *entry) int {
			if c := boolRank(a.on(x.native) != x.native) - boolRank(b.on(x.native) != x.native); c != 0 {
				return c
			}
			return x.u.compareProviders(a, b)
		})
	}
	return all
}

// serves reports whether a package may meet a relation with that qualifier
// in a package of architecture arch (policy 7.1 and Multi-Arch's own
// specification). A native package's unqualified relations are met by native
// ones alone: a client need not know the other architectures of a mirror.
func (x *client) serves(p *deb.Package, qualifier, arch string) bool {
	on := effective(p, x.native)
	switch qualifier {
	case "":
		return on == arch || (on == x.native && p.MultiArch == deb.MultiArchForeign)
	case "any":
		return (on == arch || on == x.native) && p.MultiArch == deb.MultiArchAllowed
	case "native":
		return on == x.native
	default:
		return on == qualifier
	}
}

// installedMeets reports whether something that is installed meets the clause.
func (x *client) installedMeets(c deb.Clause, arch string) bool {
	return x.meets(c, arch, x.installed, nil)
}

// meets reports whether a package in have meets the clause. A package in instead replaces the
// one of the same name.
func (x *client) meets(c deb.Clause, arch string, have map[string][]*deb.Package, instead map[string]*deb.Package) bool {
	if len(have) == 0 {
		return false
	}
	for _, r := range c {
		for _, p := range have[r.Name] {
			if q := instead[p.Name+":"+effective(p, x.native)]; q != nil {
				p = q
			}
			if x.serves(p, r.Arch, arch) && admitsPackage(r, p) {
				return true
			}
		}
	}
	return false
}

// admitsPackage reports whether p is what r names, or provides it.
func admitsPackage(r deb.Relation, p *deb.Package) bool {
	if p.Name == r.Name {
		return r.Admits(p.Version)
	}
	if p.Provides == "" {
		return false
	}
	clauses, err := deb.ParseRelations(p.Provides)
	if err != nil {
		return false // reported where the package was read
	}
	return slices.ContainsFunc(clauses, func(c deb.Clause) bool {
		return c[0].Name == r.Name && (r.Op == deb.Any || c[0].Version != "" && r.Admits(c[0].Version))
	})
}
