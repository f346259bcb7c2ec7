package tags

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/gapbundle/gapbundle/internal/spelling"
	"github.com/gapbundle/gapbundle/sources/pypi/marker"
	"github.com/gapbundle/gapbundle/sources/pypi/pep440"
)

// Bounds of file names.
const (
	// MaxName bounds a file's name, in bytes: what file systems take.
	MaxName = 255
	// maxTags bounds how many tags the compressed form "py2.py3" may stand for.
	maxTags = 1000
)

// ErrName is matched by the error about a file name that is no wheel's and no
// source archive's. Indexes list other files too; clients skip them.
var ErrName = errors.New("not the name of a wheel or a source archive")

// File is what the name of a project's file states.
type File struct {
	Name    string // of the file
	Project string // in normal form
	Version pep440.Version
	// Sdist means that it is a source archive; it has no tags.
	Sdist bool
	Tags  []string
	Build Build
}

// Build is a build tag, which breaks ties: the higher is the newer.
type Build struct {
	Number string // digits without leading zeros
	Rest   string
	Given  bool
}

// Compare orders build tags; none comes first.
func (b Build) Compare(o Build) int {
	return cmp.Or(
		cmp.Compare(boolInt(b.Given), boolInt(o.Given)), cmp.Compare(len(b.Number), len(o.Number)),
		cmp.Compare(b.Number, o.Number), cmp.Compare(b.Rest, o.Rest))
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// archives are the endings of source archives.
var archives = [...]string{".tar.gz", ".zip", ".tgz", ".tar.bz2", ".tbz", ".tar.xz", ".txz", ".tar"}

// ParseFile reads the name of a file that an index lists for project, which is
// in normal form.
func ParseFile(project, name string) (*File, error) {
	if len(name) > MaxName || strings.ContainsAny(name, "/\\\x00") {
		return nil, fmt.Errorf("%.300q: %w", name, ErrName)
	}
	f := &File{Name: name}
	var err error
	if stem, ok := strings.CutSuffix(name, ".whl"); ok {
		err = f.wheel(stem)
	} else {
		err = f.sdist(project)
	}
	if err != nil {
		return nil, fmt.Errorf("%q: %w: %w", name, err, ErrName)
	}
	if f.Project != project {
		return nil, fmt.Errorf("%q: a file of %s, want one of %s: %w", name, f.Project, project, ErrName)
	}
	return f, nil
}

func (f *File) wheel(stem string) (err error) {
	parts := strings.Split(stem, "-")
	if len(parts) != 5 && len(parts) != 6 {
		return fmt.Errorf("%s, want 5 or 6", spelling.Count(len(parts), "part"))
	}
	if err := marker.CheckName(parts[0]); err != nil {
		return err
	}
	f.Project = marker.NormalName(parts[0])
	if f.Version, err = pep440.Parse(parts[1]); err != nil {
		return err
	}
	if len(parts) == 6 {
		rest := strings.TrimLeft(parts[2], "0123456789")
		digits := parts[2][:len(parts[2])-len(rest)]
		if digits == "" {
			return fmt.Errorf("build tag %q, want a digit first", parts[2])
		}
		f.Build = Build{Number: strings.TrimLeft(digits, "0"), Rest: rest, Given: true}
	}
	n := len(parts)
	pythons, abis, platforms := strings.Split(parts[n-3], "."), strings.Split(parts[n-2], "."), strings.Split(parts[n-1], ".")
	if len(pythons)*len(abis)*len(platforms) > maxTags {
		return fmt.Errorf("stands for more than %d tags", maxTags)
	}
	for _, python := range pythons {
		for _, abi := range abis {
			for _, platform := range platforms {
				f.Tags = append(f.Tags, strings.ToLower(python+"-"+abi+"-"+platform))
			}
		}
	}
	return nil
}

// sdist: the name of a project may have dashes, so that the version begins
// after the dash where what is before it is the project.
func (f *File) sdist(project string) error {
	stem := ""
	for _, ending := range archives {
		if s, ok := strings.CutSuffix(f.Name, ending); ok {
			stem = s
			break
		}
	}
	if stem == "" {
		return errors.New("another ending")
	}
	for i := range len(stem) {
		if stem[i] != '-' || marker.NormalName(stem[:i]) != project {
			continue
		}
		v, err := pep440.Parse(stem[i+1:])
		if err != nil {
			return err
		}
		f.Project, f.Version, f.Sdist = project, v, true
		return nil
	}
	return fmt.Errorf("does not begin with %s-", project)
}

// Rank returns how much the target prefers f: less is better. It is -1 where the
// target cannot install it. Source archives come after all wheels.
func (t *Target) Rank(f *File) int {
	if f.Sdist {
		return math.MaxInt
	}
	best := -1
	for _, tag := range f.Tags {
		if i, ok := t.order[tag]; ok && (best < 0 || i < best) {
			best = i
		}
	}
	return best
}
