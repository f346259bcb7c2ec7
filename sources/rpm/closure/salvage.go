package closure

import (
	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources/closure"
)

// maxUnmet bounds the notes about what cannot be installed: a repository that
// builds on another one that no source of the set has is full of it.
const maxUnmet = 20

// salvage carries what was requested with others and cannot be installed from
// what the sources have: a host may have what is missing, or gets it elsewhere.
// Its dependencies come with it as far as they are there.
func (s *solver) salvage(c *collector) {
	unmet := 0
	for _, r := range s.roots {
		if r.rank != whatever || r.from != nil || !r.isBroken() {
			continue
		}
		if unmet++; unmet <= maxUnmet {
			c.notes.Add("%s; carried all the same", s.explain(r, false))
		}
		s.follows(r, closure.Because(closure.Text(r.why), nil))
	}
	if unmet > maxUnmet {
		c.notes.Add("%s that were asked for with others cannot be installed from what the sources of this set have; they are carried all the same", bundle.Count(unmet-maxUnmet, "more package"))
	}
}

// follows makes bare what n needs, as far as it is there.
func (s *solver) follows(n *node, why *closure.Reason) {
	type visit struct {
		n   *node
		why *closure.Reason
	}
	queue := []visit{{n, why}}
	for len(queue) > 0 {
		at := queue[0]
		queue = queue[1:]
		for _, d := range at.n.needs {
			targets := d.picks
			if len(targets) == 0 && !d.soft && !d.met && len(d.conditions) == 0 && len(d.candidates) > 0 {
				targets = []*entry{s.newest(d.candidates)}
			}
			for _, e := range targets {
				if s.isCarried(e) || e.installed {
					continue
				}
				why := at.why
				if d.relation != nil {
					why = closure.Because(step{need: d}, at.why)
				}
				s.bare[e] = why
				queue = append(queue, visit{e.node, why})
			}
		}
	}
}

// isCarried reports whether e is reached, or carried without being installable.
func (s *solver) isCarried(e *entry) bool {
	return s.isReached(e.node) || s.bare[e] != nil
}
