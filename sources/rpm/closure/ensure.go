package closure

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/go-air/gini/z"
)

// ensure makes sure that dnf can install from the selection whatever it can
// install from the whole: each request, each two requests by name, and all of
// these together, or as many as go together. If the first choices do not show
// that, a SAT solver decides. Packages that it finds missing are added. A
// request that cannot be installed from the whole either is given up, as if it
// needed something that no source has.
func (s *solver) ensure() (changed bool, err error) {
	for _, h := range s.u.hosts {
		s.lookAt(h)
	}
	s.settle()
	if s.shrunk { // what it was shown by may be gone
		s.shrunk = false
		for _, r := range s.roots {
			delete(s.proven, r)
		}
	}
	nodes := s.reach()
	x, err := s.enemiesAmong(nodes)
	if err != nil {
		return false, err
	}
	var doubtful []*node
	for _, n := range slices.Backward(nodes) { // so that what is given up has no users left to look at
		if !n.isBroken() && !s.proven[n] && !s.plain(x, n) {
			doubtful = append(doubtful, n)
		}
	}
	for some := range slices.Chunk(doubtful, atOnce) {
		more, err := s.ensureEach(some)
		if err != nil {
			return false, err
		}
		changed = changed || more
	}
	if changed {
		return true, nil
	}
	named := slices.DeleteFunc(slices.Clone(s.roots), func(r *node) bool { return r.rank != strict || r.from != nil || r.isBroken() })
	if len(named) < 2 || s.plain(x, named...) {
		return false, nil
	}
	return s.ensureAll(named)
}

// atOnce is how many packages are looked at by one formula: making it takes
// longer than solving it.
const atOnce = 1024

// ensureEach looks at packages and roots, each by itself.
func (s *solver) ensureEach(all []*node) (changed bool, err error) {
	all = slices.DeleteFunc(slices.Clone(all), func(n *node) bool { return n.isBroken() || s.proven[n] })
	have := newFormula(s, s.within(s.isReached, all...), false)
	left := s.unproven(have, all)
	if len(left) == 0 || have.err != nil {
		return false, have.err
	}
	whole := newFormula(s, s.within(anything, left...), false)
	for _, n := range left {
		switch isAsked := n.entry == nil && n.from == nil && n.rank != optional; {
		case n.isBroken(): // by now
		case whole.err != nil:
			return false, whole.err
		case !whole.can(n):
			n.hopeless, s.shrunk = true, true
			s.broken = append(s.broken, n)
			s.settle()
			changed = true
		case isAsked && s.meet(whole, n):
			changed = true
		default:
			s.proven[n] = true
		}
	}
	return changed, whole.err
}

// unproven returns which of all a formula cannot have. They are tried together
// first, and one half after the other where that fails.
func (s *solver) unproven(f *formula, all []*node) []*node {
	all = slices.DeleteFunc(slices.Clone(all), func(n *node) bool { return s.proven[n] })
	switch {
	case len(all) == 0:
		return nil
	case f.can(all...):
		s.prove(f)
		return nil
	case len(all) == 1:
		return all
	}
	half := len(all) / 2
	return append(s.unproven(f, all[:half]), s.unproven(f, all[half:])...)
}

// prove remembers what the model of a formula shows: that each package that is
// chosen in it can be installed.
func (s *solver) prove(f *formula) {
	if f.err != nil {
		return
	}
	for _, n := range f.nodes {
		if f.sat.Value(f.vars[n]) {
			s.proven[n] = true
		}
	}
}

// ensureAll looks at those that were requested by name, of which each can be
// had by itself.
func (s *solver) ensureAll(named []*node) (changed bool, err error) {
	have := newFormula(s, s.within(s.isReached, named...), false)
	if have.can(named...) {
		return false, have.err
	}
	whole := newFormula(s, s.within(anything, named...), false)
	for _, demand := range s.pairs(have, whole, named) {
		changed = s.meet(whole, demand...) || changed
	}
	return changed, cmp.Or(have.err, whole.err)
}

func anything(*node) bool { return true }

// pairs returns the pairs of roots that can be installed together from the whole and not from
// what there is, two by two and as many as go together.
func (s *solver) pairs(have, whole *formula, roots []*node) [][]*node {
	var demands [][]*node
	for i, r := range roots {
		for _, o := range have.refused([]*node{r}, roots[i+1:]) {
			if whole.can(r, o) {
				demands = append(demands, []*node{r, o})
			}
		}
	}
	most := whole.most(roots)
	if len(most) > 2 && !have.can(most...) {
		demands = append(demands, most)
	}
	s.apart = nil
	for _, r := range roots {
		if !slices.Contains(most, r) {
			s.apart = append(s.apart, r.why+", and cannot be installed together with everything else that is: dnf refuses that from the source as well")
		}
	}
	return demands
}

// within returns roots, the packages among in that they can lead to, whatever is
// chosen, and those that are installed.
func (s *solver) within(in func(*node) bool, roots ...*node) []*node {
	found := slices.Clone(roots)
	seen := map[*node]bool{}
	push := func(e *entry) {
		if n := s.lookAt(e); !seen[n] && in(n) {
			seen[n] = true
			found = append(found, n)
		}
	}
	for _, h := range s.u.hosts {
		seen[h.node] = true
		found = append(found, h.node)
	}
	for next := 0; next < len(found); {
		s.settle()
		s.leadsTo(found[next], push)
		next++
	}
	return found
}

// meet picks for demand, and for everything that it leads to, the first package that is
// possible next to those picked before: a picked one, then what dnf would choose. It
// returns false if all of them were picked already. It covers what widen does not
// foresee: in 69 real requests and in 18,000 of made-up repositories it was never needed.
func (s *solver) meet(whole *formula, demand ...*node) (changed bool) {
	t := &taking{solver: s, whole: whole, taken: map[*node]bool{}}
	s.reach()
	for _, r := range demand {
		t.take(r)
	}
	for next := 0; next < len(t.queue) || t.wake(); {
		for ; next < len(t.queue); next++ {
			t.follow(t.queue[next])
		}
	}
	return t.changed && whole.err == nil
}

// taking is one solution that grows.
type taking struct {
	*solver
	whole   *formula
	taken   map[*node]bool
	queue   []*node
	fixed   []z.Lit // of taken
	dormant []*need // that count only if something else is taken
	changed bool
}

func (t *taking) take(n *node) {
	if !t.taken[n] {
		t.taken[n] = true
		t.queue, t.fixed = append(t.queue, n), append(t.fixed, t.whole.vars[n])
	}
}

func (t *taking) follow(n *node) {
	for _, d := range n.needs {
		switch {
		case d.soft || d.met:
		case len(d.conditions) > 0:
			t.dormant = append(t.dormant, d)
		default:
			t.meet(d)
		}
	}
}

// wake meets needs that have come to count, and takes what lifts conflicts
// that have come up; false: there are none.
func (t *taking) wake() bool {
	before := len(t.queue)
	isTaken := func(e *entry) bool { return t.taken[e.node] }
	for _, d := range t.dormant {
		if !slices.ContainsFunc(d.conditions, func(set []*entry) bool { return !slices.ContainsFunc(set, isTaken) }) {
			t.meet(d)
		}
	}
	for _, n := range slices.Clone(t.queue) {
		for _, e := range t.lifters(n) {
			if l, ok := t.whole.lit(e); ok && !isTaken(e) && !t.whole.solve(append(slices.Clone(t.fixed), l.Not())) {
				if !t.isReached(e.node) {
					t.changed = true
					t.addRoot(&node{why: e.pkg.NEVRA() + " lifts a conflict of " + n.String(), rank: optional, from: n}, []*entry{e})
				}
				t.take(e.node)
			}
		}
	}
	for _, h := range t.u.hosts {
		t.replace(h)
	}
	return len(t.queue) > before
}

// replace takes what has to take an installed package's place.
func (t *taking) replace(h *entry) {
	others := t.replacements(h)
	if slices.ContainsFunc(others, func(e *entry) bool { return t.taken[e.node] }) || t.isPossible(h) {
		return
	}
	for len(others) > 0 {
		first := t.u.order(prune(others), everything)[0]
		if t.isPossible(first) {
			if !t.isReached(first.node) {
				t.changed = true
				t.addRoot(&node{why: first.pkg.NEVRA() + " takes the place of " + h.pkg.NEVRA() + ", which is installed", rank: optional, from: t.queue[0]}, []*entry{first})
			}
			t.take(first.node)
			return
		}
		others = slices.DeleteFunc(others, func(e *entry) bool { return e == first })
	}
}

// meet takes the first that is possible for a need.
func (t *taking) meet(d *need) {
	left := slices.DeleteFunc(slices.Clone(d.candidates), func(e *entry) bool { return slices.Contains(d.picks, e) })
	for _, e := range d.picks {
		if t.isPossible(e) {
			t.take(e.node)
			return
		}
	}
	for len(left) > 0 {
		first := t.u.order(prune(left), everything)[0]
		if t.isPossible(first) {
			t.changed = t.pick(d, first) || t.changed
			t.take(first.node)
			return
		}
		left = slices.DeleteFunc(left, func(e *entry) bool { return e == first })
	}
}

func (t *taking) isPossible(e *entry) bool {
	l, ok := t.whole.lit(e)
	return ok && (t.taken[e.node] || t.whole.solve(append(slices.Clone(t.fixed), l)))
}

// replacements returns what can take the place of an installed package: other
// versions, older ones as dnf's allow_downgrade has it, and what obsoletes it.
func (s *solver) replacements(h *entry) []*entry {
	return append(slices.Clone(s.u.byName[h.pkg.Name]), s.u.obsoleters([]*entry{h})...)
}

// lifters returns the packages that can lift one of n's conflicts.
func (s *solver) lifters(n *node) (found []*entry) {
	if n.entry == nil {
		return nil
	}
	for _, r := range n.pkg.Conflicts {
		rich, err := s.u.parsed(r)
		if err != nil || !r.IsRich() {
			continue
		}
		all, err := clauses(rich, true)
		if err != nil {
			continue
		}
		for _, c := range all {
			for _, l := range c {
				if !l.not {
					found = append(found, s.members(l.rich)...)
				}
			}
		}
	}
	return found
}

// maxCore bounds the relations that an error names.
const maxCore = 12

// quarrel reports why n cannot be installed: relations of which each can be met,
// and not all.
func (s *solver) quarrel(n *node) string {
	f := newFormula(s, s.within(anything, n), true)
	var core []z.Lit
	for guard := range f.guards {
		core = append(core, guard)
	}
	slices.Sort(core)
	cannot := func(guards []z.Lit) bool { return !f.solve(append([]z.Lit{f.vars[n]}, guards...)) }
	if cannot(core) {
		why := f.why()
		core = slices.DeleteFunc(core, func(guard z.Lit) bool { return !why[guard] })
	}
	for i := 0; i < len(core); {
		if rest := slices.Delete(slices.Clone(core), i, i+1); cannot(rest) {
			core = rest
		} else {
			i++
		}
	}
	var all []string
	for _, guard := range core {
		if text := f.guards[guard]; text != n.why {
			all = append(all, text)
		}
	}
	if len(all) > maxCore {
		all = append(all[:maxCore], fmt.Sprintf("and %d more", len(all)-maxCore))
	}
	return "no choice of packages meets all of these: " + strings.Join(all, "; ")
}

// leadsTo calls visit with what can be installed because of n.
func (s *solver) leadsTo(n *node, visit func(*entry)) {
	for _, d := range n.needs {
		if d.soft {
			continue
		}
		for _, e := range d.candidates {
			visit(e)
		}
	}
	for _, e := range s.lifters(n) {
		visit(e)
	}
	if n.entry != nil && n.installed {
		for _, e := range s.replacements(n.entry) {
			visit(e)
		}
	}
}
