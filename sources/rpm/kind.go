package rpm

import (
	"strings"

	"github.com/gapbundle/gapbundle/internal/strictyaml"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/keyring"
	"github.com/gapbundle/gapbundle/sources/rebuild"
	"github.com/gapbundle/gapbundle/sources/rpm/modulemd"
	"github.com/gapbundle/gapbundle/sources/upstream"
)

// Name is the kind's name in a spec file, and its part of paths in a mirror.
const Name = "rpm"

// Kind returns the kind of rpm repositories.
func Kind() sources.Kind {
	return sources.Kind{
		Name:    Name,
		Doc:     "rpm repositories of RHEL, CentOS, Rocky, Fedora, EPEL and vendors, whole or by package with dependencies",
		Options: func() any { return new(options) },
		New:     newSource,
		Check:   check,
		Compare: compareVersions,
		Clients: clients,
	}
}

// options are the kind's own part of an entry of the spec file.
type options struct {
	Pos           strictyaml.Pos
	BaseURL       []string          `yaml:"baseurl,single" doc:"Address of the repository: the folder that has repodata/, also one here (file:///mnt/dvd). Several are mirrors of one another."`
	MirrorList    string            `yaml:"mirrorlist" doc:"Address of a list of mirrors, instead of baseurl."`
	Metalink      string            `yaml:"metalink" doc:"Address of a metalink of repomd.xml, instead of baseurl."`
	RepoFile      string            `yaml:"repofile" doc:"A .repo file, as in /etc/yum.repos.d, instead of baseurl."`
	RepoIDs       []string          `yaml:"repoids,single" doc:"Repositories of the .repo file; absent: those that are enabled there."`
	Vars          map[string]string `yaml:"vars" doc:"What stands for $releasever, $basearch and other variables."`
	GPGKey        []keyring.Entry   `yaml:"gpgkey,single" doc:"OpenPGP keys that may sign packages and repomd.xml, and no others."`
	RepoGPGCheck  *bool             `yaml:"repo-gpgcheck" doc:"true: repomd.xml has to be signed. false: its signature is not used, as with dnf's repo_gpgcheck=0. Absent: as the .repo file says, and a signature that is there has to hold."`
	AllowUnsigned bool              `yaml:"allow-unsigned" doc:"Packages without a signature are carried too. A signature that is there has to hold in any case."`
	At            string            `yaml:"at" doc:"Folder of the source's mount in which the repository is, or the folders of several; variables are replaced as in baseurl, and $(ARCH) by $basearch."`
	Base          string            `yaml:"base" doc:"Folder below rpm/ of the mirror, instead of the source's name. Sources may share one if their folders there (at) differ."`
	RepoID        []string          `yaml:"repoid,single" doc:"Repository ids in the client file, as in dnf --enablerepo; the first is enabled, further ones are other names of it. Of a repofile with several repositories: REPOID of the file, which keeps it, or REPOID=ID."`
	As            string            `yaml:"as" doc:"Name of the client file, as the vendor's own package has it: NAME.repo."`
	Mode          rebuild.Mode      `yaml:"mode" doc:"verbatim or rebuilt; absent: rebuilt if packages are chosen."`
	Packages      []string          `yaml:"packages,single" doc:"Packages to carry with what they depend on: name, name.arch, name-version, name-version-release.arch, a pattern, or @group."`
	Modules       []string          `yaml:"modules,single" doc:"Module streams to carry with what their packages depend on: name or name:stream."`
	Exclude       []string          `yaml:"exclude,single" doc:"Packages that are never chosen: names or patterns."`
	Newest        int               `yaml:"newest" doc:"How many versions of each package are carried."`
	Recommends    bool              `yaml:"recommends" doc:"Recommended packages too, as dnf installs them by default."`
	Architectures []string          `yaml:"architectures,single" doc:"Architectures whose packages are chosen; noarch is implied. Absent: that of $basearch, or all."`
	Absent        rebuild.Absent    `yaml:"absent" doc:"skip: leave out packages whose entries in the index cannot be read. Absent: such a package is an error."`
	Sources       bool              `yaml:"sources" doc:"Source packages that a repository has next to the others: in a selection, those of what was chosen."`
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
	keys    []*keyring.Ref
	repos   []*repo
	asks    []modulemd.Ask
}

// source is all sources of this kind in a set.
type source struct {
	entries []*entry
	limit   int64 // bytes, instead of rpmmd.MaxHeld; 0: that
}

func newSource(specs []sources.Spec) (sources.Source, error) {
	entries, err := sources.Entries(specs, newEntry)
	if err != nil {
		return nil, err
	}
	return &source{entries: entries}, nil
}

func newEntry(spec sources.Spec, o options) (*entry, error) {
	e := &entry{name: spec.Name, mount: Name + "/" + spec.Name, pos: o.Pos, dir: spec.Dir, options: o}
	errs := []error{e.checkMode(), e.checkNames(), e.parseModules()}
	var keyURLs []string
	var err error
	e.repos, keyURLs, err = e.repositories()
	errs = append(errs, err)
	if err == nil {
		errs = append(errs, e.place())
		e.keys, err = e.keyRefs(keyURLs)
		errs = append(errs, err)
	}
	return e, strictyaml.Join(errs...)
}

// selects reports whether the spec chooses packages.
func (o *options) selects() bool {
	return len(o.Packages)+len(o.Modules)+len(o.Exclude) > 0 || o.Newest != 0 || len(o.Architectures) > 0
}

func (e *entry) checkMode() error {
	o := &e.options
	c := sources.Checks{Pos: o.Pos}
	var err error
	e.rebuilt, err = o.Mode.Decide(o.Pos, o.selects(), "packages, modules, exclude, newest and architectures")
	c.Add(err, o.Absent.Check(o.Pos, e.rebuilt))
	c.Newest(o.Newest, 0)
	if o.Recommends && !o.selects() {
		c.Refuse("recommends: no packages are chosen")
	}
	if o.Sources && !e.rebuilt {
		c.Refuse("sources: verbatim carries what the repository has; source packages in a repository of their own are a source of their own")
	}
	return c.Err()
}

// checkNames refuses names that could not be a variable or an architecture.
func (e *entry) checkNames() error {
	o := &e.options
	var errs []error
	for _, a := range o.Architectures {
		if !isWord(a) {
			errs = append(errs, o.Pos.Errorf("architectures: %q is no name", a))
		}
	}
	return strictyaml.Join(errs...)
}

// isWord: what repository names, variables and architectures are made of.
func isWord(s string) bool {
	return s != "" && !strings.HasPrefix(s, ".") &&
		strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-._:@") == ""
}

func isURL(s string) bool {
	return strings.HasPrefix(s, "http://") || strings.HasPrefix(s, "https://")
}

// checkAddress checks the address of a repository in the spec or a .repo file, which may be a
// folder of this machine.
func checkAddress(pos strictyaml.Pos, raw string) (string, error) {
	address, err := upstream.CheckAddress(raw)
	if err != nil {
		return "", pos.Errorf("baseurl: %w", err)
	}
	if upstream.IsLocalAddress(address) {
		return strings.TrimSuffix(address, "/") + "/", nil
	}
	return checkBase(pos, address)
}

// checkBase checks the address of a repository that an upstream may have named.
func checkBase(pos strictyaml.Pos, raw string) (string, error) {
	if !strings.HasSuffix(raw, "/") {
		raw += "/"
	}
	if err := sources.CheckBaseURL(raw); err != nil {
		return "", pos.Errorf("baseurl: %w", err)
	}
	return raw, nil
}
