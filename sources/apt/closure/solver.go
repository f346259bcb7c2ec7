package closure

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/sources/apt/deb"
	"github.com/gapbundle/gapbundle/sources/closure"
)

// solver chooses for clients of one architecture. It is one algorithm over the choices so far.
type solver struct {
	*client
	nodes  map[*entry]*node
	roots  []root
	queue  []*node // chosen, clauses not yet looked at
	broken []*node // found to be, users not yet updated
	err    error   // of a package's own relations
}

// root is something that was requested.
type root struct {
	node *node
	why  string
	rank rank
}

// rank is what it means that a root cannot be installed.
type rank uint8

const (
	strict   rank = iota // asked for by name: an error
	whatever             // asked for with others: carried all the same, with a note
	optional             // asked for elsewhere: left out
)

// node is a package that was chosen at some time.
type node struct {
	*entry
	needs []*need
	users []*need // that chose it at some time
	// broken is the need that nothing meets; nil: can be installed as far as
	// is known.
	broken *need
}

// need is a clause of a node and what was chosen for it.
type need struct {
	of      *node
	field   string
	clause  deb.Clause
	soft    bool // Recommends
	targets []*entry
	at      int   // place of the chosen one in targets; len(targets): none
	also    []int // places of those carried besides
	met     bool  // by what is installed, or by the package itself
}

func newSolver(u *universe, native string) *solver {
	s := &solver{client: &client{u, native, map[string][]*deb.Package{}}, nodes: map[*entry]*node{}}
	for _, source := range u.requestOrder() {
		r := u.requests[source]
		if !slices.ContainsFunc(r.Installed, func(p *deb.Package) bool { return p.Architecture == native }) {
			continue // a host of another architecture
		}
		for _, p := range r.Installed {
			s.addInstalled(p.Name, p)
			clauses, err := deb.ParseRelations(p.Provides)
			if err != nil {
				s.err = errors.Join(s.err, fmt.Errorf("installed package %s: Provides: %w", p.ID(), err))
			}
			for _, c := range clauses {
				s.addInstalled(c[0].Name, p)
			}
		}
	}
	return s
}

func (u *universe) requestOrder() []string {
	all := make([]string, 0, len(u.requests))
	for source := range u.requests {
		all = append(all, source)
	}
	slices.Sort(all)
	return all
}

// choose makes e part of the selection.
func (s *solver) choose(e *entry) *node {
	n, ok := s.nodes[e]
	if !ok {
		n = &node{entry: e}
		s.nodes[e] = n
		s.queue = append(s.queue, n)
	}
	return n
}

func (s *solver) addRoot(e *entry, why string, r rank) {
	s.roots = append(s.roots, root{s.choose(e), why, r})
}

// settle runs until every need of what is chosen has its target or is known
// to have none. rpm's solver has this loop too. It is not shared, because taking a choice back
// and expanding a package differ: as one function it would have five functions as parameters.
func (s *solver) settle() {
	for len(s.queue)+len(s.broken) > 0 {
		if n := len(s.broken); n > 0 {
			b := s.broken[n-1]
			s.broken = s.broken[:n-1]
			for _, user := range b.users {
				user.also = slices.DeleteFunc(user.also, func(at int) bool { return user.targets[at] == b.entry })
				if user.chosen() == b.entry {
					s.advance(user)
				}
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
	r := s.u.requests[s.u.indexes[n.index].Source]
	for _, field := range [...]string{"Pre-Depends", "Depends", "Recommends"} {
		soft := field == "Recommends"
		if soft && (r == nil || !r.Recommends) {
			continue
		}
		clauses, err := deb.ParseRelations(n.pkg.Field(field))
		if err != nil {
			s.err = errors.Join(s.err, fmt.Errorf("package %s: %s: %w", n.pkg.ID(), field, err))
			return
		}
		for _, c := range clauses {
			need := &need{of: n, field: field, clause: c, soft: soft, at: -1}
			n.needs = append(n.needs, need)
			if need.met = s.installedMeets(c, n.on(s.native)); need.met {
				continue
			}
			need.targets = s.targets(c, n.on(s.native))
			if need.met = slices.Contains(need.targets, n.entry); !need.met {
				s.advance(need)
			}
		}
	}
}

func (d *need) chosen() *entry {
	if d.met || d.at < 0 || d.at >= len(d.targets) {
		return nil
	}
	return d.targets[d.at]
}

// advance takes the next target that can be installed as far as is known.
func (s *solver) advance(d *need) {
	for d.at++; d.at < len(d.targets); d.at++ {
		if s.take(d, d.at) {
			return
		}
	}
	if !d.soft && d.of.broken == nil {
		d.of.broken = d
		s.broken = append(s.broken, d.of)
	}
}

// take chooses a target, unless it is known to be broken.
func (s *solver) take(d *need, at int) bool {
	n := s.choose(d.targets[at])
	if n.broken != nil {
		return false
	}
	n.users = append(n.users, d)
	return true
}

// solve settles everything and adds to the collector what is reached.
func (s *solver) solve(c *collector) error {
	s.settle()
	for s.widen() {
		s.settle()
	}
	if s.err != nil {
		return s.err
	}
	var errs []error
	for _, r := range s.roots {
		if r.node.broken == nil {
			continue
		}
		text := r.why + ": " + s.explain(r.node)
		switch r.rank {
		case strict:
			errs = append(errs, closure.Unmet(text))
		case whatever:
			c.notes.Add("%s", text)
		}
	}
	s.reach(func(n *node, why *closure.Reason) {
		if _, ok := c.reasons[n.entry]; !ok {
			c.reasons[n.entry] = why
		}
		for _, d := range n.needs {
			switch {
			case d.soft && !d.met && d.at == len(d.targets):
				c.notes.Add("%s recommends %s, which cannot be installed", n.pkg.ID(), d.clause)
			case !d.met && d.chosen() != nil && !s.isCandidate(d.chosen()):
				c.notes.Add("%s %s %s: carried is %s, which is not the newest", n.pkg.ID(), strings.ToLower(d.field), d.clause, d.chosen().pkg.ID())
			}
		}
	})
	return errors.Join(errs...)
}

// reach visits the packages that are chosen in the end, nearest to the roots first.
// Packages that were chosen only for a request that was given up later are not visited.
func (s *solver) reach(visit func(n *node, why *closure.Reason)) {
	type step struct {
		n   *node
		why *closure.Reason
	}
	var steps []step
	seen := map[*node]bool{}
	push := func(n *node, from *closure.Reason, why string) {
		seen[n] = true
		steps = append(steps, step{n, closure.Because(closure.Text(why), from)})
	}
	for _, r := range s.roots {
		if !seen[r.node] && (r.rank != optional || r.node.broken == nil) {
			push(r.node, nil, r.why)
		}
	}
	for len(steps) > 0 {
		n, from := steps[0].n, steps[0].why
		steps = steps[1:]
		visit(n, from)
		for _, d := range n.needs {
			why := func() string { return n.pkg.ID() + " " + strings.ToLower(d.field) + " " + d.clause.String() }
			if e := d.chosen(); e != nil && !seen[s.nodes[e]] {
				push(s.nodes[e], from, why())
			}
			for _, at := range d.also {
				if also := s.nodes[d.targets[at]]; !seen[also] {
					push(also, from, why()+", if another choice conflicts")
				}
			}
		}
	}
}

// explain follows a broken package to what is missing.
func (s *solver) explain(n *node) string {
	var b strings.Builder
	for depth := 0; n != nil && n.broken != nil; depth++ {
		d := n.broken
		if depth == 30 {
			b.WriteString("...")
			break
		}
		fmt.Fprintf(&b, "%s %s %s", n.pkg.ID(), strings.ToLower(d.field), d.clause)
		if len(d.targets) == 0 {
			b.WriteString(": in no index")
			if s.u.excluded[d.clause[0].Name] {
				b.WriteString(", excluded")
			}
			if have := s.u.versions(d.clause[0].Name); len(have) > 0 {
				b.WriteString(", there are " + strings.Join(have, ", "))
			}
			break
		}
		b.WriteString("; ")
		n = s.nodes[d.targets[0]]
	}
	return strings.TrimSuffix(b.String(), "; ")
}
