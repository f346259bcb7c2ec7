package closure

import (
	"fmt"
	"slices"

	"github.com/gapbundle/gapbundle/sources/rpm/rpmmd"
)

// maxConflicts bounds the notes about conflicts.
const maxConflicts = 1000

// blocking is one look for packages that cannot be installed together with something that is
// reached. A package is blocked if it is in a conflict, or if it has a need all
// of whose choices are blocked and that has no other.
type blocking struct {
	*widening
	blocked map[*node]bool
	queue   []*node // users not yet looked at
}

// blocked adds, where all choices of a need are blocked, the next one.
func (w *widening) blocked() (changed bool) {
	b := &blocking{widening: w, blocked: map[*node]bool{}}
	b.conflicting()
	for len(b.queue) > 0 {
		n := b.queue[0]
		b.queue = b.queue[1:]
		for _, d := range n.users {
			if !w.isReached(d.of) || !slices.Contains(d.picks, n.entry) || slices.ContainsFunc(d.chain, b.isFree) {
				continue
			}
			if w.next(d) {
				changed = true
			} else if !d.soft && !slices.ContainsFunc(d.picks, b.isFree) {
				b.fails(d)
			}
		}
	}
	return changed
}

func (b *blocking) isFree(e *entry) bool { return !b.blocked[e.node] }

func (b *blocking) block(n *node) {
	if n != nil && n.entry != nil && !b.blocked[n] {
		b.blocked[n] = true
		b.queue = append(b.queue, n)
	}
}

// fails blocks whose need it is that is not met, and what it counts because of.
func (b *blocking) fails(d *need) {
	b.block(d.of)
	for _, set := range d.conditions {
		for _, e := range set {
			if b.has(e) {
				b.block(e.node)
			}
		}
	}
}

// next picks what libsolv would choose if none of the picks were possible.
func (w *widening) next(d *need) bool {
	left := slices.DeleteFunc(slices.Clone(d.candidates), func(e *entry) bool { return w.isBroken(e) || slices.Contains(d.chain, e) })
	if len(left) == 0 {
		return false
	}
	first := w.u.order(prune(left), everything)[0]
	w.pick(d, first)
	d.chain = append(d.chain, first)
	return true
}

// conflicting blocks all packages that cannot be installed together with another one.
func (b *blocking) conflicting() {
	b.conflicts = nil
	pins := b.pins()
	for _, n := range b.widening.nodes {
		if n.entry == nil {
			continue
		}
		for _, o := range b.u.byName[n.pkg.Name] {
			if b.has(o) && o.pkg.EVR.Compare(n.pkg.EVR) != 0 && slices.ContainsFunc(pins[o], func(d *need) bool { return !slices.Contains(d.candidates, n.entry) }) {
				b.block(n)
			}
		}
		for _, d := range n.needs {
			if !d.soft && !d.met && len(d.conditions) > 0 && len(d.picks) == 0 && !slices.ContainsFunc(d.conditions, func(set []*entry) bool { return !b.hasOne(set) }) {
				b.fails(d)
			}
		}
		for _, r := range n.pkg.Conflicts {
			b.against(n, r)
		}
		for _, r := range n.pkg.Obsoletes {
			for _, o := range b.u.byName[r.Name] {
				if b.has(o) && obsoletes(n.entry, o) {
					b.note(n.String() + " obsoletes " + o.pkg.NEVRA())
					b.block(n)
					b.block(o.node)
				}
			}
		}
	}
}

// pins returns for each reached package the needs that chose it, except those
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

// against blocks what one relation of n's Conflicts is about. Every package that a
// rich one names is taken, except those of its conditions.
func (b *blocking) against(n *node, r *rpmmd.Relation) {
	rich, err := b.u.parsed(r)
	if err != nil {
		n.err = fmt.Errorf("package %s: conflicts: %w", n.pkg.NEVRA(), err)
		return
	}
	if rich.Op == rpmmd.If || rich.Op == rpmmd.Unless {
		rich = rich.Args[0]
	}
	leaves(rich, func(r *rpmmd.Relation) {
		for _, e := range b.members(&rpmmd.Rich{Relation: r}) {
			if e == n.entry {
				continue
			}
			if e.installed {
				b.block(n)
			} else if b.has(e) {
				b.note(n.String() + " conflicts with " + e.pkg.NEVRA())
				b.block(n)
				b.block(e.node)
			}
		}
	})
}

func (w *widening) note(text string) {
	if len(w.conflicts) < maxConflicts {
		w.conflicts = append(w.conflicts, text+": both are carried")
	}
}
