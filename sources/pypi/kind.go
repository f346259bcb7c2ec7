package pypi

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/strictyaml"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/pypi/marker"
	"github.com/gapbundle/gapbundle/sources/pypi/pages"
	"github.com/gapbundle/gapbundle/sources/rebuild"
)

// Name is the kind's name in a spec file, and its part of paths in a mirror.
const Name = "pypi"

// Kind returns the kind of Python packages.
func Kind() sources.Kind {
	return sources.Kind{
		Name:    Name,
		Doc:     "Python packages for chosen interpreters, with everything they depend on",
		Options: func() any { return new(options) },
		New:     newSource,
		Check:   pages.Check,
		Compare: compareVersions,
		Clients: clients,
		Derives: true,
	}
}

// options are the kind's own part of an entry of the spec file.
type options struct {
	Pos            strictyaml.Pos
	Index          string            `yaml:"index,required" doc:"Address of the index: the folder that has a page for each project."`
	ExtraIndexes   []string          `yaml:"extra-indexes,single" doc:"More indexes. A name that two of them have needs an entry in names."`
	Names          map[string]string `yaml:"names" doc:"Which index a name is taken from; names may have * in them."`
	Requirements   []string          `yaml:"requirements,single" doc:"Requirements files of pip."`
	Locks          []string          `yaml:"locks,single" doc:"Lock files, taken as they are: pylock.toml, uv.lock, poetry.lock, pdm.lock."`
	Constraints    []string          `yaml:"constraints,single" doc:"Constraints files of pip."`
	Packages       []string          `yaml:"packages,single" doc:"Requirements, such as kubernetes[adal]>=30."`
	Targets        []targetEntry     `yaml:"targets" doc:"Interpreters that packages are for; only locks go without."`
	Sdists         string            `yaml:"sdists" doc:"Source archives: never, when-needed or always; absent: when-needed."`
	PreReleases    []string          `yaml:"pre-releases,single" doc:"Names of which pre-releases count like others."`
	Resolution     string            `yaml:"resolution" doc:"each-target, or one: the same versions for all targets."`
	Newest         int               `yaml:"newest" doc:"How many versions of each name in packages are carried; absent: the one that is chosen."`
	Absent         rebuild.Absent    `yaml:"absent" doc:"skip: leave out files that are gone or cannot be read, with which pip would end. Absent: such a file is an error."`
	InsecureHashes []string          `yaml:"insecure-hashes,single" doc:"Indexes whose pages may go without sha256."`
	Vars           map[string]string `yaml:"vars" doc:"Values of ${NAME} in requirements files."`
}

type targetEntry struct {
	Pos             strictyaml.Pos
	Python          version  `yaml:"python,required" doc:"Version: 3.12, in full where a package asks for it: 3.12.4, without the global lock: 3.13t."`
	Platform        []string `yaml:"platform,required,single" doc:"Newest platform tag of the machine: manylinux_2_28_x86_64; several are several targets."`
	Implementation  string   `yaml:"implementation" doc:"cpython or pypy; absent: cpython."`
	PlatformRelease string   `yaml:"platform-release" doc:"Value of the marker platform_release."`
	PlatformVersion string   `yaml:"platform-version" doc:"Value of the marker platform_version."`
}

// version keeps the digits of 3.10, which YAML takes for a number.
type version string

func (v *version) UnmarshalText(b []byte) error {
	*v = version(b)
	return nil
}

const (
	sdistsNever      = "never"
	sdistsWhenNeeded = "when-needed"
	sdistsAlways     = "always"
	resolutionEach   = "each-target"
	resolutionOne    = "one"
)

// Bounds of the spec.
const (
	maxTargets = 64
	maxIndexes = 16
	maxNewest  = 100
)

// entry is one spec: a repository of the mirror.
type entry struct {
	options
	spec    sources.Spec
	name    string
	dir     string // that paths in the spec are relative to
	indexes []string
	targets []pages.Target
}

func (e *entry) mount() string { return Name + "/" + e.name }

// source is all sources of this kind in a set. They know nothing of each other.
type source struct{ entries []*entry }

func newSource(specs []sources.Spec) (sources.Source, error) {
	entries, err := sources.Entries(specs, newEntry)
	if err != nil {
		return nil, err
	}
	return &source{entries}, nil
}

func newEntry(spec sources.Spec, o options) (*entry, error) {
	e := &entry{options: o, spec: spec, name: spec.Name, dir: spec.Dir}
	if e.Sdists == "" {
		e.Sdists = sdistsWhenNeeded
	}
	c := sources.Checks{Pos: o.Pos}
	e.checkIndexes(&c)
	e.checkWords(&c)
	for _, t := range o.Targets {
		for _, platform := range t.Platform {
			one, err := pages.NewTarget(string(t.Python), t.Implementation, platform, t.PlatformRelease, t.PlatformVersion)
			if err != nil {
				c.Add(t.Pos.Errorf("targets: %w", err))
				continue
			}
			if slices.ContainsFunc(e.targets, func(t pages.Target) bool { return t.Name() == one.Name() }) {
				c.Add(t.Pos.Errorf("targets: %s is named twice", one.Name()))
			}
			e.targets = append(e.targets, one)
		}
	}
	if len(e.targets) > maxTargets {
		c.Refuse("targets: %d, want at most %d", len(e.targets), maxTargets)
	}
	return e, c.Err()
}

// checkIndexes makes addresses of indexes end with a slash: the name of a
// project follows.
func (e *entry) checkIndexes(c *sources.Checks) {
	add := func(key, address string) string {
		if address == "" {
			return address
		}
		return c.Base(key, address)
	}
	for i, address := range append([]string{e.Index}, e.ExtraIndexes...) {
		address = add([]string{"index", "extra-indexes"}[min(i, 1)], address)
		if address != "" && slices.Contains(e.indexes, address) {
			c.Refuse("extra-indexes: %s: occurs twice", fetch.Redact(address))
		}
		e.indexes = append(e.indexes, address)
	}
	if len(e.indexes) > maxIndexes {
		c.Refuse("extra-indexes: %d, want at most %d", len(e.ExtraIndexes), maxIndexes-1)
	}
	for pattern, address := range e.Names {
		if _, err := path.Match(pattern, "x"); err != nil {
			c.Refuse("names: %q: %w", pattern, err)
		}
		if address = add("names", address); !slices.Contains(e.indexes, address) {
			c.Refuse("names: %s: %s is no index of this source", pattern, fetch.Redact(address))
		}
		e.Names[pattern] = address
	}
	for i, address := range e.InsecureHashes {
		e.InsecureHashes[i] = add("insecure-hashes", address)
		if !slices.Contains(e.indexes, e.InsecureHashes[i]) {
			c.Refuse("insecure-hashes: %s is no index of this source", fetch.Redact(address))
		}
	}
}

func (e *entry) checkWords(c *sources.Checks) {
	c.Word("sdists", &e.Sdists, sdistsNever, sdistsWhenNeeded, sdistsAlways)
	c.Word("resolution", &e.Resolution, resolutionEach, resolutionOne)
	c.Add(e.Absent.Check(e.Pos, true))
	c.Newest(e.Newest, maxNewest)
	if e.Newest > 1 && len(e.Packages) == 0 {
		c.Refuse("newest: counts versions of the names in packages, and there are none")
	}
	asked := len(e.Requirements) + len(e.Packages)
	switch {
	case asked+len(e.Locks) == 0:
		c.Refuse("source %s: want requirements, locks or packages", e.name)
	case asked > 0 && len(e.Targets) == 0:
		c.Refuse("source %s: targets: name the interpreters, as in {python: \"3.12\", platform: manylinux_2_28_x86_64}", e.name)
	case asked == 0 && len(e.Constraints) > 0:
		c.Refuse("constraints: limit requirements and packages, and there are none")
	}
	for i, name := range e.PreReleases {
		if err := marker.CheckName(name); err != nil {
			c.Refuse("pre-releases: %w", err)
		}
		e.PreReleases[i] = marker.NormalName(name)
	}
}

// indexOf returns the index that the spec names for a project; "": it names none.
// If several patterns match, the longest counts.
func (e *entry) indexOf(name string) string {
	best, index := "", ""
	for pattern, address := range e.Names {
		normal := marker.NormalName(pattern)
		if ok, _ := path.Match(normal, name); ok && (len(normal) > len(best) || len(normal) == len(best) && normal < best) {
			best, index = normal, address
		}
	}
	return index
}

// label names a target in messages, with the values of its markers.
func label(t pages.Target) string {
	var values []string
	for _, name := range []string{marker.PythonFullVersion, marker.ImplementationName, marker.SysPlatform, marker.PlatformMachine, marker.PlatformRelease, marker.PlatformVersion} {
		if value, ok := t.Env.Values[name]; ok {
			values = append(values, fmt.Sprintf("%s %s", name, value))
		}
	}
	return t.Name() + ": " + strings.Join(values, ", ")
}
