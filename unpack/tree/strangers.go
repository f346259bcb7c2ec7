package tree

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/unpack/site"
	"github.com/gapbundle/gapbundle/unpack/store"
)

// generated checks what the publish itself made, and that the generation holds
// nothing that neither a list nor the publish put there.
func (c *checker) generated() error {
	dir := generationDir(c.generation.Number)
	name := generatedFile(c.generation.Number)
	list := func(yield func(bundle.File, error) bool) {
		f, err := c.root.Open(name)
		if err != nil {
			yield(bundle.File{}, err)
			return
		}
		defer f.Close()
		bundle.ReadList[bundle.File](f, name)(yield)
	}
	for f, err := range list {
		if err != nil {
			c.damage(Damage{Path: site.Dir, Problem: err.Error()})
			break
		}
		if site.Owns(f.Path) {
			continue // checked by its list
		}
		if problem := c.made(dir+"/"+f.Path, f); problem != "" {
			c.damage(Damage{Path: f.Path, Problem: problem})
		}
	}
	c.strangers(dir, "", Union(c.Parts(c.generation.Sets)), list, c.mounts())
	return nil
}

// made returns what is wrong with a generated file or link.
func (c *checker) made(name string, f bundle.File) (problem string) {
	fi, err := c.root.Lstat(name)
	if f.MediaType == linkType {
		target, lerr := c.root.Readlink(name)
		switch {
		case err != nil:
			return wrong(fi, err, f.Size)
		case lerr != nil:
			return lerr.Error()
		case bundle.DigestOf([]byte(target)) != f.Digest:
			return fmt.Sprintf("links to %q, which is not what was made", target)
		}
		return ""
	}
	if problem := wrong(fi, err, f.Size); problem != "" || !c.hashMade {
		return problem
	}
	c.res.Hashed++
	got, err := hashOf(c.root, name)
	switch {
	case err != nil:
		return err.Error()
	case got != f.Digest:
		return fmt.Sprintf("digest mismatch: want %s, got %s", f.Digest, got)
	}
	return ""
}

// mounts returns the links of the generation to trees, as a list.
func (c *checker) mounts() iter.Seq2[bundle.File, error] {
	var paths []string
	for _, s := range c.generation.Sets {
		for _, r := range s.Repositories {
			if r.Tree != 0 {
				paths = append(paths, r.Mount)
			}
		}
	}
	slices.SortFunc(paths, bundle.ComparePaths)
	return func(yield func(bundle.File, error) bool) {
		for _, p := range paths {
			if !yield(bundle.File{Path: p}, nil) {
				return
			}
		}
	}
}

// stranger is the problem of a file that no list names, strangeFolder of a folder.
const (
	stranger      = "in no list"
	strangeFolder = "a folder that no list needs"
)

// looks returns what is wrong with the mode and the owner of a folder or a file.
func (c *checker) looks(e fs.DirEntry, mode fs.FileMode) string {
	fi, err := e.Info()
	switch {
	case err != nil:
		return err.Error()
	case fi.Mode().Perm()&mode&readableAll != mode&readableAll:
		return fmt.Sprintf("mode %04o: not readable for everybody", fi.Mode().Perm())
	}
	return c.foreign(fi)
}

// readableAll is what a web server that runs as another user needs.
const readableAll = 0o555

// foreign returns what is wrong with who may write a file: its owner is that of the
// mirror, and nobody else may.
func (c *checker) foreign(fi fs.FileInfo) string {
	if fi.Mode().Perm()&0o002 != 0 {
		return fmt.Sprintf("mode %04o: everybody may write it", fi.Mode().Perm())
	}
	if uid := ownerOf(fi); uid != c.owner {
		return fmt.Sprintf("owned by user %d, the mirror by user %d", uid, c.owner)
	}
	return ""
}

// shelves names what is in the store and is no blob.
func (c *checker) shelves() error {
	for _, err := range c.blobs.All() {
		if err == nil {
			err = c.ctx.Err()
		}
		if errors.Is(err, bundle.ErrCorrupt) {
			c.damage(Damage{Problem: err.Error()})
		} else if err != nil {
			return err
		}
	}
	if err := c.strays(BlobsDir, store.IsOwn); err != nil {
		return err
	}
	err := c.strays(BlobsDir+"/"+store.ShelfDir, store.IsShelf)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // its blobs were found missing
	}
	return err
}

// strays names what is in a folder of the store and is none of its own folders.
func (c *checker) strays(dir string, isOwn func(name string) bool) error {
	entries, err := fs.ReadDir(c.root.FS(), dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !isOwn(e.Name()) || !e.IsDir() {
			c.damage(Damage{Problem: "store: " + dir + "/" + e.Name() + ": does not belong there"})
		}
	}
	return nil
}

// strangers names every file below dir that is in none of the sorted lists;
// prefix makes its web path. So is every folder that no list needs, and one that web
// servers cannot look into. A fault of a list itself was found by whoever checked
// its files.
func (c *checker) strangers(dir, prefix string, lists ...iter.Seq2[bundle.File, error]) {
	var expected []*cursor
	for _, l := range lists {
		next, stop := iter.Pull2(l)
		defer stop()
		expected = append(expected, &cursor{next: next})
	}
	err := fs.WalkDir(c.root.FS(), dir, func(name string, e fs.DirEntry, err error) error {
		if err == nil {
			err = c.ctx.Err()
		}
		if err != nil || name == dir {
			return err
		}
		path := strings.TrimPrefix(name, dir+"/")
		if e.IsDir() {
			if problem := c.looks(e, DirMode); problem != "" {
				c.damage(Damage{Path: prefix + path, Problem: problem})
			}
			needed := false
			for _, l := range expected {
				needed = l.below(path) || needed
			}
			if !needed {
				c.damage(Damage{Path: prefix + path, Problem: strangeFolder})
				return fs.SkipDir
			}
			return nil
		}
		known := false
		for _, l := range expected {
			known = l.has(path) || known
		}
		if !known {
			c.damage(Damage{Path: prefix + path, Problem: stranger})
		}
		return nil
	})
	if err != nil {
		c.damage(Damage{Path: strings.TrimSuffix(prefix, "/"), Problem: err.Error()})
	}
}

// cursor answers whether paths, asked for in ascending order, are in a list.
type cursor struct {
	next func() (bundle.File, error, bool)
	path string
	done bool
}

func (c *cursor) has(path string) bool {
	c.advance(path)
	return !c.done && c.path == path
}

// below reports whether the list has a path below a folder.
func (c *cursor) below(folder string) bool {
	c.advance(folder)
	return !c.done && (c.path == folder || strings.HasPrefix(c.path, folder+"/"))
}

func (c *cursor) advance(path string) {
	for !c.done && (c.path == "" || bundle.ComparePaths(c.path, path) < 0) {
		f, err, more := c.next()
		c.path, c.done = f.Path, err != nil || !more
	}
}
