package closure

import (
	"fmt"
	"slices"

	"github.com/gapbundle/gapbundle/bundle"
)

// maxEnemies bounds the pairs of packages that exclude each other: in hostile
// lists that can be all pairs.
const maxEnemies = 1 << 24

// enemies has for each node with which others it cannot stand, in one of the
// two directions, and which have relations that are not that simple.
type enemies struct {
	of     map[*node][]*node
	unsure map[*node]bool
}

// enemiesAmong looks at the packages among nodes.
func (s *solver) enemiesAmong(nodes []*node) (*enemies, error) {
	x := &enemies{of: map[*node][]*node{}, unsure: map[*node]bool{}}
	among := make(map[*node]bool, len(nodes))
	for _, n := range nodes {
		among[n] = true
	}
	pairs := 0
	add := func(n *node, e *entry) {
		if o := e.node; o != n && among[o] {
			x.of[n] = append(x.of[n], o)
			pairs++
		}
	}
	for _, n := range nodes {
		if n.entry == nil {
			continue
		}
		if pairs > maxEnemies {
			return nil, fmt.Errorf("packages that exclude each other: more than %d pairs: %w", maxEnemies, bundle.ErrMalformed)
		}
		x.unsure[n] = slices.ContainsFunc(n.needs, func(d *need) bool { return len(d.conditions) > 0 && !d.soft })
		for _, r := range n.pkg.Conflicts {
			if rich, err := s.u.parsed(r); err != nil || r.IsRich() {
				x.unsure[n] = true
			} else {
				for _, e := range s.members(rich) {
					add(n, e)
				}
			}
		}
		for _, r := range n.pkg.Obsoletes {
			for _, o := range s.u.byName[r.Name] {
				if obsoletes(n.entry, o) {
					add(n, o)
				}
			}
		}
		for _, o := range s.u.byName[n.pkg.Name] {
			if exclusive(n.entry, o) {
				add(n, o)
			}
		}
	}
	return x, nil
}

// exclusive reports whether two packages of a name cannot be installed together.
func exclusive(a, b *entry) bool {
	return !isInstallOnly(a.pkg) && (a.rank == 0 || b.rank == 0 || (a.rank == 1) == (b.rank == 1))
}

// plain reports whether the first choices for roots, all the way down, stand
// together. Nearly always they do, and no SAT solver need be asked.
func (s *solver) plain(x *enemies, roots ...*node) bool {
	if len(s.u.hosts) > 0 {
		return false
	}
	seen := map[*node]bool{}
	queue := slices.Clone(roots)
	for _, r := range roots {
		seen[r] = true
	}
	for next := 0; next < len(queue); next++ {
		n := queue[next]
		if x.unsure[n] {
			return false
		}
		for _, d := range n.needs {
			if d.soft || d.met {
				continue
			}
			if len(d.picks) == 0 {
				return false
			}
			if o := d.picks[0].node; !seen[o] {
				seen[o] = true
				queue = append(queue, o)
			}
		}
	}
	return !slices.ContainsFunc(queue, func(n *node) bool {
		return slices.ContainsFunc(x.of[n], func(o *node) bool { return seen[o] })
	})
}
