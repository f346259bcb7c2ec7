package closure

import (
	"fmt"
	"slices"

	"github.com/gapbundle/gapbundle/sources/closure"
	"github.com/gapbundle/gapbundle/sources/rpm/rpmmd"
)

// widen adds what may be chosen instead of, or because of, what is reached;
// false: there is nothing more.
func (s *solver) widen() bool {
	nodes := s.reach()
	w := &widening{solver: s, nodes: nodes}
	changed := w.wake()
	changed = w.supplements() || changed
	changed = w.updates() || changed
	if changed {
		return true
	}
	changed = w.recommended()
	changed = w.sameOrder() || changed
	return w.blocked() || changed
}

// widening is one look at everything that is reached.
type widening struct {
	*solver
	nodes []*node
}

// has reports whether e is reached.
func (w *widening) has(e *entry) bool {
	return w.isReached(e.node) && !e.node.isBroken()
}

// hasOne reports whether one of a set is reached or installed.
func (w *widening) hasOne(set []*entry) bool {
	return slices.ContainsFunc(set, func(e *entry) bool { return e.installed || w.has(e) })
}

// wake turns to needs whose conditions have come true.
func (w *widening) wake() bool {
	changed := false
	var asleep []*need
	for _, d := range w.dormant {
		if w.isReached(d.of) && !slices.ContainsFunc(d.conditions, func(set []*entry) bool { return !w.hasOne(set) }) {
			w.advance(d)
			changed = changed || len(d.picks) > 0
		} else {
			asleep = append(asleep, d)
		}
	}
	w.dormant = asleep
	return changed
}

// supplements adds packages that supplement what is reached, of sources that
// want it.
func (w *widening) supplements() bool {
	groups := map[string][]*entry{}
	var names []string
	for _, e := range w.u.supplements {
		if w.has(e) || w.u.requests[w.u.sources[e.at.index]] == nil || !w.u.requests[w.u.sources[e.at.index]].Recommends || w.supplementing[e] {
			continue
		}
		if w.triggered(e.pkg.Supplements) == nil {
			continue
		}
		if groups[e.pkg.Name] == nil {
			names = append(names, e.pkg.Name)
		}
		groups[e.pkg.Name] = append(groups[e.pkg.Name], e)
	}
	for _, name := range names {
		for _, e := range groups[name] {
			w.supplementing[e] = true
		}
		why := name + " supplements " + w.triggered(groups[name][0].pkg.Supplements).String()
		w.addRoot(&node{why: why, rank: optional, from: w.anchor(groups[name][0].pkg.Supplements)}, groups[name])
	}
	return len(names) > 0
}

// triggered returns the first relation that what is reached may meet.
func (w *widening) triggered(relations []*rpmmd.Relation) *rpmmd.Relation {
	for _, r := range relations {
		if rich, err := w.u.parsed(r); err == nil && w.may(rich) {
			return r
		}
	}
	return nil
}

// may reports whether a relation can come true, whatever is chosen of what is
// reached.
func (w *widening) may(r *rpmmd.Rich) bool {
	switch r.Op {
	case rpmmd.Leaf, rpmmd.With, rpmmd.Without:
		return w.hasOne(w.members(r))
	case rpmmd.And:
		return !slices.ContainsFunc(r.Args, func(arg *rpmmd.Rich) bool { return !w.may(arg) })
	case rpmmd.Or:
		return slices.ContainsFunc(r.Args, w.may)
	}
	return w.may(r.Args[0]) || len(r.Args) == 3 && w.may(r.Args[2])
}

// anchor returns a reached node that the relations name; nil: all are installed.
func (w *widening) anchor(relations []*rpmmd.Relation) *node {
	var found *node
	for _, r := range relations {
		if rich, err := w.u.parsed(r); err == nil {
			leaves(rich, func(r *rpmmd.Relation) {
				for _, e := range w.u.providersOf(r) {
					if found == nil && w.has(e) {
						found = e.node
					}
				}
			})
		}
	}
	return found
}

// updates adds newer versions of what is installed and could not stay next to
// what is reached: it needs what is replaced.
func (w *widening) updates() bool {
	replaced := w.replaced()
	if len(replaced) == 0 {
		return false
	}
	changed := false
	for _, j := range w.u.hosts {
		if replaced[j] != nil || w.updating[j] {
			continue
		}
		r, by := w.loses(j, replaced)
		if r == nil {
			continue
		}
		w.updating[j] = true
		candidates := slices.DeleteFunc(w.replacements(j), func(e *entry) bool {
			return e.pkg.Name == j.pkg.Name && e.pkg.EVR.Compare(j.pkg.EVR) <= 0
		})
		if len(candidates) > 0 {
			why := fmt.Sprintf("%s is installed and requires %s", j.pkg.NEVRA(), r)
			w.addRoot(&node{why: why, rank: optional, from: by}, candidates)
			changed = true
		}
	}
	return changed
}

// replaced returns the installed packages whose place something reached takes.
func (w *widening) replaced() map[*entry]*node {
	if len(w.u.host) == 0 {
		return nil
	}
	replaced := map[*entry]*node{}
	for _, n := range w.nodes {
		if n.entry == nil {
			continue
		}
		for _, h := range w.u.host[n.pkg.Name] {
			if h.pkg.EVR.Compare(n.pkg.EVR) != 0 {
				replaced[h] = n
			}
		}
		for _, r := range n.pkg.Obsoletes {
			for _, h := range w.u.host[r.Name] {
				if obsoletes(n.entry, h) {
					replaced[h] = n
				}
			}
		}
	}
	return replaced
}

// loses finds a requirement of an installed package that is met by nothing
// but what is replaced.
func (w *widening) loses(j *entry, replaced map[*entry]*node) (*rpmmd.Relation, *node) {
	for _, r := range j.pkg.Requires {
		if r.IsRich() {
			continue
		}
		var by *node
		stays := false
		for _, e := range w.members(&rpmmd.Rich{Relation: r}) {
			switch {
			case e.installed && replaced[e] != nil:
				by = replaced[e]
			case e.installed || w.has(e):
				stays = true
			}
		}
		if by != nil && !stays {
			return r, by
		}
	}
	return nil, nil
}

// recommended adds, where several packages would do, those that something
// reached recommends or suggests: libsolv prefers them once that is chosen.
func (w *widening) recommended() bool {
	liked := map[*entry]bool{}
	for _, n := range w.nodes {
		if n.entry == nil {
			continue
		}
		for _, all := range [...][]*rpmmd.Relation{n.pkg.Recommends, n.pkg.Suggests} {
			for _, r := range all {
				rich, err := w.u.parsed(r)
				if err != nil {
					continue
				}
				leaves(rich, func(r *rpmmd.Relation) {
					for _, e := range w.members(&rpmmd.Rich{Relation: r}) {
						liked[e] = true
					}
				})
			}
		}
	}
	changed := false
	w.choices(func(d *need) {
		for _, e := range d.pruned {
			if liked[e] || w.triggered(e.pkg.Supplements) != nil || w.triggered(e.pkg.Enhances) != nil {
				changed = w.pick(d, e) || changed
			}
		}
	})
	return changed
}

// choices calls visit with all needs that several packages would meet.
func (w *widening) choices(visit func(*need)) {
	for _, n := range w.nodes {
		for _, d := range n.needs {
			if len(d.picks) > 0 && len(d.candidates) > 1 {
				visit(d)
			}
		}
	}
}

// sameOrder checks that the first choice of dnf is also the first among the carried
// packages. If it is not, it adds the packages that make dnf pass over the others.
func (w *widening) sameOrder() bool {
	changed := false
	w.choices(func(d *need) {
		carried := make([]*entry, 0, len(d.picks))
		for _, e := range d.candidates {
			if w.has(e) {
				carried = append(carried, e)
			}
		}
		if len(carried) < 2 {
			return
		}
		first := w.u.order(prune(carried), func(e *entry) bool { return w.has(e) || w.bare[e] != nil })[0]
		if first == d.pruned[0] {
			return
		}
		for _, e := range d.pruned {
			changed = w.pick(d, e) || changed
		}
		for _, e := range w.u.byName[first.pkg.Name] {
			if e != first && e.pkg.Arch == first.pkg.Arch && e.priority <= first.priority && e.pkg.EVR.Compare(first.pkg.EVR) > 0 && !w.has(e) && w.bare[e] == nil && !w.newer[e] {
				why := fmt.Sprintf("%s is newer than %s, which is therefore not preferred", e.pkg.NEVRA(), first.pkg.NEVRA())
				if w.isBroken(e) {
					w.bare[e] = closure.Because(closure.Text(why), d.of.reason)
				} else {
					w.newer[e] = true
					w.addRoot(&node{why: why, rank: optional, from: d.of}, []*entry{e})
				}
				changed = true
			}
		}
	})
	return changed
}
