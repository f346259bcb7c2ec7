package serve

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path"
	"strings"
	"sync"

	"github.com/gapbundle/gapbundle/unpack/site"
)

// generation is an open generation of a mirror. Files that were opened from
// it stay readable after it is closed, or swept.
type generation struct {
	name  string // generations/<number>
	root  *os.Root
	types []site.Type
	// public are the names that it can answer for; nil: an older generation, or not asked for.
	public *site.PublicNames
	// refs counts the mirror's own hold and the requests that use it.
	refs int // guarded by mirror.mu

	mu    sync.RWMutex
	trees map[string]*os.Root // by mount: what a link to trees/<m> stands for
}

// mirror opens generations by the links that name them.
type mirror struct {
	root  *os.Root
	hosts bool // public names are answered

	mu   sync.Mutex
	open map[string]*generation // by the link that led there: current, previous
}

// acquire returns the generation that link points to now; the caller releases
// it. It is opened once for as long as the link stays. Absent: fs.ErrNotExist.
func (m *mirror) acquire(link string) (*generation, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	name, err := m.root.Readlink(link)
	if err != nil {
		m.drop(link)
		return nil, err
	}
	if g := m.open[link]; g != nil && g.name == name {
		g.refs++
		return g, nil
	}
	m.drop(link)
	if !isNumbered(name, "generations/") {
		return nil, fmt.Errorf("%s: points to %q, want generations/<number>: %w", link, name, fs.ErrInvalid)
	}
	root, err := m.root.OpenRoot(name)
	if err != nil {
		return nil, err
	}
	g := &generation{name: name, root: root, refs: 2, trees: map[string]*os.Root{}}
	if g.types, err = readTypes(root); err == nil && m.hosts {
		g.public, err = readPublic(root)
	}
	if err != nil {
		return nil, errors.Join(err, root.Close())
	}
	m.open[link] = g
	return g, nil
}

// drop ends the mirror's own hold on what link led to. m.mu is held.
func (m *mirror) drop(link string) {
	if g := m.open[link]; g != nil {
		delete(m.open, link)
		m.unref(g)
	}
}

func (m *mirror) release(g *generation) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.unref(g)
}

func (m *mirror) unref(g *generation) {
	if g.refs--; g.refs == 0 {
		g.close()
	}
}

func (m *mirror) close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.drop(current)
	m.drop(previous)
	return m.root.Close()
}

// close errors of handles that were only read from matter to nobody.
func (g *generation) close() {
	_ = g.root.Close()
	for _, t := range g.trees {
		_ = t.Close()
	}
}

// isNumbered reports whether name is parent and digits: the only places in a
// mirror that a link is followed to.
func isNumbered(name, parent string) bool {
	n, ok := strings.CutPrefix(name, parent)
	return ok && n != "" && len(n) <= 18 && strings.Trim(n, "0123456789") == ""
}

func readTypes(root *os.Root) ([]site.Type, error) {
	f, err := root.Open(site.TypesPath)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return site.ReadTypes(f)
}

func readPublic(root *os.Root) (*site.PublicNames, error) {
	names, err := site.ReadPublicNames(root)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return names, err
}

// openFile opens p, a clean path relative to the web root. A mount may be a
// link out of the generation to trees/<m>; that is the one link followed
// deliberately, all others have to stay inside their root.
func (g *generation) openFile(m *mirror, p string) (*os.File, error) {
	if tree, rest := g.mounted(p); tree != nil {
		return tree.Open(rest)
	}
	f, err := g.root.Open(p)
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return f, err
	}
	tree, rest, terr := g.mount(m, p)
	if terr != nil {
		return nil, terr
	}
	if tree == nil {
		return nil, err
	}
	return tree.Open(rest)
}

// mounted returns the open tree that holds p, and p's place in it; nil if none
// of those opened so far does.
func (g *generation) mounted(p string) (*os.Root, string) {
	g.mu.RLock()
	defer g.mu.RUnlock()
	for end := range prefixes(p) {
		if t := g.trees[p[:end]]; t != nil {
			return t, below(p, end)
		}
	}
	return nil, ""
}

// mount opens the tree that the first link on the way to p stands for; nil
// if there is no such link.
func (g *generation) mount(m *mirror, p string) (*os.Root, string, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for end := range prefixes(p) {
		mount := p[:end]
		if t := g.trees[mount]; t != nil { // by another request, just now
			return t, below(p, end), nil
		}
		info, err := g.root.Lstat(mount)
		if err != nil {
			return nil, "", err
		}
		if info.Mode()&fs.ModeSymlink == 0 {
			continue
		}
		target, err := g.root.Readlink(mount)
		if err != nil {
			return nil, "", err
		}
		name := path.Join(g.name, path.Dir(mount), target)
		if path.IsAbs(target) || !isNumbered(name, "trees/") {
			return nil, "", nil
		}
		t, err := m.root.OpenRoot(name)
		if err != nil {
			return nil, "", err
		}
		g.trees[mount] = t
		return t, below(p, end), nil
	}
	return nil, "", nil
}

// prefixes returns the lengths of p's leading folders and of p itself.
func prefixes(p string) iter.Seq[int] {
	return func(yield func(int) bool) {
		for i := range len(p) {
			if p[i] == '/' && !yield(i) {
				return
			}
		}
		yield(len(p))
	}
}

// below returns p relative to its leading folder of length end.
func below(p string, end int) string {
	if end == len(p) {
		return "."
	}
	return p[end+1:]
}

// contentType returns what the file at p is sent as: by the link that marks its
// media type, as in every server's configuration, else by its extension.
func (g *generation) contentType(p string) string {
	if len(g.types) > 0 {
		if dir, err := g.root.OpenRoot(path.Dir(site.TypedDir + "/" + p)); err == nil {
			defer dir.Close()
			for _, t := range g.types {
				if _, err := dir.Lstat(path.Base(t.TypedPath(p))); err == nil {
					return t.MediaType
				}
			}
		}
	}
	return site.DefaultType(p)
}
