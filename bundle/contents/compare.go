package contents

import (
	"cmp"
	"container/heap"
	"context"
	"iter"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
)

// Kind is what became of a name.
type Kind string

// The ways in which a name may change.
const (
	Removed Kind = "removed" // it was there and no longer is
	Changed Kind = "changed" // it is on both sides, and not the same
	Added   Kind = "added"   // it was not there before
)

// Version is one of the things that have a name: what Compare compares. Two entries
// that differ in nothing of this are the same to it, whatever their group and path.
type Version struct {
	Version string `json:"version,omitempty"`
	Arch    string `json:"arch,omitempty"`
	// Digest is zero where it is known only after the file was fetched, and of a branch
	// or tag with a Revision: all refs of a git repository are in one file. For a folder
	// it is that of all its files, where both states have such a digest.
	Digest bundle.Digest `json:"digest,omitzero"`
	// Revision is the commit of a branch or tag.
	Revision   string `json:"revision,omitempty"`
	Repository string `json:"repository"`
}

// CompareVersions orders versions by their texts, which is no order of age.
func CompareVersions(a, b Version) int {
	return cmp.Or(strings.Compare(a.Version, b.Version), strings.Compare(a.Arch, b.Arch),
		strings.Compare(a.Repository, b.Repository), strings.Compare(a.Revision, b.Revision), slices.Compare(a.Digest[:], b.Digest[:]))
}

// Change is what became of one name of one type between two states of a set.
type Change struct {
	Kind Kind   `json:"change"`
	Type string `json:"type"`
	Name string `json:"name"`
	// Before are those that only the state before has, After those that only the state
	// after has, in the order of CompareVersions. Before is empty for a name that was
	// added, and After for one that was removed.
	Before []Version `json:"before,omitempty"`
	After  []Version `json:"after,omitempty"`
	// Stays are versions that both states have, at most maxStays: the newest ones of
	// the state before if they stay, else any.
	Stays []string `json:"stays,omitempty"`
	// Older means that the newest version after is older than the newest one before, by
	// the rules of its clients. Only an exporter knows those.
	Older bool `json:"older,omitempty"`
}

// Direct finds out whether the change goes back to an older version. compare compares
// two versions of things of a type; nil: nothing is known.
func (c *Change) Direct(compare func(typ, a, b string) int) {
	if compare == nil || c.Kind != Changed {
		return
	}
	newest := func(versions []Version) string {
		all := slices.Clone(c.Stays)
		for _, v := range versions {
			all = append(all, v.Version)
		}
		return slices.MaxFunc(all, func(a, b string) int { return compare(c.Type, a, b) })
	}
	c.Older = compare(c.Type, newest(c.After), newest(c.Before)) < 0
}

// namesPerLook is how many names are compared before the context is looked at again.
const namesPerLook = 4096

// maxStays bounds Change.Stays: it is there to be read.
const maxStays = 4

// Compare yields how every name changed between two states of one set, in the order of
// names. It compares all versions of a name on both sides, because a state may have several
// versions, and a new one may be in another repository or group than the one it replaces.
// A repository that is in both states, and has a contents list in one of them only, is left
// out on both sides (WithoutList has it).
//
// If all lists are equal, nothing is read; a list that is equal on both sides is read once.
// The sequence ends after the first error.
func Compare(ctx context.Context, before, after []Repository) iter.Seq2[Change, error] {
	return func(yield func(Change, error) bool) {
		pairs := pairUp(before, after)
		if !slices.ContainsFunc(pairs, (*pair).differs) {
			return
		}
		defer func() {
			for _, p := range pairs {
				p.stop()
			}
		}()
		for _, p := range pairs {
			if err := p.open(); err != nil {
				yield(Change{}, err)
				return
			}
		}
		heads := pairHeap(slices.DeleteFunc(slices.Clone(pairs), (*pair).done))
		heap.Init(&heads)
		for count := 1; len(heads) > 0; count++ {
			c, err := heads.change()
			if err == nil && count%namesPerLook == 0 {
				err = ctx.Err()
			}
			if err != nil {
				yield(Change{}, err)
				return
			}
			if len(c.Before)+len(c.After) > 0 && !yield(c, nil) {
				return
			}
		}
	}
}

// change removes the entries of the first name from all pairs and compares them.
func (h *pairHeap) change() (Change, error) {
	name, typ := (*h)[0].first()
	c := Change{Kind: Changed, Name: name, Type: typ}
	kept := false
	for len(*h) > 0 {
		p := (*h)[0]
		if n, t := p.first(); n != name || t != typ {
			break
		}
		if err := p.take(name, typ); err != nil {
			return c, err
		}
		c.Before, c.After = append(c.Before, p.removed...), append(c.After, p.added...)
		kept = kept || p.kept
		c.Stays = stay(c.Stays, p.stays...)
		if p.done() {
			heap.Pop(h)
		} else {
			heap.Fix(h, 0)
		}
	}
	switch {
	case kept:
	case len(c.Before) == 0:
		c.Kind = Added
	case len(c.After) == 0:
		c.Kind = Removed
	}
	slices.SortFunc(c.Before, CompareVersions)
	slices.SortFunc(c.After, CompareVersions)
	return c, nil
}

func stay(stays []string, more ...string) []string {
	for _, v := range more {
		if len(stays) < maxStays && !slices.Contains(stays, v) {
			stays = append(stays, v)
		}
	}
	return stays
}

// pairUp puts the two states of each repository together.
func pairUp(before, after []Repository) []*pair {
	type states struct{ before, after *Repository }
	var names []string
	all := map[string]*states{}
	of := func(name string) *states {
		if all[name] == nil {
			all[name], names = &states{}, append(names, name)
		}
		return all[name]
	}
	for i := range before {
		of(before[i].Name).before = &before[i]
	}
	for i := range after {
		of(after[i].Name).after = &after[i]
	}
	var pairs []*pair
	for i, name := range names {
		p := &pair{name: name, number: i, states: [2]*Repository{all[name].before, all[name].after}}
		if !slices.ContainsFunc(p.states[:], func(r *Repository) bool { return r != nil && r.Entries == nil }) {
			pairs = append(pairs, p)
		}
	}
	return pairs
}

// pairHeap has the pair with the first name in front.
type pairHeap []*pair

func (h pairHeap) Len() int      { return len(h) }
func (h pairHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h pairHeap) Less(i, j int) bool {
	nameA, typeA := h[i].first()
	nameB, typeB := h[j].first()
	return cmp.Or(compareNames(nameA, typeA, nameB, typeB), h[i].number-h[j].number) < 0
}
func (h *pairHeap) Push(p any) { *h = append(*h, p.(*pair)) }
func (h *pairHeap) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}
