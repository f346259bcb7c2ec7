package unpack

import (
	"cmp"
	"fmt"
	"iter"
	"slices"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/unpack/tree"
)

// RepositoryChanges is what became of the files of a repository.
type RepositoryChanges struct {
	Set        string `json:"set"`
	Repository string `json:"repository"`
	bundle.Changes
}

// ownKind is the kind of the repositories that gapbundle makes: keys and client files,
// which follow from the others.
const ownKind = "gapbundle"

// compareSets compares what is published of a set with what comes in its place, by the
// lists that the mirror has of both.
func compareSets(trees *tree.Trees, before, after tree.GenerationSet) ([]RepositoryChanges, error) {
	var all []RepositoryChanges
	add := func(r bundle.Repository, was, is iter.Seq2[bundle.File, error]) error {
		if r.Kind == ownKind {
			return nil
		}
		c, err := bundle.CompareFiles(was, is)
		if err != nil {
			return fmt.Errorf("set %s, %s: what changed: %w", after.Set, r.Name, err)
		}
		if c.Any() {
			all = append(all, RepositoryChanges{after.Set, r.Name, c})
		}
		return nil
	}
	nothing := func(func(bundle.File, error) bool) {}
	for _, r := range before.Repositories {
		i := slices.IndexFunc(after.Repositories, func(o tree.GenerationRepository) bool { return o.Name == r.Name })
		is := iter.Seq2[bundle.File, error](nothing)
		if i >= 0 {
			if after.Repositories[i].Files.Digest == r.Files.Digest {
				continue
			}
			is = trees.Files(after.Repositories[i].Repository)
		}
		if err := add(r.Repository, trees.Files(r.Repository), is); err != nil {
			return nil, err
		}
	}
	for _, r := range after.Repositories {
		if !slices.ContainsFunc(before.Repositories, func(o tree.GenerationRepository) bool { return o.Name == r.Name }) {
			if err := add(r.Repository, nothing, trees.Files(r.Repository)); err != nil {
				return nil, err
			}
		}
	}
	slices.SortFunc(all, func(a, b RepositoryChanges) int { return cmp.Compare(a.Repository, b.Repository) })
	return all, nil
}

// allNew returns the changes of a set that was not published before.
func allNew(s tree.GenerationSet) []RepositoryChanges {
	var all []RepositoryChanges
	for _, r := range s.Repositories {
		if r.Kind != ownKind && r.Count > 0 {
			all = append(all, RepositoryChanges{s.Set, r.Name, bundle.Changes{Added: r.Count}})
		}
	}
	return all
}

// maxTold bounds the repositories whose changes a receipt has by name: a receipt is small,
// since people look at it before it goes out (bundle.MaxReceiptSize).
const maxTold = 50

// changeCounts returns the changes of a set as counts of a receipt: all together, and by
// repository those that changed most.
func changeCounts(changes []RepositoryChanges) []bundle.CheckCount {
	var total bundle.Changes
	for _, c := range changes {
		total = total.Plus(c.Changes)
	}
	all := []bundle.CheckCount{{Name: "files added", Count: total.Added}, {Name: "files changed", Count: total.Changed}, {Name: "files removed", Count: total.Removed}}
	most := slices.SortedFunc(slices.Values(changes), func(a, b RepositoryChanges) int {
		return cmp.Or(cmp.Compare(b.Added+b.Changed+b.Removed, a.Added+a.Changed+a.Removed), cmp.Compare(a.Repository, b.Repository))
	})
	for _, c := range most[:min(len(most), maxTold)] {
		for _, one := range []bundle.CheckCount{{Name: "added", Count: c.Added}, {Name: "changed", Count: c.Changed}, {Name: "removed", Count: c.Removed}} {
			if one.Count > 0 {
				all = append(all, bundle.CheckCount{Name: "files " + one.Name + " in " + c.Repository, Count: one.Count})
			}
		}
	}
	return all
}
