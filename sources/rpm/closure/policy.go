package closure

import (
	"cmp"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/sources/rpm/rpmmd"
)

// prune leaves of candidates those that libsolv looks at when it chooses: of
// the best priority, of the best architecture, of each name the newest, and
// none that another of them obsoletes. They are sorted by name.
func prune(candidates []*entry) []*entry {
	if len(candidates) < 2 {
		return candidates
	}
	best, rank := candidates[0].priority, 0
	for _, e := range candidates {
		best = min(best, e.priority)
	}
	left := make([]*entry, 0, len(candidates))
	for _, e := range candidates {
		if e.priority == best {
			left = append(left, e)
			if e.rank > 0 && (rank == 0 || e.rank < rank) {
				rank = e.rank
			}
		}
	}
	if rank > 0 {
		left = slices.DeleteFunc(left, func(e *entry) bool { return e.rank > 0 && e.rank != rank })
	}
	slices.SortStableFunc(left, func(a, b *entry) int {
		return cmp.Or(strings.Compare(a.pkg.Name, b.pkg.Name), b.pkg.EVR.Compare(a.pkg.EVR), archOrder(a, b))
	})
	left = slices.CompactFunc(left, func(a, b *entry) bool { return a.pkg.Name == b.pkg.Name })
	return pruneObsoleted(left)
}

// archOrder brings better architectures to the front; noarch is compared with
// none.
func archOrder(a, b *entry) int {
	if a.rank == 0 || b.rank == 0 {
		return 0
	}
	return cmp.Compare(a.rank, b.rank)
}

// pruneObsoleted takes off those that are obsoleted by another one, unless
// they obsolete each other.
func pruneObsoleted(all []*entry) []*entry {
	if len(all) < 2 || !slices.ContainsFunc(all, func(e *entry) bool { return len(e.pkg.Obsoletes) > 0 }) {
		return all
	}
	reach := make([][]bool, len(all)) // obsoletes, also by way of others
	for i := range all {
		reach[i] = make([]bool, len(all))
		queue := []int{i}
		for len(queue) > 0 {
			a := queue[0]
			queue = queue[1:]
			for b := range all {
				if !reach[i][b] && obsoletes(all[a], all[b]) {
					reach[i][b] = true
					queue = append(queue, b)
				}
			}
		}
	}
	var left []*entry
	for b := range all {
		obsoleted := false
		for a := range all {
			obsoleted = obsoleted || reach[a][b] && !reach[b][a]
		}
		if !obsoleted {
			left = append(left, all[b])
		}
	}
	return left
}

// order sorts the packages that prune left by libsolv's preference: packages
// that have a newer version last, then by the versions of what they provide in
// common, then by name. in reports whether a package exists.
func (u *universe) order(all []*entry, in func(*entry) bool) []*entry {
	if len(all) < 2 {
		return all
	}
	var liked, disliked []*entry
	for _, e := range all {
		if u.isOld(e, in) {
			disliked = append(disliked, e)
		} else {
			liked = append(liked, e)
		}
	}
	all = append(liked, disliked...)
	bad := badness(all)
	at := make(map[*entry]int, len(all))
	for i, e := range all {
		at[e] = bad[i]
	}
	slices.SortStableFunc(all, func(a, b *entry) int { return cmp.Compare(at[a], at[b]) })
	return all
}

// isOld reports whether there is a newer version, or one in a repository of
// better priority.
func (u *universe) isOld(e *entry, in func(*entry) bool) bool {
	return slices.ContainsFunc(u.byName[e.pkg.Name], func(o *entry) bool {
		if o == e || o.pkg.Arch != e.pkg.Arch || !in(o) || o.priority > e.priority {
			return false
		}
		return o.priority < e.priority || o.pkg.EVR.Compare(e.pkg.EVR) > 0
	})
}

// badness counts for each package in how many of its provides others have a
// newer version of the same.
func badness(all []*entry) []int {
	type common struct {
		at int
		r  *rpmmd.Relation
	}
	groups := map[string][]common{}
	for i, e := range all {
		for _, r := range e.pkg.Provides {
			if (r.Op == rpmmd.EQ && !looksLikeHash(r.EVR.String())) || r.Op == rpmmd.LE || r.Op == rpmmd.LT {
				groups[r.Name] = append(groups[r.Name], common{i, r})
			}
		}
	}
	bad := make([]int, len(all))
	for _, g := range groups {
		slices.SortStableFunc(g, func(a, b common) int { return newestFirst(a.r, b.r) })
		n := 0
		for i := range g {
			if i > 0 && g[i-1].at != g[i].at && newestFirst(g[i-1].r, g[i].r) < 0 {
				n++
			}
			bad[g[i].at] += n
		}
	}
	return bad
}

func newestFirst(a, b *rpmmd.Relation) int {
	x, y := a.EVR, b.EVR
	if x.Release == "" || y.Release == "" {
		x.Release, y.Release = "", ""
	}
	if c := y.Compare(x); c != 0 {
		return c
	}
	switch below, above := a.Op == rpmmd.LT, b.Op == rpmmd.LT; {
	case below && !above:
		return 1
	case above && !below:
		return -1
	}
	return 0
}

// looksLikeHash reports whether libsolv takes a version for a hash and does not
// compare it.
func looksLikeHash(s string) bool {
	return len(s) >= 4 && strings.Trim(s, "0123456789abcdef") == ""
}
