package apt

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gapbundle/gapbundle/internal/strictyaml"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/keyring"
	"github.com/gapbundle/gapbundle/sources/rebuild"
)

// Name is the kind's name in a spec file, and its part of paths in a mirror.
const Name = "apt"

// Kind returns the kind of Debian-style repositories.
func Kind() sources.Kind {
	return sources.Kind{
		Name:    Name,
		Doc:     "Debian and Ubuntu repositories, whole or by package with dependencies",
		Options: func() any { return new(options) },
		New:     newSource,
		Check:   check,
		Compare: compareVersions,
		Clients: clients,
	}
}

// options are the kind's own part of an entry of the spec file.
type options struct {
	Pos              strictyaml.Pos
	URL              string         `yaml:"url" doc:"Address of the repository, as in sources.list, or a folder here (file:///mnt/dvd); $(ARCH) stands for each architecture."`
	Suites           []string       `yaml:"suites,single" doc:"Suites; one that ends with a slash is a flat repository."`
	Components       []string       `yaml:"components,single" doc:"Components; absent: all."`
	Architectures    []string       `yaml:"architectures,single" doc:"Architectures; all is implied."`
	Languages        []string       `yaml:"languages,single" doc:"Languages of translated descriptions; absent: all, none: none."`
	Keyring          keyring.Entry  `yaml:"keyring" doc:"OpenPGP keys that may sign the repository, and no others."`
	Line             []string       `yaml:"line,single" doc:"One-line entries of a sources.list, instead of url and suites."`
	SourcesFile      string         `yaml:"sources-file" doc:"A deb822 .sources file, or a .list file of one-line entries, instead of url and suites."`
	MirrorList       string         `yaml:"mirror-list" doc:"A mirror.list of apt-mirror, instead of url and suites."`
	Sources          bool           `yaml:"sources" doc:"Source packages too (deb-src)."`
	At               string         `yaml:"at" doc:"Folder of the source's mount in which the address is; $(ARCH) stands for each architecture. Absent: no folder, or the address's own path where that has $(ARCH)."`
	Base             string         `yaml:"base" doc:"Folder below apt/ of the mirror, instead of the source's name. Sources may share one if their folders there (at) differ."`
	As               string         `yaml:"as" doc:"Name of the client file, as the vendor's own package has it: NAME.list or NAME.sources."`
	Mode             rebuild.Mode   `yaml:"mode" doc:"verbatim or rebuilt; absent: rebuilt if packages are chosen."`
	ValidFor         lifetime       `yaml:"valid-for" doc:"How long rebuilt indexes are valid, as in 30d; absent: for ever."`
	AllowExpired     bool           `yaml:"allow-expired" doc:"Carry a repository whose Valid-Until is over, such as a snapshot; its client files do not ask either."`
	ReleaseIs        []string       `yaml:"release-is,single" doc:"What the Release files call themselves (Suite or Codename) where that is not the suite's name."`
	Packages         []string       `yaml:"packages,single" doc:"Packages to carry with what they depend on: name[:arch][=version] or a pattern."`
	Sections         []string       `yaml:"sections,single" doc:"Sections to carry with what their packages depend on."`
	Exclude          []string       `yaml:"exclude,single" doc:"Packages that are never chosen: name[:arch][=version], where name and version may be patterns."`
	Bootstrap        bootstrap      `yaml:"bootstrap" doc:"minbase or standard: each release suite is complete by itself for debootstrap, mmdebstrap and the Debian installer, chosen by Essential and Priority."`
	BootstrapInclude []string       `yaml:"bootstrap-include,single" doc:"Packages that bootstrap makes available in the release suite itself too, as for debootstrap's --include."`
	Installer        []string       `yaml:"installer,single" doc:"Suites of which the mirror has what the Debian installer and makers of install media read as well: udebs, Release with Release.gpg, and binary-*/Release."`
	Absent           rebuild.Absent `yaml:"absent" doc:"skip: leave out packages whose stanzas apt cannot read. Absent: such a package is an error if it is chosen."`
	Newest           int            `yaml:"newest" doc:"How many versions of each package are carried."`
	Recommends       bool           `yaml:"recommends" doc:"Recommended packages too."`
	Contents         bool           `yaml:"contents" doc:"In rebuilt indexes: Contents too, which apt-file reads; large to download."`
	Installed        string         `yaml:"installed" doc:"A dpkg status file of a reference host: what is installed there is left out."`
	Release          string         `yaml:"release" doc:"Release of the system that clients of this source have; any: of every one. Absent: what its own Release file says."`
	Reproduce        string         `yaml:"reproduce" doc:"A dpkg status file of a reference host: exactly what is installed there is carried."`
}

// lifetime is a time in days or hours, as people write it.
type lifetime time.Duration

// UnmarshalText reads "30d" and "12h".
func (l *lifetime) UnmarshalText(b []byte) error {
	text := string(b)
	hours := 1
	number, isHours := strings.CutSuffix(text, "h")
	if days, ok := strings.CutSuffix(text, "d"); ok {
		number, isHours, hours = days, true, 24
	}
	n, err := strconv.ParseUint(number, 10, 16)
	if err != nil || n == 0 || !isHours {
		return fmt.Errorf("want a time like 30d or 12h, got %q", b)
	}
	*l = lifetime(n) * lifetime(hours) * lifetime(time.Hour)
	return nil
}

const (
	modeVerbatim = string(rebuild.Verbatim)
	modeRebuilt  = string(rebuild.Rebuilt)
)

// entry is one spec: a repository of the mirror.
type entry struct {
	name    string
	mount   string
	pos     strictyaml.Pos
	dir     string // that paths in the spec are relative to
	options options
	rebuilt bool
	suites  []*suite
	remarks []string // on what the list of sources states
}

// source is all sources of this kind in a set.
type source struct{ entries []*entry }

func newSource(specs []sources.Spec) (sources.Source, error) {
	entries, err := sources.Entries(specs, newEntry)
	if err != nil {
		return nil, err
	}
	return &source{entries}, nil
}

func newEntry(spec sources.Spec, o options) (*entry, error) {
	e := &entry{name: spec.Name, mount: Name + "/" + spec.Name, pos: o.Pos, dir: spec.Dir, options: o}
	errs := []error{e.checkMode(), e.checkNames(), e.checkPlacement()}
	stanzas, err := e.stanzas()
	errs = append(errs, err)
	if err == nil {
		e.suites, err = e.expand(stanzas)
		errs = append(errs, err)
	}
	if e.rebuilt && err == nil && len(e.architectures()) == 0 {
		errs = append(errs, o.Pos.Errorf("source %s: architectures: name those for which packages are chosen", e.name))
	}
	return e, strictyaml.Join(errs...)
}

// selects reports whether the spec chooses packages.
func (o *options) selects() bool {
	return len(o.Packages)+len(o.Sections)+len(o.Exclude) > 0 || o.Bootstrap != "" || o.Newest != 0 || o.Installed != "" || o.Reproduce != ""
}

func (e *entry) checkMode() error {
	o := &e.options
	c := sources.Checks{Pos: o.Pos}
	var err error
	e.rebuilt, err = o.Mode.Decide(o.Pos, o.selects(), "packages, sections, exclude, newest, bootstrap, installed and reproduce")
	c.Add(err, o.Absent.Check(o.Pos, e.rebuilt))
	if o.ValidFor != 0 && !e.rebuilt {
		c.Refuse("valid-for: upstream's own index says how long it is valid; mode rebuilt has one of its own")
	}
	if o.Contents && !e.rebuilt {
		c.Refuse("contents: verbatim carries them always")
	}
	c.Newest(o.Newest, 0)
	if o.Release != "" && !isWord(o.Release) {
		c.Refuse("release: %q is no name", o.Release)
	}
	if err := o.Bootstrap.check(); err != nil {
		c.Refuse("%w", err)
	}
	if len(o.BootstrapInclude) > 0 && o.Bootstrap == "" {
		c.Refuse("bootstrap-include: bootstrap is not set")
	}
	if o.Recommends && !o.selects() {
		c.Refuse("recommends: no packages are chosen")
	}
	if o.Reproduce != "" && (len(o.Packages)+len(o.Sections) > 0 || o.Newest != 0 || o.Installed != "" || o.Bootstrap != "") {
		c.Refuse("reproduce: is exactly what the file says: no packages, sections, newest, bootstrap or installed next to it")
	}
	return c.Err()
}

// checkNames refuses names that could not be part of a path or an entry.
func (e *entry) checkNames() error {
	o := &e.options
	var errs []error
	for key, names := range map[string][]string{"components": o.Components, "architectures": o.Architectures, "languages": o.Languages} {
		for _, n := range names {
			if !isWord(n) {
				errs = append(errs, o.Pos.Errorf("%s: %q is no name", key, n))
			}
		}
	}
	slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return strictyaml.Join(errs...)
}

// isWord: what components, architectures and languages are made of. A slash
// may be in a component.
func isWord(s string) bool {
	return s != "" && !strings.Contains(s, "..") && !strings.HasPrefix(s, "/") && !strings.HasSuffix(s, "/") &&
		strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-._@/") == ""
}
