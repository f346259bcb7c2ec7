package closure

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/sources/closure"
	"github.com/gapbundle/gapbundle/sources/rpm/rpmmd"
)

// solver chooses for clients of one base architecture. It is one algorithm over one state, the choices
// so far, which every step reads and may change: so it has more methods than other types.
type solver struct {
	u       *universe
	all     []*node // in the order in which they were found
	roots   []*node
	queue   []*node // relations not yet looked at
	broken  []*node // found to be, users not yet updated
	dormant []*need // asked for only if something else is chosen
	// reached are the nodes that are chosen, nearest to the roots first, as found
	// in the present round.
	reached []*node
	round   int
	known   map[*rpmmd.Relation][]*entry
	// supplementing, updating and newer are those for which supplements, updates
	// and sameOrder have made a root, so that none gets two of a kind.
	supplementing, updating, newer map[*entry]bool
	// conflicts and apart are notes: conflicts among what is carried, and what
	// was asked for and cannot be installed together with the rest of it.
	conflicts, apart []string
	// proven are known to be installable: packages from the whole, roots from
	// what is reached, as long as that has not shrunk since.
	proven map[*node]bool
	shrunk bool
	// bare are carried without what they depend on, which nobody has: dnf
	// prefers others to an older version as long as they are there.
	bare map[*entry]*closure.Reason
}

// rank is what it means that a root cannot be installed.
type rank uint8

const (
	strict   rank = iota // asked for by name: an error
	whatever             // asked for with others: carried all the same, with a note
	optional             // of use only if it can be installed
)

// node is a package that would meet a need of something looked at, chosen or
// not, or a root: something that was requested, without a package of its own.
type node struct {
	*entry
	why   string // of a root
	from  *node  // of a root that another package gave rise to
	rank  rank   // of a root
	extra bool   // a root that asks for an older version besides
	needs []*need
	users []*need // that it would meet
	err   error   // of its own relations
	// broken is the need that nothing meets; nil: can be installed as far as
	// is known.
	broken *need
	// reason is why it was reached in that round, the last one if it still is.
	reason *closure.Reason
	round  int
	// hopeless: cannot be installed though everything that is needed is there.
	hopeless bool
}

func (n *node) isBroken() bool { return n.broken != nil || n.hopeless }

func (n *node) String() string {
	if n.entry == nil {
		return n.why
	}
	return n.pkg.NEVRA()
}

// need is a clause of a node and what was chosen for it.
type need struct {
	of         *node
	field      string
	relation   *rpmmd.Relation // nil: of a root
	soft       bool
	candidates []*entry
	conditions [][]*entry // of each, one has to be chosen before this counts
	pruned     []*entry   // what libsolv looks at, best first; in terms of what is broken now
	picks      []*entry   // the first is dnf's choice
	chain      []*entry   // of them, those that dnf would try one after the other
	met        bool       // by what is installed, or by the package itself
	known      bool       // to all candidates
}

func (d *need) String() string {
	if d.relation == nil {
		return d.of.why
	}
	return d.of.String() + " " + d.field + " " + d.relation.String()
}

func newSolver(u *universe) *solver {
	s := &solver{
		u: u, round: 1, known: map[*rpmmd.Relation][]*entry{}, bare: map[*entry]*closure.Reason{}, proven: map[*node]bool{},
		supplementing: map[*entry]bool{}, updating: map[*entry]bool{}, newer: map[*entry]bool{},
	}
	order := 0
	for _, all := range [...]map[string][]*entry{u.host, u.byName} {
		for _, name := range slices.Sorted(maps.Keys(all)) {
			for _, e := range all[name] {
				e.order = order
				order++
			}
		}
	}
	return s
}

// lookAt makes a node of e. Chosen are the nodes that are reached from the roots by
// way of picks.
func (s *solver) lookAt(e *entry) *node {
	n := e.node
	if n == nil {
		n = &node{entry: e}
		e.node = n
		s.all = append(s.all, n)
		s.queue = append(s.queue, n)
	}
	return n
}

// addRoot asks for one of candidates.
func (s *solver) addRoot(r *node, candidates []*entry) {
	s.roots = append(s.roots, r)
	d := &need{of: r, candidates: candidates}
	r.needs = []*need{d}
	s.advance(d)
}

// settle runs until every need of what is chosen has its choice or is known
// to have none.
func (s *solver) settle() {
	for len(s.queue)+len(s.broken) > 0 {
		if n := len(s.broken); n > 0 {
			b := s.broken[n-1]
			s.broken = s.broken[:n-1]
			for _, user := range b.users {
				isB := func(e *entry) bool { return e == b.entry }
				user.picks, user.chain = slices.DeleteFunc(user.picks, isB), slices.DeleteFunc(user.chain, isB)
				s.advance(user)
			}
			continue
		}
		n := s.queue[0]
		s.queue = s.queue[1:]
		s.expand(n)
	}
}

// expand looks at the relations of n for the first time.
func (s *solver) expand(n *node) {
	s.follow(n, "requires", n.pkg.Requires, false)
	s.sibling(n)
	if n.at.index < 0 {
		return
	}
	if r := s.u.requests[s.u.sources[n.at.index]]; r != nil && r.Recommends {
		s.follow(n, "recommends", n.pkg.Recommends, true)
	}
}

// sibling asks for the package of the same version and the best architecture
// if there is one: without it, dnf does not install the inferior one.
func (s *solver) sibling(n *node) {
	if n.entry.rank < 2 || n.installed {
		return
	}
	all := append(slices.Clone(s.u.byName[n.pkg.Name]), s.u.host[n.pkg.Name]...)
	all = slices.DeleteFunc(all, func(e *entry) bool { return e.rank >= n.entry.rank || e.pkg.EVR.Compare(n.pkg.EVR) != 0 })
	if len(all) == 0 {
		return
	}
	d := &need{of: n, field: "is installed with", relation: &rpmmd.Relation{Name: n.pkg.Name, Op: rpmmd.EQ, EVR: n.pkg.EVR}, candidates: all}
	n.needs = append(n.needs, d)
	if d.met = slices.ContainsFunc(all, isInstalled); !d.met {
		s.advance(d)
	}
}

func (s *solver) follow(n *node, field string, relations []*rpmmd.Relation, soft bool) {
	for _, r := range relations {
		if strings.HasPrefix(r.Name, "rpmlib(") {
			continue // a feature of rpm itself
		}
		all, err := s.clauses(r)
		if err != nil {
			n.err = errors.Join(n.err, fmt.Errorf("package %s: %s: %w", n.pkg.NEVRA(), field, err))
			return
		}
		for _, c := range all {
			s.addNeed(n, &need{of: n, field: field, relation: r, soft: soft}, c)
		}
	}
}

func (s *solver) clauses(r *rpmmd.Relation) ([]clause, error) {
	rich, err := s.u.parsed(r)
	if err != nil {
		return nil, err
	}
	return clauses(rich, false)
}

// members returns the packages of a literal's set.
func (s *solver) members(r *rpmmd.Rich) []*entry {
	if r.Op != rpmmd.Leaf {
		return s.u.members(r)
	}
	all, ok := s.known[r.Relation]
	if !ok {
		all = s.u.providersOf(r.Relation)
		s.known[r.Relation] = all
	}
	return all
}

// addNeed completes d by the literals of its clause.
func (s *solver) addNeed(n *node, d *need, c clause) {
	for _, l := range c {
		set := s.members(l.rich)
		switch {
		case !l.not && len(c) == 1:
			d.candidates = set
		case !l.not:
			d.candidates = append(d.candidates, set...)
		case slices.Contains(set, n.entry) || slices.ContainsFunc(set, isInstalled):
			// holds anyway
		default:
			d.conditions = append(d.conditions, set)
		}
	}
	n.needs = append(n.needs, d)
	if d.met = slices.Contains(d.candidates, n.entry) || slices.ContainsFunc(d.candidates, isInstalled); d.met {
		return
	}
	if len(d.conditions) > 0 {
		s.dormant = append(s.dormant, d)
		return
	}
	s.advance(d)
}

func isInstalled(e *entry) bool { return e.installed }

// advance makes the choice of d again, as far as it is known what is broken.
// That has to be known of all candidates, not of the first alone: their order
// depends on who else there is.
func (s *solver) advance(d *need) {
	if !d.known {
		d.known = true
		for _, e := range d.candidates {
			n := s.lookAt(e)
			n.users = append(n.users, d)
		}
	}
	available := d.candidates
	if slices.ContainsFunc(available, s.isBroken) {
		available = slices.DeleteFunc(slices.Clone(available), s.isBroken)
	}
	d.pruned = s.u.order(prune(available), everything)
	if len(d.pruned) > 0 {
		s.pick(d, d.pruned[0])
		if !slices.Contains(d.chain, d.pruned[0]) {
			d.chain = append(d.chain, d.pruned[0])
		}
		if first := slices.Index(d.picks, d.pruned[0]); first > 0 {
			d.picks[0], d.picks[first] = d.picks[first], d.picks[0]
		}
		return
	}
	if !d.soft && len(d.conditions) == 0 && !d.of.isBroken() {
		d.of.broken = d
		s.broken = append(s.broken, d.of)
	}
}

func everything(*entry) bool { return true }

func (s *solver) isBroken(e *entry) bool {
	n := e.node
	return n != nil && n.isBroken()
}

// pick adds a choice of d; false: it is one already.
func (s *solver) pick(d *need, e *entry) bool {
	if slices.Contains(d.picks, e) {
		return false
	}
	d.picks = append(d.picks, e)
	return true
}

// solve settles everything and reports to the collector what is reached.
func (s *solver) solve(c *collector) error {
	var errs []error
	for changed := true; changed; {
		s.settle()
		for s.widen() {
			s.settle()
		}
		var err error
		if changed, err = s.ensure(); err != nil {
			return err
		}
	}
	for _, n := range s.reach() {
		errs = append(errs, n.err)
	}
	for _, r := range s.roots {
		if r.rank == strict && r.isBroken() {
			errs = append(errs, closure.Unmet(s.explain(r, true)))
		}
	}
	s.salvage(c)
	for _, n := range s.reached {
		if n.entry == nil {
			continue
		}
		if _, ok := c.reasons[n.at]; !ok {
			c.reasons[n.at] = n.reason
		}
	}
	for e, why := range s.bare {
		if _, ok := c.reasons[e.at]; !ok {
			c.reasons[e.at] = why
		}
	}
	s.notes(c)
	return errors.Join(errs...)
}

// reach returns the packages that are chosen in the end. Packages that were chosen only for
// a request that was given up later are not among them.
func (s *solver) reach() []*node {
	s.round++
	s.reached = nil
	for _, r := range s.roots {
		if r.from == nil {
			s.push(r, closure.Because(closure.Text(r.why), nil))
		}
	}
	for next := 0; next < len(s.reached); {
		for ; next < len(s.reached); next++ {
			s.step(s.reached[next])
		}
		for _, r := range s.roots { // what others gave rise to
			if r.from != nil && s.isReached(r.from) {
				s.push(r, closure.Because(closure.Text(r.why), r.from.reason))
			}
		}
	}
	return s.reached
}

func (s *solver) isReached(n *node) bool { return n != nil && n.round == s.round }

func (s *solver) push(n *node, why *closure.Reason) {
	if !s.isReached(n) {
		n.round, n.reason = s.round, why
		s.reached = append(s.reached, n)
	}
}

func (s *solver) step(n *node) {
	for _, d := range n.needs {
		for i, e := range d.picks {
			switch {
			case s.isReached(e.node): // no reason is made for it
			case d.relation == nil:
				s.push(e.node, n.reason)
			default:
				s.push(e.node, closure.Because(step{d, i > 0}, n.reason))
			}
		}
	}
}

// maxExplain bounds an error's chain.
const maxExplain = 30

// explain follows a broken node to the missing package, or to the packages that
// exclude each other. full adds the relations that do, which takes long.
func (s *solver) explain(n *node, full bool) string {
	var b strings.Builder
	if n.broken == nil {
		b.WriteString(n.why + ": ")
	}
	for depth := 0; n != nil && n.broken != nil; depth++ {
		d := n.broken
		if depth == maxExplain {
			b.WriteString("...")
			break
		}
		b.WriteString(d.String())
		if len(d.candidates) == 0 {
			b.WriteString(": in no index")
			if d.relation != nil {
				b.WriteString(s.u.others(d.relation.Name))
			}
			break
		}
		if depth == 0 && d.relation == nil {
			b.WriteString(": ")
		} else {
			b.WriteString("; ")
		}
		n = s.newest(d.candidates).node
	}
	switch {
	case n == nil || n.broken != nil:
	case full:
		b.WriteString(s.quarrel(n))
	default:
		b.WriteString("no choice of packages meets all relations that come with it")
	}
	return strings.TrimSuffix(b.String(), "; ")
}

// newest returns the one that would have been the first choice.
func (s *solver) newest(all []*entry) *entry {
	return s.u.order(prune(all), everything)[0]
}

// others names what there is of a name in other versions, and whether it is
// excluded.
func (u *universe) others(name string) string {
	text := ""
	if u.excluded[name] {
		text = ", excluded"
	}
	var have []string
	for _, p := range u.provides[name] {
		have = append(have, p.pkg.NEVRA())
	}
	slices.Sort(have)
	return text + closure.Hint("there are", have)
}
