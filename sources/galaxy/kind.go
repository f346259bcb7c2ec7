package galaxy

import (
	"cmp"
	"context"
	"strconv"
	"strings"

	"github.com/gapbundle/gapbundle/internal/strictyaml"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/galaxy/api"
	"github.com/gapbundle/gapbundle/sources/galaxy/requirements"
	"github.com/gapbundle/gapbundle/sources/keyring"
	"github.com/gapbundle/gapbundle/sources/pypi/pep440"
)

// Name is the kind's name in a spec file, and the first part of its mounts.
const Name = "galaxy"

// maxNewest bounds how many versions of one collection a spec asks for.
const maxNewest = 100

// Kind returns the kind of Ansible collections and roles.
func Kind() sources.Kind {
	return sources.Kind{
		Name:    Name,
		Doc:     "Ansible collections and roles from a Galaxy server",
		Derives: true,
		Options: func() any { return new(options) },
		New:     newSource,
		Check:   check,
		Compare: compareVersions,
		Clients: clients,
	}
}

// options are the kind's own part of an entry of the spec file.
type options struct {
	Pos          strictyaml.Pos
	Server       string          `yaml:"server" doc:"Address of the Galaxy server; https://galaxy.ansible.com unless set."`
	Requirements []string        `yaml:"requirements,single" doc:"requirements.yml files, as ansible-galaxy reads them."`
	Collections  []string        `yaml:"collections,single" doc:"Collections as namespace.name, namespace.name:range or namespace.*"`
	Roles        []string        `yaml:"roles,single" doc:"Roles as owner.name or owner.name,version."`
	Newest       int             `yaml:"newest" doc:"How many versions of what collections and roles name; 1 unless set."`
	AnsibleCore  string          `yaml:"ansible-core" doc:"Version of ansible-core inside; collections that require another are left out."`
	Keyring      []keyring.Entry `yaml:"keyring,single" doc:"OpenPGP public keys; collections have to be signed by them."`
	Signatures   string          `yaml:"required-valid-signature-count" doc:"How many valid signatures a collection needs with a keyring: a number, or all; 1 unless set."`
	AllowHosts   []string        `yaml:"allow-hosts,single" doc:"Hosts besides the server's own and github.com that its answers may name for archives, as host or host:port."`
}

// entry is one source of this kind.
type entry struct {
	options
	spec        sources.Spec
	collections []requirements.Collection
	roles       []requirements.Role
	keys        []*keyring.Ref
	signatures  int // -1: all that there are
	core        *pep440.Version
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
	e := &entry{options: o, spec: spec, signatures: 1}
	e.Server, e.Newest = cmp.Or(o.Server, api.Public), cmp.Or(o.Newest, 1)
	c := sources.Checks{Pos: o.Pos}
	report := func(option string, err error) {
		if err != nil {
			c.Refuse("%s: %w", option, err)
		}
	}
	report("server", sources.CheckBaseURL(e.Server))
	if len(o.Requirements)+len(o.Collections)+len(o.Roles) == 0 {
		c.Refuse("name what to carry: requirements, collections or roles")
	}
	c.Newest(e.Newest, maxNewest)
	for _, given := range o.Collections {
		one, err := parseCollection(given)
		report("collections", err)
		e.collections = append(e.collections, one)
	}
	for _, given := range o.Roles {
		r, err := requirements.ParseRole(given)
		if err == nil && (r.Type != requirements.Galaxy || !strings.Contains(r.Name, ".")) {
			err = o.Pos.Errorf("%.140q: want owner.name; other roles are named in a requirements file", given)
		}
		report("roles", err)
		e.roles = append(e.roles, r)
	}
	if o.AnsibleCore != "" {
		v, err := pep440.Parse(o.AnsibleCore)
		report("ansible-core", err)
		e.core = &v
	}
	for i := range o.Keyring {
		ref, err := o.Keyring[i].Ref("keyring", spec.Dir)
		c.Add(err)
		e.keys = append(e.keys, ref)
	}
	if n, err := strconv.Atoi(o.Signatures); o.Signatures == "all" {
		e.signatures = -1
	} else if o.Signatures != "" && (err != nil || n < 0) {
		c.Refuse("required-valid-signature-count: %q: want a number or all", o.Signatures)
	} else if o.Signatures != "" {
		e.signatures = n
	}
	if o.Signatures != "" && len(o.Keyring) == 0 {
		c.Refuse("required-valid-signature-count: needs keyring")
	}
	return e, c.Err()
}

// allNames stands for every collection of a namespace.
const allNames = ".*"

// parseCollection reads "namespace.name:range", or "namespace.*".
func parseCollection(given string) (requirements.Collection, error) {
	namespace, ok := strings.CutSuffix(given, allNames)
	if !ok {
		return requirements.ParseCollection(given)
	}
	return requirements.Collection{Type: requirements.Galaxy, Name: given}, api.CheckName(namespace + ".x")
}

// Plan reads what is required, asks the servers, chooses versions, and lays the pages out.
func (s *source) Plan(ctx context.Context, env *sources.Env) (*sources.Plan, error) {
	return sources.PlanEach(ctx, len(s.entries), func(ctx context.Context, i int) (sources.Planned, error) {
		p, err := s.entries[i].plan(ctx, env)
		return p, sources.InSource(s.entries[i].Pos, s.entries[i].spec.Name, err)
	})
}

func (e *entry) plan(ctx context.Context, env *sources.Env) (sources.Planned, error) {
	files, err := e.read()
	if err != nil {
		return sources.Planned{}, err
	}
	c, err := e.choose(ctx, env, files)
	if err != nil {
		return sources.Planned{}, err
	}
	repo, err := e.lay(ctx, env, c)
	return sources.Planned{Repository: repo, Also: e.derive(c), Scratch: c.scratch}, err
}
