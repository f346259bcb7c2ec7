package lockfile

import (
	"errors"
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"github.com/gapbundle/gapbundle/internal/spelling"
	"github.com/gapbundle/gapbundle/sources/pypi/marker"
	"github.com/gapbundle/gapbundle/sources/pypi/pep440"
)

// Bounds of a lock.
const (
	maxPackages = 100_000
	maxFiles    = 10_000 // of one package
)

// Lock is what a lock file pins.
type Lock struct {
	Name           string // of the file
	RequiresPython pep440.Set
	// Environments are those that it was made for, if it names them.
	Environments []*marker.Marker
	Packages     []*Package

	extras, groups []string // that it declares
	roots          []*edge  // of a lock whose packages are wanted by others in it
}

// Package is a version of a project with its files.
type Package struct {
	Name           string // in normal form
	Version        pep440.Version
	Marker         *marker.Marker
	RequiresPython pep440.Set
	// Index is the one that the lock took it from; "": not known.
	Index string
	// Direct means that its files are no index's.
	Direct bool
	Files  []File

	wants []*edge // of uv.lock
}

// File is a file of a package.
type File struct {
	Name   string
	URL    string // "": to be looked up in the index
	SHA256 string // 64 hexadecimal digits; "": the lock has none
	Size   int64  // -1: not known
}

// edge leads from a package to one that it wants, of which it asks for extras.
type edge struct {
	to     *Package
	extras []string
	marker *marker.Marker
	extra  string // holds only if this extra of the one who wants it is asked for
}

// form returns the kind of lock that a file's name stands for; empty: none.
func form(name string) string {
	switch base := path.Base(strings.ReplaceAll(name, `\`, "/")); {
	case base == "pylock.toml" || strings.HasPrefix(base, "pylock.") && strings.HasSuffix(base, ".toml"):
		return "pylock"
	case base == "uv.lock", base == "poetry.lock", base == "pdm.lock":
		return strings.TrimSuffix(base, ".lock")
	}
	return ""
}

// ReadLock reads a lock; its form follows from the file's name.
func ReadLock(name string, content []byte) (*Lock, error) {
	if len(content) > MaxFile {
		return nil, fmt.Errorf("%s: %s, want at most %d: %w", name, spelling.Count(len(content), "byte"), MaxFile, ErrInvalid)
	}
	l := &Lock{Name: name}
	var err error
	switch form(name) {
	case "pylock":
		err = l.pylock(content)
	case "uv":
		err = l.uv(content)
	case "poetry":
		err = l.poetry(content)
	case "pdm":
		err = l.pdm(content)
	default:
		err = errors.New("want pylock.toml, pylock.NAME.toml, uv.lock, poetry.lock or pdm.lock")
	}
	if err == nil && len(l.Packages) > maxPackages {
		err = fmt.Errorf("%s, want at most %d", spelling.Count(len(l.Packages), "package"), maxPackages)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", name, err, ErrInvalid)
	}
	return l, nil
}

// unmarshal reads TOML; an error has the place.
func unmarshal(content []byte, into any) error {
	err := toml.Unmarshal(content, into)
	var at *toml.DecodeError
	if errors.As(err, &at) {
		row, column := at.Position()
		return fmt.Errorf("%d:%d: %w", row, column, err)
	}
	return err
}

// For returns the packages that the lock wants on a target, sorted by name, with
// all extras and dependency groups. Two versions of one project at once are
// refused: no environment can have both.
func (l *Lock) For(env *marker.Environment) ([]*Package, error) {
	admits, err := env.AdmitsPython(l.RequiresPython)
	if err != nil {
		return nil, fmt.Errorf("%s: requires-python %w", l.Name, err)
	}
	if !admits {
		return nil, fmt.Errorf("%s: is for Python %s: %w", l.Name, l.RequiresPython, ErrInvalid)
	}
	if err := l.covers(env); err != nil {
		return nil, err
	}
	all, err := l.hold(env)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", l.Name, err)
	}
	slices.SortFunc(all, func(a, b *Package) int { return strings.Compare(a.Name, b.Name) })
	all = slices.Compact(all)
	for i := 1; i < len(all); i++ {
		if a, b := all[i-1], all[i]; a.Name == b.Name && a.Version.Compare(b.Version) != 0 {
			return nil, fmt.Errorf("%s: %s: versions %s and %s for one target: its extras or groups exclude each other; export one choice of them as pylock.toml: %w",
				l.Name, a.Name, a.Version, b.Version, ErrInvalid)
		}
	}
	return all, nil
}

// covers refuses a target that the lock was not made for.
func (l *Lock) covers(env *marker.Environment) error {
	for _, m := range l.Environments {
		holds, err := m.Holds(env, marker.Selection{})
		if err != nil {
			return fmt.Errorf("%s: environments: %w", l.Name, err)
		}
		if holds {
			return nil
		}
	}
	if len(l.Environments) > 0 {
		return fmt.Errorf("%s: was made for other environments: %s: %w", l.Name, l.Environments[0], ErrInvalid)
	}
	return nil
}

func (l *Lock) hold(env *marker.Environment) ([]*Package, error) {
	if l.roots != nil {
		return reach(l.roots, env)
	}
	with := *env
	with.Groups = l.groups
	var all []*Package
	for _, p := range l.Packages {
		holds, err := p.Marker.Holds(&with, marker.Selection{Extras: l.extras})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.Name, err)
		}
		if holds {
			all = append(all, p)
		}
	}
	return all, nil
}

// reach follows edges whose markers hold.
func reach(roots []*edge, env *marker.Environment) ([]*Package, error) {
	type want struct {
		p     *Package
		extra string // "": the package itself
	}
	seen := map[want]bool{}
	var all []*Package
	queue := slices.Clone(roots)
	for len(queue) > 0 {
		e := queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		holds, err := e.marker.Holds(env, marker.Selection{})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", e.to.Name, err)
		}
		if !holds {
			continue
		}
		for _, extra := range append([]string{""}, e.extras...) {
			if seen[want{e.to, extra}] {
				continue
			}
			seen[want{e.to, extra}] = true
			if extra == "" {
				all = append(all, e.to)
			}
			for _, next := range e.to.wants {
				if next.extra == extra {
					queue = append(queue, next)
				}
			}
		}
	}
	return all, nil
}

// newPackage checks what all forms have.
func newPackage(name, version, condition, requiresPython string) (*Package, error) {
	if err := marker.CheckName(name); err != nil {
		return nil, err
	}
	p := &Package{Name: marker.NormalName(name)}
	var err error
	if version != "" {
		if p.Version, err = pep440.Parse(version); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	if condition != "" {
		if p.Marker, err = marker.Parse(condition); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	if p.RequiresPython, err = pep440.ParseSet(requiresPython); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return p, nil
}

// add puts a file to p. Its name is told or is the end of its URL.
func (p *Package) add(name, address, digest string, size *int64) error {
	if len(p.Files) == maxFiles {
		return fmt.Errorf("%s: more than %d files", p.Name, maxFiles)
	}
	f := File{Name: name, URL: address, SHA256: digest, Size: -1}
	if size != nil {
		f.Size = *size
	}
	if address != "" {
		u, err := url.Parse(address)
		if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
			return fmt.Errorf("%s: %.200q: want a URL of https or http", p.Name, address)
		}
		if name == "" {
			f.Name = path.Base(u.Path)
		}
	}
	switch {
	case f.Name == "" || f.Name == "." || f.Name == ".." || strings.ContainsAny(f.Name, "/\\\x00"):
		return fmt.Errorf("%s: %.200q is no file name", p.Name, f.Name)
	case digest != "" && !isDigest(digest):
		return fmt.Errorf("%s: %s: sha256 %.100q: want 64 hexadecimal digits", p.Name, f.Name, digest)
	}
	p.Files = append(p.Files, f)
	return nil
}

// digestOf takes the sha256 of "sha256:<hex>"; other algorithms do not count.
func digestOf(hash string) string {
	digest, _ := strings.CutPrefix(hash, "sha256:")
	if digest == hash {
		return ""
	}
	return digest
}

func refused(name, what string) error {
	return fmt.Errorf("%s: %s is built in place and no file of an index: want a release of it", name, what)
}
