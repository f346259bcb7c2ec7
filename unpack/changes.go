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
