package closure

import (
	"slices"

	"github.com/gapbundle/gapbundle/sources/closure"
)

// request adds what r asks for, and remembers in found what there is.
func (s *solver) request(r *Request, found map[string]bool) {
	for _, want := range r.Packages {
		matched, f := s.u.lookUp(want)
		if len(matched) == 0 {
			continue
		}
		found[want] = true
		why := closure.Asked(want, r.Source)
		if !closure.IsPattern(want) {
			s.asks(f, matched, why, strict, max(r.Newest, 1))
			continue
		}
		for _, group := range byName(matched) {
			s.asks(f, group, group[0].pkg.Name+": "+why, whatever, max(r.Newest, 1))
		}
	}
	if r.All {
		s.everythingOf(r)
	}
}

// asks adds a request that one of matched meets, and for the older versions
// that are wanted besides one each. As dnf does, what obsoletes a package that
// is asked for by its name alone is taken instead.
func (s *solver) asks(f form, matched []*entry, why string, r rank, newest int) {
	candidates := matched
	if f.name != "" && f.justName() {
		for _, e := range s.u.obsoleters(matched) {
			if !slices.Contains(candidates, e) {
				candidates = append(slices.Clone(candidates), e)
			}
		}
	}
	if !s.hostHas(candidates) {
		s.addRoot(&node{why: why, rank: r}, candidates)
	}
	if len(candidates) > len(matched) {
		// dnf takes the other only if it finds the name
		for _, e := range matched {
			if slices.ContainsFunc(candidates, func(o *entry) bool { return obsoletes(o, e) }) {
				s.bare[e] = closure.Because(closure.Text(why+", and obsoleted"), nil)
			}
		}
	}
	if newest < 2 {
		return
	}
	for _, group := range byName(matched) {
		for _, older := range s.versions(group, newest) {
			s.addRoot(&node{why: why, rank: whatever, extra: true}, older)
		}
	}
}

// hostHas reports whether the reference host has the choice that would be made,
// or a newer one.
func (s *solver) hostHas(candidates []*entry) bool {
	for _, e := range prune(candidates) {
		for _, h := range s.u.host[e.pkg.Name] {
			if h.pkg.EVR.Compare(e.pkg.EVR) >= 0 && (h.pkg.Arch == e.pkg.Arch || h.rank == 0 || e.rank == 0) {
				return true
			}
		}
	}
	return false
}

// versions groups the packages of one name by version, newest first, and
// leaves out the first group and those beyond the n-th; 0 leaves out none
// beyond.
func (s *solver) versions(all []*entry, n int) [][]*entry {
	all = slices.Clone(all)
	slices.SortStableFunc(all, func(a, b *entry) int { return b.pkg.EVR.Compare(a.pkg.EVR) })
	var groups [][]*entry
	for i, e := range all {
		if i == 0 || all[i-1].pkg.EVR.Compare(e.pkg.EVR) != 0 {
			groups = append(groups, nil)
		}
		groups[len(groups)-1] = append(groups[len(groups)-1], e)
	}
	if n > 0 && len(groups) > n {
		groups = groups[:n]
	}
	return groups[1:]
}

// byName groups packages, in the order in which the names come.
func byName(all []*entry) [][]*entry {
	var groups [][]*entry
	at := map[string]int{}
	for _, e := range all {
		i, ok := at[e.pkg.Name]
		if !ok {
			i = len(groups)
			at[e.pkg.Name] = i
			groups = append(groups, nil)
		}
		groups[i] = append(groups[i], e)
	}
	return groups
}

// everythingOf adds every package of r's source, each architecture by itself.
// That some of it cannot be installed is no error: archives hold such packages.
func (s *solver) everythingOf(r *Request) {
	type key struct{ name, arch string }
	groups := map[key][]*entry{}
	var order []key
	for _, e := range s.u.entries {
		if s.u.sources[e.at.index] != r.Source {
			continue
		}
		k := key{e.pkg.Name, e.pkg.Arch}
		if groups[k] == nil {
			order = append(order, k)
		}
		groups[k] = append(groups[k], e)
	}
	for _, k := range order {
		n := 0
		var last *entry
		group := groups[k]
		slices.SortStableFunc(group, func(a, b *entry) int { return b.pkg.EVR.Compare(a.pkg.EVR) })
		for _, e := range group {
			if last == nil || last.pkg.EVR.Compare(e.pkg.EVR) != 0 {
				n++
			}
			if r.Newest > 0 && n > r.Newest {
				break
			}
			last = e
			s.addRoot(&node{why: e.pkg.Name + " is asked for by source " + r.Source + "'s selection", rank: whatever, extra: n > 1}, []*entry{e})
		}
	}
}

// obsoleters returns the packages that obsolete one of all.
func (u *universe) obsoleters(all []*entry) []*entry {
	var found []*entry
	for _, e := range all {
		for _, o := range u.obsoletedBy[e.pkg.Name] {
			if obsoletes(o, e) && !slices.Contains(found, o) {
				found = append(found, o)
			}
		}
	}
	return found
}

// notes reports to the collector what a person should know about what is carried.
func (s *solver) notes(c *collector) {
	for _, n := range s.reached {
		for _, d := range n.needs {
			switch {
			case d.soft && !d.met && len(d.conditions) == 0 && len(d.pruned) == 0:
				c.notes.Add("%s, which nothing meets", d)
			case n.entry == nil && len(d.picks) > 0 && !n.extra && n.rank == strict:
				if first := s.newest(d.candidates); first != d.picks[0] {
					c.notes.Add("%s: carried is %s, because %s cannot be installed", n.why, d.picks[0].pkg.NEVRA(), first.pkg.NEVRA())
				}
			}
		}
	}
	for _, note := range slices.Concat(s.conflicts, s.apart) {
		c.notes.Add("%s", note)
	}
}
