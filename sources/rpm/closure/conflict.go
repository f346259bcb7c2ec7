package closure

import (
	"fmt"
	"slices"

	"github.com/gapbundle/gapbundle/sources/rpm/rpmmd"
)

// maxConflicts bounds the notes about conflicts.
const maxConflicts = 1000

// blocked adds, where all choices of a need conflict with something that is
// reached, the next one. A package is blocked if it conflicts itself, or if it
// has a need all of whose choices are blocked and that has no other.
func (w *widening) blocked() bool {
	blocked := map[*node]bool{}
	queue := w.conflicting(blocked)
	changed := false
	for len(queue) > 0 {
		n := queue[0]
		queue = queue[1:]
		for _, d := range n.users {
			if _, ok := w.reached[d.of]; !ok || blocked[d.of] || !slices.Contains(d.picks, n.entry) {
				continue
			}
			if slices.ContainsFunc(d.picks, func(e *entry) bool { return !blocked[w.solver.nodes[e]] }) {
				continue
			}
			if w.next(d) {
				changed = true
			} else if !d.soft && d.of.entry != nil {
				blocked[d.of] = true
				queue = append(queue, d.of)
			}
		}
	}
	return changed
}

// next picks what libsolv would choose if none of the picks were possible.
func (w *widening) next(d *need) bool {
	left := slices.DeleteFunc(slices.Clone(d.candidates), func(e *entry) bool { return w.isBroken(e) || slices.Contains(d.picks, e) })
	left = w.u.order(prune(left), everything)
	return len(left) > 0 && w.pick(d, left[0])
}

// conflicting finds all reached packages that cannot stand beside another one.
func (w *widening) conflicting(blocked map[*node]bool) (queue []*node) {
	w.conflicts = nil
	block := func(n *node) {
		if n != nil && !blocked[n] {
			blocked[n] = true
			queue = append(queue, n)
		}
	}
	pins := w.pins()
	for _, n := range w.nodes {
		if n.entry == nil {
			continue
		}
		for _, o := range w.u.byName[n.pkg.Name] {
			if w.has(o) && o.pkg.EVR.Compare(n.pkg.EVR) != 0 && slices.ContainsFunc(pins[o], func(d *need) bool { return !slices.Contains(d.candidates, n.entry) }) {
				block(n)
			}
		}
		w.unmet(n, block)
		for _, r := range n.pkg.Conflicts {
			w.against(n, r, block)
		}
		for _, r := range n.pkg.Obsoletes {
			for _, o := range w.u.byName[r.Name] {
				if w.has(o) && obsoletes(n.entry, o) {
					w.note(n.String() + " obsoletes " + o.pkg.NEVRA())
					block(n)
					block(w.solver.nodes[o])
				}
			}
		}
	}
	return queue
}

// unmet blocks n where it has a need that counts because of something reached,
// and that nothing meets, and what it counts because of.
func (w *widening) unmet(n *node, block func(*node)) {
	for _, d := range n.needs {
		if d.soft || d.met || len(d.conditions) == 0 || len(d.picks) > 0 || slices.ContainsFunc(d.conditions, func(set []*entry) bool { return !w.hasOne(set) }) {
			continue
		}
		block(n)
		for _, set := range d.conditions {
			for _, e := range set {
				if w.has(e) {
					block(w.solver.nodes[e])
				}
			}
		}
	}
}

// pins are for each reached package the needs that chose it, but for those
// that ask for old versions besides.
func (w *widening) pins() map[*entry][]*need {
	pins := map[*entry][]*need{}
	for _, n := range w.nodes {
		if n.extra {
			continue
		}
		for _, d := range n.needs {
			for _, e := range d.picks {
				pins[e] = append(pins[e], d)
			}
		}
	}
	return pins
}

// against blocks what one relation of n's Conflicts is about. Of a rich one
// every package that it names is taken, except those of its conditions.
func (w *widening) against(n *node, r *rpmmd.Relation, block func(*node)) {
	rich, err := w.u.parsed(r)
	if err != nil {
		n.err = fmt.Errorf("package %s: conflicts: %w", n.pkg.NEVRA(), err)
		return
	}
	if rich.Op == rpmmd.If || rich.Op == rpmmd.Unless {
		rich = rich.Args[0]
	}
	leaves(rich, func(r *rpmmd.Relation) {
		for _, e := range w.members(&rpmmd.Rich{Relation: r}) {
			if e == n.entry {
				continue
			}
			if e.installed {
				block(n)
			} else if w.has(e) {
				w.note(n.String() + " conflicts with " + e.pkg.NEVRA())
				block(n)
				block(w.solver.nodes[e])
			}
		}
	})
}

func (w *widening) note(text string) {
	if len(w.conflicts) < maxConflicts {
		w.conflicts = append(w.conflicts, text+": both are carried")
	}
}
