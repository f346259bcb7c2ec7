package lockfile

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/sources/pypi/marker"
	"github.com/gapbundle/gapbundle/sources/pypi/pep440"
)

// pylockFile is a file of pylock.toml (wheels, sdist, archive).
type pylockFile struct {
	Name   string            `toml:"name"`
	URL    string            `toml:"url"`
	Path   string            `toml:"path"`
	Size   *int64            `toml:"size"`
	Hashes map[string]string `toml:"hashes"`
}

type pylockPackage struct {
	Name           string         `toml:"name"`
	Version        string         `toml:"version"`
	Marker         string         `toml:"marker"`
	RequiresPython string         `toml:"requires-python"`
	Index          string         `toml:"index"`
	Wheels         []pylockFile   `toml:"wheels"`
	Sdist          *pylockFile    `toml:"sdist"`
	Archive        *pylockFile    `toml:"archive"`
	VCS            map[string]any `toml:"vcs"`
	Directory      map[string]any `toml:"directory"`
}

// pylock reads pylock.toml 1.0 ("pylock.toml specification", PEP 751).
func (l *Lock) pylock(content []byte) error {
	var top struct {
		LockVersion    string          `toml:"lock-version"`
		Environments   []string        `toml:"environments"`
		RequiresPython string          `toml:"requires-python"`
		Extras         []string        `toml:"extras"`
		Groups         []string        `toml:"dependency-groups"`
		DefaultGroups  []string        `toml:"default-groups"`
		Packages       []pylockPackage `toml:"packages"`
	}
	if err := unmarshal(content, &top); err != nil {
		return err
	}
	if major, _, _ := strings.Cut(top.LockVersion, "."); major != "1" {
		return fmt.Errorf("lock-version %q, want 1.0", top.LockVersion)
	}
	l.extras, l.groups = top.Extras, slices.Concat(top.Groups, top.DefaultGroups)
	for i, e := range l.extras {
		l.extras[i] = marker.NormalName(e)
	}
	errs := []error{l.environments(top.RequiresPython, top.Environments)}
	for _, q := range top.Packages {
		p, err := q.read()
		l.Packages, errs = append(l.Packages, p), append(errs, err)
	}
	return errors.Join(errs...)
}

func (l *Lock) environments(requiresPython string, markers []string) (err error) {
	if l.RequiresPython, err = pep440.ParseSet(requiresPython); err != nil {
		return fmt.Errorf("requires-python: %w", err)
	}
	for _, text := range markers {
		m, err := marker.Parse(text)
		if err != nil {
			return fmt.Errorf("environments: %w", err)
		}
		l.Environments = append(l.Environments, m)
	}
	return nil
}

func (q *pylockPackage) read() (*Package, error) {
	switch {
	case q.VCS != nil:
		return nil, refused(q.Name, "a repository")
	case q.Directory != nil:
		return nil, refused(q.Name, "a folder")
	}
	p, err := newPackage(q.Name, q.Version, q.Marker, q.RequiresPython)
	if err != nil {
		return nil, err
	}
	p.Index = q.Index
	files := q.Wheels
	for _, one := range []*pylockFile{q.Sdist, q.Archive} {
		if one != nil {
			files = append(files, *one)
		}
	}
	p.Direct = q.Archive != nil
	for _, f := range files {
		if f.URL == "" && f.Path != "" {
			return nil, fmt.Errorf("%s: %s is a local path: want a url", p.Name, f.Path)
		}
		if err := p.add(f.Name, f.URL, f.Hashes["sha256"], f.Size); err != nil {
			return nil, err
		}
	}
	if len(p.Files) == 0 {
		return nil, fmt.Errorf("%s: names no file", p.Name)
	}
	return p, nil
}

type poetryPackage struct {
	Name    string `toml:"name"`
	Version string `toml:"version"`
	Markers any    `toml:"markers"`
	Files   []struct {
		File string `toml:"file"`
		Hash string `toml:"hash"`
		URL  string `toml:"url"`
	} `toml:"files"`
	Source *struct{ Type, URL, Reference string } `toml:"source"`
}

// poetry reads poetry.lock 2.1, which Poetry 2 writes. Earlier ones do not state
// for which machines a package is.
func (l *Lock) poetry(content []byte) error {
	var top struct {
		Package  []poetryPackage `toml:"package"`
		Extras   map[string]any  `toml:"extras"`
		Metadata struct {
			LockVersion string `toml:"lock-version"`
		} `toml:"metadata"`
	}
	if err := unmarshal(content, &top); err != nil {
		return err
	}
	if v := top.Metadata.LockVersion; v != "2.1" {
		return fmt.Errorf("lock-version %q, want 2.1: \"poetry lock\" of Poetry 2 writes it", v)
	}
	for extra := range top.Extras {
		l.extras = append(l.extras, marker.NormalName(extra))
	}
	slices.Sort(l.extras)
	var errs []error
	for _, q := range top.Package {
		p, err := q.read()
		l.Packages, errs = append(l.Packages, p), append(errs, err)
	}
	return errors.Join(errs...)
}

func (q *poetryPackage) read() (*Package, error) {
	condition, err := poetryMarker(q.Markers)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", q.Name, err)
	}
	p, err := newPackage(q.Name, q.Version, condition, "")
	if err != nil {
		return nil, err
	}
	if q.Source != nil {
		switch q.Source.Type {
		case "legacy":
			p.Index = q.Source.URL
		case "url":
			p.Direct = true
		default:
			return nil, refused(q.Name, q.Source.Type+" "+q.Source.URL)
		}
	}
	for _, f := range q.Files {
		address := f.URL
		if p.Direct {
			address = q.Source.URL
		}
		if err := p.add(f.File, address, digestOf(f.Hash), nil); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// poetryMarker returns one marker, or one for each group: then any of them.
func poetryMarker(v any) (string, error) {
	switch m := v.(type) {
	case nil:
		return "", nil
	case string:
		return m, nil
	case map[string]any:
		var parts []string
		for _, one := range m {
			text, ok := one.(string)
			if !ok {
				return "", errors.New("markers: want text for each group")
			}
			parts = append(parts, "("+text+")")
		}
		slices.Sort(parts)
		return strings.Join(parts, " or "), nil
	}
	return "", errors.New("markers: want text or a table")
}

// pdm reads pdm.lock 4.5.
func (l *Lock) pdm(content []byte) error {
	var top struct {
		Metadata struct {
			LockVersion string `toml:"lock_version"`
			Targets     []struct {
				RequiresPython string `toml:"requires_python"`
			} `toml:"targets"`
		} `toml:"metadata"`
		Package []struct {
			Name           string   `toml:"name"`
			Version        string   `toml:"version"`
			Marker         string   `toml:"marker"`
			RequiresPython string   `toml:"requires_python"`
			Extras         []string `toml:"extras"`
			Git            string   `toml:"git"`
			Path           string   `toml:"path"`
			URL            string   `toml:"url"`
			Files          []struct {
				File string `toml:"file"`
				URL  string `toml:"url"`
				Hash string `toml:"hash"`
			} `toml:"files"`
		} `toml:"package"`
	}
	if err := unmarshal(content, &top); err != nil {
		return err
	}
	if v := top.Metadata.LockVersion; !strings.HasPrefix(v, "4.5") {
		return fmt.Errorf("lock_version %q, want 4.5", v)
	}
	var errs []error
	for _, q := range top.Package {
		switch {
		case q.Git != "":
			errs = append(errs, refused(q.Name, q.Git))
			continue
		case q.Path != "":
			errs = append(errs, refused(q.Name, q.Path))
			continue
		}
		p, err := newPackage(q.Name, q.Version, q.Marker, q.RequiresPython)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		p.Direct = q.URL != ""
		for _, f := range q.Files {
			address := f.URL
			if p.Direct && address == "" {
				address = q.URL
			}
			errs = append(errs, p.add(f.File, address, digestOf(f.Hash), nil))
		}
		l.Packages = append(l.Packages, p)
	}
	l.Packages = merged(l.Packages)
	return errors.Join(errs...)
}

// merged joins entries of one project and version: a lock may have one for
// the project and one for each choice of extras, with the same files.
func merged(all []*Package) []*Package {
	type key struct{ name, version, marker string }
	seen := map[key]bool{}
	return slices.DeleteFunc(all, func(p *Package) bool {
		k := key{p.Name, p.Version.String(), p.Marker.String()}
		again := seen[k]
		seen[k] = true
		return again
	})
}
