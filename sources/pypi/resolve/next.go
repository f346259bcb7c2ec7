package resolve

import (
	"cmp"
	"container/heap"
	"maps"
	"slices"
)

// topKeys is what every round needs to know of the top state. It is kept from round to round,
// because looking at all keys in each makes the time grow with the square of their number.
type topKeys struct {
	// pins are those of the top state; nil: all of this has to be found out again.
	pins map[string]*candidate
	// open are the keys whose pin does not meet everything wanted, or that have none.
	open map[string]bool
	// queue has the preference of each open key, and others that were true once.
	queue preferences
}

// forget drops what is known of the top state when it becomes another one than that of the next round.
func (t *topKeys) forget() { *t = topKeys{} }

// know finds out what was forgotten.
func (t *topKeys) know(r *resolution, s *state) {
	if t.pins != nil {
		return
	}
	t.pins, t.open = s.pins(), map[string]bool{}
	for key := range s.criteria {
		t.look(r, s, key)
	}
}

// look decides whether a key is open. It is called when the pin of a key or what is wanted of it
// has changed, and its preference with it.
func (t *topKeys) look(r *resolution, s *state, key string) {
	if t.satisfied(s, key) {
		delete(t.open, key)
		return
	}
	t.open[key] = true
	heap.Push(&t.queue, r.preference(key))
}

// satisfied reports whether the pin of a key meets everything wanted of it.
func (t *topKeys) satisfied(s *state, key string) bool {
	pin := t.pins[key]
	return pin != nil && !slices.ContainsFunc(s.criteria[key].information, func(i *information) bool { return !i.wants.meets(pin) })
}

// pin pins c, in place of another candidate with its key.
func (t *topKeys) pin(s *state, c *candidate) {
	before := s.last
	if t.pins[c.key] != nil {
		before = before.without(c.key)
	}
	s.last, t.pins[c.key] = &pinned{c, before}, c
}

// first returns the open key of the best preference.
func (t *topKeys) first(r *resolution) string {
	for {
		if p := t.queue[0]; t.open[p.key] && p == r.preference(p.key) {
			return p.key
		}
		heap.Pop(&t.queue)
	}
}

// next chooses the key to pin: those with a part in the last conflict before
// those that often had one, before the others.
func (r *resolution) next() string {
	s := r.now()
	if len(r.top.open) > 1 && len(s.causes)+len(r.promoted) == 0 {
		return r.top.first(r)
	}
	open := slices.Collect(maps.Keys(r.top.open)) // in any order: the preference decides
	if len(open) == 1 {
		return open[0]
	}
	involved := map[string]bool{}
	for _, i := range s.causes {
		keys := []string{i.wants.key}
		if i.parent != nil {
			keys = append(keys, i.parent.key)
		}
		for _, key := range keys {
			involved[key] = true
			if r.top.pins[key] == nil {
				r.conflicts[key]++
				r.promoted[key] = r.promoted[key] || r.conflicts[key] >= promotion
			}
		}
	}
	keep := func(in map[string]bool) []string {
		return slices.DeleteFunc(slices.Clone(open), func(key string) bool { return !in[key] })
	}
	if of := keep(involved); len(of) > 0 {
		open = of
	} else if of := keep(r.promoted); len(of) > 0 {
		open = of
	}
	best := r.preference(open[0])
	for _, key := range open[1:] {
		if p := r.preference(key); p.compare(best) < 0 {
			best = p
		}
	}
	return best.key
}

// preference orders keys; less is sooner.
type preference struct {
	flags     [4]bool // promoted, direct, pinned, bounded from above: true is sooner
	requested int
	limited   bool
	key       string
}

func (r *resolution) preference(key string) preference {
	p := preference{requested: len(r.problem.Requirements), key: key}
	p.flags[0] = r.promoted[key]
	if at, ok := r.requested[key]; ok {
		p.requested = at
	}
	for _, i := range r.now().criteria[key].information {
		if i.wants.explicit != nil {
			p.flags[1] = true
		}
		for _, one := range i.wants.set {
			p.flags[2] = p.flags[2] || one.IsPin()
			p.flags[3] = p.flags[3] || one.IsUpperBound()
			p.limited = true
		}
	}
	return p
}

func (p preference) compare(o preference) int {
	for i := range p.flags {
		if p.flags[i] != o.flags[i] {
			return trueFirst(p.flags[i])
		}
	}
	if c := cmp.Compare(p.requested, o.requested); c != 0 {
		return c
	}
	if p.limited != o.limited {
		return trueFirst(p.limited)
	}
	return cmp.Compare(p.key, o.key)
}

func trueFirst(a bool) int {
	if a {
		return -1
	}
	return 1
}

// preferences are a heap.
type preferences []preference

func (q preferences) Len() int           { return len(q) }
func (q preferences) Less(i, j int) bool { return q[i].compare(q[j]) < 0 }
func (q preferences) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }
func (q *preferences) Push(p any)        { *q = append(*q, p.(preference)) }

func (q *preferences) Pop() any {
	last := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return last
}
