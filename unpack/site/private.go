package site

import (
	"iter"
	"path"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
)

// heldFile is a file of a shared mount and the sets that have it.
type heldFile struct {
	path string // relative to the web root
	sets []string
}

// private marks the files that a public name leads to although their set may not answer for
// that name. In folders that sets share, the prefix alone does not show whose file it is.
func (w *writer) private() error {
	byMount := map[string][]PublicName{}
	for _, n := range w.public.Names {
		mount, _, _ := strings.Cut(strings.TrimPrefix(n.At, "/"), "/")
		if bundle.IsSharedMount(mount) && mount != keysMount {
			byMount[mount] = append(byMount[mount], n)
		}
	}
	for mount, names := range byMount {
		if w.setsWith(mount) < 2 {
			continue
		}
		answering := map[string][]string{} // sets, by web path
		for _, n := range names {
			answering[n.At] = append(answering[n.At], n.Set)
		}
		if err := w.privateFiles(mount, answering); err != nil {
			return err
		}
	}
	return nil
}

// setsWith counts the sets that have something in a shared mount.
func (w *writer) setsWith(mount string) (n int) {
	for _, s := range w.in.Sets {
		if slices.ContainsFunc(s.Repositories, func(r Repository) bool { return r.Mount == mount }) {
			n++
		}
	}
	return n
}

// privateFiles marks files of one shared mount. The tags of an image are listed where one of
// its manifests is answered.
func (w *writer) privateFiles(mount string, answering map[string][]string) error {
	image, hidden, shown := "", false, false
	endImage := func() error {
		if image == "" || !hidden || shown {
			return nil
		}
		return w.bytes(PrivateDir+"/"+imagesDir+image+"/"+tagsList, nil)
	}
	for f, err := range w.held(mount) {
		if err != nil {
			return err
		}
		if p, ok := SplitImagePath(f.path); ok && p.Name != image {
			if err := endImage(); err != nil {
				return err
			}
			image, hidden, shown = p.Name, false, false
		}
		if !f.mustHide(answering) {
			shown = true
			continue
		}
		hidden = true
		if err := w.bytes(PrivateDir+"/"+f.path, nil); err != nil {
			return err
		}
	}
	return endImage()
}

// mustHide reports whether there is a web path above the file, or its own, that is answered
// for sets which do not have the file.
func (f *heldFile) mustHide(answering map[string][]string) bool {
	for at := "/" + f.path; at != "/"; at = path.Dir(at) {
		sets := answering[at]
		if sets != nil && !slices.ContainsFunc(f.sets, func(s string) bool { return slices.Contains(sets, s) }) {
			return true
		}
	}
	return false
}

// list is a file list that is read along with others.
type list struct {
	set  string
	next func() (bundle.File, error, bool)
	head bundle.File
	err  error
}

// advance reads the next line; false: there is none. An error is in err.
func (l *list) advance() (more bool) {
	l.head, l.err, more = l.next()
	return more
}

// held returns the files of a shared mount in the order of their paths, each once.
func (w *writer) held(mount string) iter.Seq2[heldFile, error] {
	return func(yield func(heldFile, error) bool) {
		var live []*list
		for _, s := range w.in.Sets {
			for i := range s.Repositories {
				if s.Repositories[i].Mount != mount {
					continue
				}
				next, stop := iter.Pull2(s.Repositories[i].Files())
				defer stop()
				live = append(live, &list{set: s.Name, next: next})
			}
		}
		live = slices.DeleteFunc(live, func(l *list) bool { return !l.advance() })
		for len(live) > 0 {
			var file heldFile
			first := slices.MinFunc(live, func(a, b *list) int { return bundle.ComparePaths(a.head.Path, b.head.Path) }).head.Path
			file.path = mount + "/" + first
			for _, l := range live {
				if l.err != nil {
					yield(heldFile{}, l.err)
					return
				}
				if l.head.Path == first {
					file.sets = append(file.sets, l.set)
				}
			}
			if !yield(file, nil) {
				return
			}
			live = slices.DeleteFunc(live, func(l *list) bool { return l.head.Path == first && !l.advance() })
		}
	}
}
