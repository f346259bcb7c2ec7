package lockfile

import (
	"errors"
	"fmt"
	"slices"

	"github.com/gapbundle/gapbundle/internal/spelling"
	"github.com/gapbundle/gapbundle/sources/pypi/marker"
	"github.com/gapbundle/gapbundle/sources/pypi/pep440"
)

// uvSource is where uv takes a package from: one field is set.
type uvSource struct {
	Registry  string `toml:"registry"`
	URL       string `toml:"url"`
	Path      string `toml:"path"`
	Git       string `toml:"git"`
	Directory string `toml:"directory"`
	Virtual   string `toml:"virtual"`
	Editable  string `toml:"editable"`
}

// isProject: the packages that the lock is of, which are nobody's files.
func (s uvSource) isProject() bool { return s.Virtual != "" || s.Editable != "" || s.Directory != "" }

type uvFile struct {
	URL  string `toml:"url"`
	Path string `toml:"path"`
	Hash string `toml:"hash"`
	Size *int64 `toml:"size"`
}

type uvDependency struct {
	Name    string   `toml:"name"`
	Version string   `toml:"version"`
	Source  uvSource `toml:"source"`
	Marker  string   `toml:"marker"`
	Extra   []string `toml:"extra"`
}

type uvPackage struct {
	Name         string                    `toml:"name"`
	Version      string                    `toml:"version"`
	Source       uvSource                  `toml:"source"`
	Sdist        *uvFile                   `toml:"sdist"`
	Wheels       []uvFile                  `toml:"wheels"`
	Dependencies []uvDependency            `toml:"dependencies"`
	Optional     map[string][]uvDependency `toml:"optional-dependencies"`
	Dev          map[string][]uvDependency `toml:"dev-dependencies"`
}

// uv reads uv.lock version 1. Which packages a target needs follows from who
// wants whom, beginning with the projects that the lock is of.
func (l *Lock) uv(content []byte) error {
	var top struct {
		Version        int         `toml:"version"`
		RequiresPython string      `toml:"requires-python"`
		Conflicts      []any       `toml:"conflicts"`
		Package        []uvPackage `toml:"package"`
	}
	if err := unmarshal(content, &top); err != nil {
		return err
	}
	switch {
	case top.Version != 1:
		return fmt.Errorf("version %d, want 1", top.Version)
	case len(top.Conflicts) > 0:
		return errors.New("conflicts: its extras exclude each other; export one choice of them: uv export --format pylock.toml")
	}
	errs := []error{l.environments(top.RequiresPython, nil)}
	if len(top.Package) > maxPackages {
		return fmt.Errorf("%s, want at most %d", spelling.Count(len(top.Package), "package"), maxPackages)
	}
	by := map[string][]int{}
	nodes := make([]*Package, len(top.Package))
	for i := range top.Package {
		q := &top.Package[i]
		p, err := q.read()
		if err != nil {
			errs = append(errs, err)
			continue
		}
		nodes[i] = p
		by[p.Name] = append(by[p.Name], i)
		if !q.Source.isProject() {
			l.Packages = append(l.Packages, p)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	find := func(d uvDependency) (*Package, error) {
		for _, i := range by[marker.NormalName(d.Name)] {
			if q := &top.Package[i]; (d.Version == "" || d.Version == q.Version) && (d.Source == uvSource{} || d.Source == q.Source) {
				return nodes[i], nil
			}
		}
		return nil, fmt.Errorf("%s %s: wanted, and not in the lock", d.Name, d.Version)
	}
	l.roots = []*edge{}
	for i := range top.Package {
		errs = append(errs, l.connect(&top.Package[i], nodes[i], find))
	}
	return errors.Join(errs...)
}

// connect makes the edges that leave a package; those of a project are the
// lock's roots, its extras and groups included.
func (l *Lock) connect(q *uvPackage, p *Package, find func(uvDependency) (*Package, error)) error {
	var errs []error
	add := func(extra string, all []uvDependency) {
		for _, d := range all {
			to, err := find(d)
			if err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", q.Name, err))
				continue
			}
			e := &edge{to: to, extra: extra}
			for _, name := range d.Extra {
				e.extras = append(e.extras, marker.NormalName(name))
			}
			if d.Marker != "" {
				if e.marker, err = marker.Parse(d.Marker); err != nil {
					errs = append(errs, fmt.Errorf("%s: %w", q.Name, err))
					continue
				}
			}
			if q.Source.isProject() {
				e.extra = ""
				l.roots = append(l.roots, e)
			} else {
				p.wants = append(p.wants, e)
			}
		}
	}
	add("", q.Dependencies)
	for extra, all := range q.Optional {
		add(marker.NormalName(extra), all)
	}
	for _, all := range q.Dev {
		add("", all)
	}
	// A project that another one of the lock wants has no files.
	l.roots = slices.DeleteFunc(l.roots, func(e *edge) bool { return e.to.Files == nil && e.to.Version.IsZero() })
	return errors.Join(errs...)
}

func (q *uvPackage) read() (*Package, error) {
	p, err := newPackage(q.Name, q.Version, "", "")
	if err != nil {
		return nil, err
	}
	switch s := q.Source; {
	case s.isProject():
		p.Version = pep440.Version{}
		return p, nil
	case s.Git != "":
		return nil, refused(q.Name, s.Git)
	case s.Path != "":
		return nil, refused(q.Name, s.Path)
	case s.URL != "":
		p.Direct = true
		for _, f := range q.files() {
			f.URL = s.URL
			if err := p.add("", f.URL, digestOf(f.Hash), f.Size); err != nil {
				return nil, err
			}
		}
		return p, nil
	}
	p.Index = q.Source.Registry
	for _, f := range q.files() {
		if f.URL == "" {
			return nil, fmt.Errorf("%s: %s is a local path: want a url", q.Name, f.Path)
		}
		if err := p.add("", f.URL, digestOf(f.Hash), f.Size); err != nil {
			return nil, err
		}
	}
	if len(p.Files) == 0 {
		return nil, fmt.Errorf("%s: names no file", q.Name)
	}
	return p, nil
}

func (q *uvPackage) files() []uvFile {
	all := q.Wheels
	if q.Sdist != nil {
		all = append(all, *q.Sdist)
	}
	return all
}
