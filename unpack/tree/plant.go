package tree

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
			same := more && old.Path == f.Path && old.Digest == f.Digest && old.Size == f.Size && old.Filled == f.Filled
			if !yield(compared{f, same}, nil) {
				return
			}
		}
	}
}

// none yields an empty list.
func none(func(bundle.File, error) bool) {}

// plant makes the tree of a repository that owns its mount and sets its number:
// that of the tree it has now, if nothing changed, or next. Filled files are
// left out where the address is not known, and written again where it changed.
func (p *placer) plant(r, now *GenerationRepository, next int) error {
	before := iter.Seq2[bundle.File, error](none)
	sameBase := p.base == p.baseBefore
	if now != nil {
		if now.Files.Digest == r.Files.Digest && (sameBase || now.Filled == 0) {
			r.Tree, r.Filled = now.Tree, now.Filled
			return nil
		}
		before = p.b.Files(now.Repository)
	}
	r.Tree, r.Filled = next, 0
	dir := treeDir(next)
	if err := p.makeParents(dir + "/x"); err != nil { // an empty repository is a folder too
		return err
	}
	for c, err := range compare(p.b.Files(r.Repository), before) {
		if err != nil {
			return err
		}
		dst, same := dir+"/"+c.file.Path, ""
		if c.same {
			same = treeDir(now.Tree) + "/" + c.file.Path
		}
		if c.file.Filled {
			r.Filled++
			if !sameBase {
				same = ""
			}
			err = p.fill(c.file, dst, same)
		} else {
			err = p.put(c.file, dst, same)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
