package galaxy

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/galaxy/requirements"
)

// file is a requirements file that was read.
type file struct {
	name string // as in the spec
	dir  string // where it is, and paths in it begin
	*requirements.File
}

// wanted is a role and who asks for it.
type wanted struct {
	requirements.Role
	by  string
	dir string // where a path of it begins
}

// read reads the requirements files. Errors match bundle.ErrUsage: the spec names them.
func (e *entry) read() ([]file, error) {
	var all []file
	var errs []error
	for _, name := range e.Requirements {
		f, err := e.readOne(name)
		if err != nil {
			errs = append(errs, fmt.Errorf("requirements %s: %w", name, asUsage(err)))
		}
		all = append(all, f)
	}
	return all, errors.Join(errs...)
}

// asUsage marks an error about what somebody wrote here and that is of no other class.
func asUsage(err error) error {
	return fmt.Errorf("%s: %w", plainText(err), bundle.ErrUsage)
}

// plainText returns an error's text without the class that asUsage replaces.
func plainText(err error) string {
	text := err.Error()
	if end := ": " + bundle.ErrMalformed.Error(); errors.Is(err, bundle.ErrMalformed) && len(text) > len(end) && text[len(text)-len(end):] == end {
		return text[:len(text)-len(end)]
	}
	return text
}

func (e *entry) readOne(name string) (file, error) {
	path := sources.Within(e.spec.Dir, name)
	f := file{name: name, dir: filepath.Dir(path)}
	b, err := bundle.ReadNamed(path, requirements.MaxFile)
	if err != nil {
		return f, err
	}
	if f.File, err = requirements.Parse(b); err != nil {
		return f, err
	}
	var roles []requirements.Role
	for _, r := range f.Roles {
		if r.Include == "" {
			roles = append(roles, r)
			continue
		}
		more, err := e.include(f.dir, r.Include)
		if err != nil {
			return f, fmt.Errorf("include %s: %w", r.Include, err)
		}
		roles = append(roles, more...)
	}
	f.Roles = roles
	if len(f.Collections)+len(f.Roles) == 0 {
		return f, errors.New("no collection and no role is in it")
	}
	return f, nil
}

// include reads a list of roles next to the file that names it, or in the folder of the spec, which is
// where ansible-galaxy is likely to be started.
func (e *entry) include(dir, name string) ([]requirements.Role, error) {
	b, err := bundle.ReadNamed(sources.Within(dir, name), requirements.MaxFile)
	if errors.Is(err, fs.ErrNotExist) {
		b, err = bundle.ReadNamed(sources.Within(e.spec.Dir, name), requirements.MaxFile)
	}
	if err != nil {
		return nil, err
	}
	return requirements.Included(b)
}
