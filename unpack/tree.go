package unpack

import (
	"iter"

	"github.com/gapbundle/gapbundle/bundle"
)

// compared is a path of a new tree, and whether the tree that is published now
// has the same content there.
type compared struct {
	file bundle.File
	same bool
}

// compare walks two sorted lists side by side; neither is held in memory. An
// error of either ends it.
func compare(now, before iter.Seq2[bundle.File, error]) iter.Seq2[compared, error] {
	return func(yield func(compared, error) bool) {
		next, stop := iter.Pull2(before)
		defer stop()
		old, err, more := next()
		for f, ferr := range now {
			if ferr != nil {
				yield(compared{}, ferr)
				return
			}
			for more && err == nil && bundle.ComparePaths(old.Path, f.Path) < 0 {
				old, err, more = next()
			}
			if err != nil {
				yield(compared{}, err)
				return
			}
			same := more && old.Path == f.Path && old.Digest == f.Digest && old.Size == f.Size
			if !yield(compared{f, same}, nil) {
				return
			}
		}
	}
}

// none is an empty list.
func none(func(bundle.File, error) bool) {}

// plant makes the tree of a repository that owns its mount and gives its
// number: that of the tree it has now, if nothing changed, or next.
func (p *placer) plant(r bundle.Repository, now *GenerationRepository, next int) (int, error) {
	before := iter.Seq2[bundle.File, error](none)
	if now != nil {
		if now.Files.Digest == r.Files.Digest {
			return now.Tree, nil
		}
		before = p.files(now.Repository)
	}
	dir := treeDir(next)
	if err := p.makeParents(dir + "/x"); err != nil { // an empty repository is a folder too
		return 0, err
	}
	for c, err := range compare(p.files(r), before) {
		if err != nil {
			return 0, err
		}
		same := ""
		if c.same {
			same = treeDir(now.Tree) + "/" + c.file.Path
		}
		if err := p.put(c.file, dir+"/"+c.file.Path, same); err != nil {
			return 0, err
		}
	}
	return next, nil
}
