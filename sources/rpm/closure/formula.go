package closure

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-air/gini"
	"github.com/go-air/gini/z"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources/rpm/rpmmd"
)

// maxLiterals bounds a formula: conflicts and obsoletes of hostile lists can
// multiply. The largest that all of Debian's 66,000 packages need has 120,000.
const maxLiterals = 1 << 25

// maxTime bounds one question to the SAT solver, which can be made to take any
// time. Those of real repositories take milliseconds.
const maxTime = time.Minute

// formula is what rpm demands of packages that are to be installed together,
// in conjunctive normal form: a variable for each node, true if it is chosen.
type formula struct {
	s     *solver
	sat   *gini.Gini
	nodes []*node
	vars  map[*node]z.Lit
	sets  map[**entry]*set
	size  int
	err   error
	// guards, if not nil, has for each clause that a relation makes a variable
	// that switches it on, and in which words to speak of it.
	guards map[z.Lit]string
}

// set is a set of packages that clauses speak of, by two chains of variables:
// before[i] is true if one of the first i is chosen, after[i] if one after the
// i-th is. So what conflicts with a set, or with all others of a set that it is
// in, costs two literals, however large the set.
type set struct {
	members       []z.Lit
	at            map[*entry]int
	one           z.Lit // true only if one is chosen
	before, after []z.Lit
}

// newFormula returns the formula of nodes; other packages do not exist in it. It is
// the same whatever the order of nodes.
func newFormula(s *solver, nodes []*node, guarded bool) *formula {
	f := &formula{s: s, sat: gini.New(), nodes: slices.Clone(nodes), vars: map[*node]z.Lit{}, sets: map[**entry]*set{}}
	slices.SortStableFunc(f.nodes, compareNodes)
	if guarded {
		f.guards = map[z.Lit]string{}
	}
	for _, n := range f.nodes {
		f.vars[n] = f.sat.Lit()
	}
	for _, n := range f.nodes {
		for _, d := range n.needs {
			if !d.soft {
				f.need(n, d)
			}
		}
		if n.entry != nil {
			f.conflicts(n)
			f.stays(n)
		}
	}
	f.versions()
	return f
}

// compareNodes puts roots first.
func compareNodes(a, b *node) int {
	switch {
	case a.entry == nil && b.entry == nil:
		return strings.Compare(a.why, b.why)
	case a.entry == nil:
		return -1
	case b.entry == nil:
		return 1
	}
	return cmp.Compare(a.order, b.order)
}

// lit returns the variable of a package; ok is false if the formula does not have it.
func (f *formula) lit(e *entry) (l z.Lit, ok bool) {
	l, ok = f.vars[e.node]
	return l, ok
}

// add adds a clause.
func (f *formula) add(clause ...z.Lit) {
	if f.size += len(clause); f.size > maxLiterals {
		f.err = fmt.Errorf("conflicts of the packages: more than %d: %w", maxLiterals, bundle.ErrMalformed)
		return
	}
	for _, l := range clause {
		f.sat.Add(l)
	}
	f.sat.Add(z.LitNull)
}

// of adds a clause that counts if n is chosen, and that field and text speak of.
func (f *formula) of(n *node, field, text string, clause ...z.Lit) {
	clause = append(clause, f.vars[n].Not())
	if f.guards != nil {
		guard := f.sat.Lit()
		if f.guards[guard] = text; n.entry != nil {
			f.guards[guard] = n.String() + " " + field + " " + text
		}
		clause = append(clause, guard.Not())
	}
	f.add(clause...)
}

// setOf makes a set once: many relations share theirs.
func (f *formula) setOf(all []*entry) *set {
	if len(all) == 0 {
		return &set{}
	}
	if s := f.sets[&all[0]]; s != nil && len(s.at) == len(all) {
		return s
	}
	s := &set{at: make(map[*entry]int, len(all))}
	for _, e := range all {
		if _, seen := s.at[e]; seen {
			continue
		}
		s.at[e] = -1
		if l, ok := f.lit(e); ok {
			s.members = append(s.members, l)
		}
	}
	slices.Sort(s.members)
	for _, e := range all {
		if l, ok := f.lit(e); ok {
			s.at[e], _ = slices.BinarySearch(s.members, l)
		}
	}
	f.sets[&all[0]] = s
	return s
}

// oneOf returns a literal that is true only if one of all is chosen; ok is false if
// none can be installed.
func (f *formula) oneOf(all []*entry) (l z.Lit, ok bool) {
	s := f.setOf(all)
	switch {
	case len(s.members) == 0:
		return z.LitNull, false
	case len(s.members) == 1:
		return s.members[0], true
	case s.one == z.LitNull:
		s.one = f.sat.Lit()
		f.add(append(slices.Clone(s.members), s.one.Not())...)
	}
	return s.one, true
}

// chain fills in before and after.
func (f *formula) chain(s *set) {
	if s.before != nil || len(s.members) == 0 {
		return
	}
	n := len(s.members)
	s.before, s.after = make([]z.Lit, n+1), make([]z.Lit, n)
	for i := 1; i <= n; i++ {
		s.before[i] = f.sat.Lit()
		f.add(s.members[i-1].Not(), s.before[i])
		if i > 1 {
			f.add(s.before[i-1].Not(), s.before[i])
		}
	}
	for i := n - 2; i >= 0; i-- {
		s.after[i] = f.sat.Lit()
		f.add(s.members[i+1].Not(), s.after[i])
		if i < n-2 {
			f.add(s.after[i+1].Not(), s.after[i])
		}
	}
}

// noneOf returns a literal that is true only if none of all but n itself is chosen;
// ok is false if there is none that could be.
func (f *formula) noneOf(all []*entry, n *node) (l z.Lit, ok bool) {
	s := f.setOf(all)
	at, within := s.at[n.entry]
	if len(s.members) == 0 || within && at >= 0 && len(s.members) == 1 {
		return z.LitNull, false
	}
	f.chain(s)
	if !within || at < 0 {
		return s.before[len(s.members)].Not(), true
	}
	l = f.sat.Lit()
	if at > 0 {
		f.add(l.Not(), s.before[at].Not())
	}
	if at < len(s.members)-1 {
		f.add(l.Not(), s.after[at].Not())
	}
	return l, true
}

// need adds a clause of a node, unless the node meets it itself. A relation
// that an installed package lacks already does not count.
func (f *formula) need(n *node, d *need) {
	if slices.Contains(d.candidates, n.entry) || n.entry != nil && n.installed && !d.met {
		return
	}
	var clause []z.Lit
	if l, ok := f.oneOf(d.candidates); ok {
		clause = append(clause, l)
	}
	for _, condition := range d.conditions {
		l, ok := f.noneOf(condition, n)
		if !ok {
			return
		}
		clause = append(clause, l)
	}
	if d.relation == nil {
		f.of(n, "", d.of.why, clause...)
		return
	}
	f.of(n, d.field, d.relation.String(), clause...)
}

// conflicts adds what n must not be installed with. That installed packages conflict
// with each other does not count.
func (f *formula) conflicts(n *node) {
	for _, r := range n.pkg.Conflicts {
		rich, err := f.s.u.parsed(r)
		if err != nil {
			continue // an error of its own when the package is chosen
		}
		all, err := clauses(rich, true)
		switch {
		case err == nil:
		case f.s.isReached(n):
			f.err = fmt.Errorf("package %s: conflicts: %w", n.pkg.NEVRA(), err)
			return
		default: // of no concern as long as others will do
			f.of(n, "conflicts with", r.String())
			return
		}
		for _, c := range all {
			f.conflict(n, r, c)
		}
	}
	for _, r := range n.pkg.Obsoletes {
		for _, named := range [...][]*entry{f.s.u.byName[r.Name], f.s.u.host[r.Name]} {
			for _, o := range named {
				if l, ok := f.lit(o); ok && obsoletes(n.entry, o) && !(n.installed && o.installed) {
					f.of(n, "obsoletes", r.String(), l.Not())
				}
			}
		}
	}
}

func (f *formula) conflict(n *node, r *rpmmd.Relation, c clause) {
	var clause []z.Lit
	for _, part := range c {
		all := f.s.members(part.rich)
		if n.installed {
			all = slices.DeleteFunc(slices.Clone(all), isInstalled)
		}
		if !part.not {
			if l, ok := f.oneOf(all); ok {
				clause = append(clause, l)
			}
			continue
		}
		l, ok := f.noneOf(all, n)
		if !ok {
			return
		}
		clause = append(clause, l)
	}
	f.of(n, "conflicts with", r.String(), clause...)
}

// stays reports for an installed package that it does, or another takes its place.
func (f *formula) stays(n *node) {
	if !n.installed {
		return
	}
	clause := []z.Lit{f.vars[n]}
	for _, e := range f.s.replacements(n.entry) {
		if l, ok := f.lit(e); ok {
			clause = append(clause, l)
		}
	}
	f.add(clause...)
}

// versions allows one package of a name and a word size.
func (f *formula) versions() {
	done := map[string]bool{}
	for _, n := range f.nodes {
		if n.entry == nil || done[n.pkg.Name] || isInstallOnly(n.pkg) {
			continue
		}
		done[n.pkg.Name] = true
		all := f.s.u.byName[n.pkg.Name]
		for _, wide := range []bool{true, false} {
			f.atMostOne(slices.DeleteFunc(slices.Clone(all), func(e *entry) bool { return e.rank > 0 && (e.rank == 1) != wide }))
		}
		for _, h := range f.s.u.host[n.pkg.Name] {
			for _, e := range all {
				a, have := f.lit(h)
				b, want := f.lit(e)
				if have && want && exclusive(h, e) {
					f.add(a.Not(), b.Not())
				}
			}
		}
	}
}

// atMostOne allows one of all.
func (f *formula) atMostOne(all []*entry) {
	s := f.setOf(all)
	if len(s.members) < 2 {
		return
	}
	f.chain(s)
	for i := 1; i < len(s.members); i++ {
		f.add(s.members[i].Not(), s.before[i].Not())
	}
}

// isInstallOnly reports whether dnf keeps several versions of p:
// its default of installonlypkgs.
func isInstallOnly(p *rpmmd.Package) bool {
	return slices.ContainsFunc(p.Provides, func(r *rpmmd.Relation) bool {
		return r.Name == "kernel" || r.Name == "kernel-PAE" || r.Name == "multiversion(kernel)" || strings.HasPrefix(r.Name, "installonlypkg(")
	})
}

// solve reports whether the formula can be true with what is assumed.
func (f *formula) solve(assumed []z.Lit) bool {
	if f.err != nil {
		return true
	}
	f.sat.Assume(assumed...)
	answer := f.sat.Try(maxTime)
	if answer == 0 {
		f.err = fmt.Errorf("not decided in %v whether the requested packages can be installed: %w", maxTime, bundle.ErrMalformed)
	}
	return answer >= 0
}

// can reports whether all of roots can be installed at the same time.
func (f *formula) can(roots ...*node) bool { return f.solve(f.lits(roots)) }

func (f *formula) lits(nodes []*node) []z.Lit {
	all := make([]z.Lit, len(nodes))
	for i, n := range nodes {
		all[i] = f.vars[n]
	}
	return all
}

// refused returns the roots that cannot be installed together with with.
func (f *formula) refused(with, roots []*node) []*node {
	if len(roots) == 0 || f.can(append(slices.Clone(with), roots...)...) {
		return nil
	}
	if len(roots) == 1 {
		return roots
	}
	half := len(roots) / 2
	return append(f.refused(with, roots[:half]), f.refused(with, roots[half:])...)
}

// most returns so many of roots that no other one can be installed with them; the first are
// preferred.
func (f *formula) most(roots []*node) []*node {
	roots = slices.Clone(roots)
	for len(roots) > 0 && !f.can(roots...) {
		core := f.why()
		i := len(roots) - 1
		for i > 0 && !core[f.vars[roots[i]]] {
			i--
		}
		roots = slices.Delete(roots, i, i+1)
	}
	return roots
}

// why returns the assumptions that the last answer, no, comes from.
func (f *formula) why() map[z.Lit]bool {
	core := map[z.Lit]bool{}
	for _, l := range f.sat.Why(nil) {
		core[l] = true
	}
	return core
}
