package closure

import (
	"errors"
	"fmt"
	"slices"

	"github.com/gapbundle/gapbundle/sources/apt/deb"
	"github.com/gapbundle/gapbundle/sources/closure"
)

// widen adds what the choices so far make necessary without a relation of
// their own: the next alternative where the first conflicts with another
// choice, and newer versions of installed packages that a choice breaks. It
// reports whether there was any.
func (s *solver) widen() bool {
	var chosen []*node
	s.reach(func(n *node, _ *closure.Reason) { chosen = append(chosen, n) })
	known := len(s.nodes)
	roots := len(s.roots)
	also := s.alternatives(chosen)
	s.upgrades(chosen)
	return also || len(s.nodes) > known || len(s.roots) > roots
}

// alternatives carries, for each need whose choice conflicts with another
// choice, the next target that does not.
func (s *solver) alternatives(chosen []*node) bool {
	conflicting := s.conflicts(chosen)
	if len(conflicting) == 0 {
		return false
	}
	inside := make(map[*entry]bool, len(chosen))
	for _, n := range chosen {
		inside[n.entry] = true
	}
	any := false
	for _, n := range chosen {
		for _, d := range n.needs {
			if d.met || d.chosen() == nil || !conflicting[d.chosen()] {
				continue
			}
			rest := d.targets[d.at+1:]
			if slices.ContainsFunc(rest, func(e *entry) bool { return inside[e] && !conflicting[e] }) {
				continue
			}
			for i, e := range rest {
				at := d.at + 1 + i
				if s.isCandidate(e) && !conflicting[e] && !slices.Contains(d.also, at) && s.take(d, at) {
					d.also = append(d.also, at)
					any = true
					break
				}
			}
		}
	}
	return any
}

// conflicts returns the choices that cannot be installed together with some other.
func (s *solver) conflicts(chosen []*node) map[*entry]bool {
	names := map[string][]*entry{}
	for _, n := range chosen {
		names[n.pkg.Name] = append(names[n.pkg.Name], n.entry)
		clauses, _ := deb.ParseRelations(n.pkg.Provides) // was read before
		for _, c := range clauses {
			names[c[0].Name] = append(names[c[0].Name], n.entry)
		}
	}
	found := map[*entry]bool{}
	for _, n := range chosen {
		for _, r := range s.negative(n.pkg) {
			for _, e := range names[r.Name] {
				if e.pkg.Name != n.pkg.Name && admitsPackage(r, e.pkg) && (r.Arch == "" || r.Arch == "any" || r.Arch == e.on(s.native)) {
					found[e], found[n.entry] = true, true
				}
			}
		}
	}
	return found
}

// negative returns the relations by which p keeps others out.
func (s *solver) negative(p *deb.Package) []deb.Relation {
	var all []deb.Relation
	for _, field := range [...]string{"Conflicts", "Breaks"} {
		clauses, err := deb.ParseRelations(p.Field(field))
		if err != nil {
			s.err = errors.Join(s.err, fmt.Errorf("package %s: %s: %w", p.ID(), field, err))
		}
		for _, c := range clauses {
			all = append(all, c...)
		}
	}
	return all
}

// upgrades adds the candidates of installed packages that a choice breaks, by
// saying so or by taking the place of the version that they depend on.
func (s *solver) upgrades(chosen []*node) {
	if len(s.installed) == 0 {
		return
	}
	g := &upgrading{s: s, chosen: chosen, instead: map[string]*deb.Package{}}
	for _, n := range chosen {
		key := n.pkg.Name + ":" + n.on(s.native)
		if old := g.instead[key]; old == nil || deb.CompareVersions(old.Version, n.pkg.Version) < 0 {
			g.instead[key] = n.pkg
		}
	}
	for _, n := range chosen {
		for _, r := range s.negative(n.pkg) {
			for _, p := range s.installed[r.Name] {
				if p.Name != n.pkg.Name && admitsPackage(r, p) {
					g.upgrade(p, n.pkg.ID()+" cannot be installed with the installed "+p.ID())
				}
			}
		}
	}
	g.siblings()
	have := g.withChoices()
	for _, name := range sortedNames(s.installed) {
		for _, p := range s.installed[name] {
			if p.Name != name || g.instead[p.Name+":"+effective(p, s.native)] != nil {
				continue
			}
			for _, field := range [...]string{"Pre-Depends", "Depends"} {
				clauses, err := deb.ParseRelations(p.Field(field))
				if err != nil {
					s.err = errors.Join(s.err, fmt.Errorf("installed package %s: %s: %w", p.ID(), field, err))
				}
				for _, c := range clauses {
					on := effective(p, s.native)
					if s.installedMeets(c, on) && !s.meets(c, on, have, g.instead) {
						g.upgrade(p, "the installed "+p.ID()+" "+"depends on "+c.String())
					}
				}
			}
		}
	}
}

// upgrading is what the choices make of what is installed.
type upgrading struct {
	s       *solver
	chosen  []*node
	instead map[string]*deb.Package // what takes the place of an installed package, by name and architecture
}

// siblings upgrades with an installed package the others that were built from
// the same source, as apt does by APT::Get::Upgrade-By-Source-Package.
func (g *upgrading) siblings() {
	versions := map[string]*deb.Package{} // by source package: one that replaces an installed one
	for _, n := range g.chosen {
		replaces := slices.ContainsFunc(g.s.installed[n.pkg.Name], func(p *deb.Package) bool { return p.Name == n.pkg.Name })
		if name, version := n.pkg.Source(); replaces {
			versions[name+" "+version] = n.pkg
		}
	}
	if len(versions) == 0 {
		return
	}
	for _, name := range sortedNames(g.s.installed) {
		for _, p := range g.s.installed[name] {
			if p.Name != name {
				continue
			}
			e := g.s.u.candidate(p.Name, effective(p, g.s.native), g.s.native)
			if e == nil {
				continue
			}
			source, version := e.pkg.Source()
			if with := versions[source+" "+version]; with != nil {
				g.upgrade(p, with.ID()+" is built from the source of the installed "+p.ID())
			}
		}
	}
}

// withChoices returns what is installed and what is chosen, by the names they have
// and provide.
func (g *upgrading) withChoices() map[string][]*deb.Package {
	have := make(map[string][]*deb.Package, len(g.s.installed))
	for name, all := range g.s.installed {
		have[name] = slices.Clone(all)
	}
	for _, n := range g.chosen {
		have[n.pkg.Name] = append(have[n.pkg.Name], n.pkg)
		clauses, _ := deb.ParseRelations(n.pkg.Provides) // was read before
		for _, c := range clauses {
			have[c[0].Name] = append(have[c[0].Name], n.pkg)
		}
	}
	return have
}

func sortedNames(m map[string][]*deb.Package) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// upgrade adds the candidate of an installed package, if it is newer.
func (g *upgrading) upgrade(p *deb.Package, why string) {
	on := effective(p, g.s.native)
	if g.instead[p.Name+":"+on] != nil {
		return
	}
	if e := g.s.u.candidate(p.Name, on, g.s.native); e != nil && !g.s.isInstalled(e) {
		g.instead[p.Name+":"+on] = e.pkg
		g.s.addRoot(e, why, whatever)
	}
}
