package oci

import (
	"maps"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/internal/strictyaml"
	"github.com/gapbundle/gapbundle/sources"
)

// Name is the kind's name in a spec file, and its part of client paths.
const Name = "oci"

// mount is shared by all sources of this kind: where registries answer.
const mount = "v2"

// Kind returns the kind of container images.
func Kind() sources.Kind {
	return sources.Kind{
		Name:    Name,
		Doc:     "container images, Helm charts and other artifacts of any registry, with unchanged digests",
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
	Images        []string            `yaml:"images,single" doc:"References by tag or digest; without a registry they are docker.io's."`
	List          string              `yaml:"list" doc:"Text file with one reference per line; # begins a comment."`
	Layouts       []layoutEntry       `yaml:"layout,single" doc:"OCI image layouts on this computer whose images are carried."`
	Archives      []archiveEntry      `yaml:"archive,single" doc:"Archives on this computer, as docker save writes them, whose images are carried."`
	Repositories  []repositoryEntry   `yaml:"repositories" doc:"Repositories from which tags are chosen."`
	Platforms     platforms           `yaml:"platforms,single" doc:"Platforms as in linux/amd64 or linux/arm/v7; absent: all."`
	Signatures    string              `yaml:"signatures" doc:"carry, verify or none: what is attached to an image; absent: carry."`
	Keys          []string            `yaml:"keys,single" doc:"Files with the public keys of cosign that may sign, for signatures: verify."`
	ForeignLayers string              `yaml:"foreign-layers" doc:"refuse or fetch: layers that lie at URLs outside of the registry; absent: refuse."`
	Mirrors       map[string][]string `yaml:"mirrors" doc:"By registry: URLs that are asked before it, in this order."`
	PlainHTTP     []string            `yaml:"plain-http,single" doc:"Registries, as in registry.lan:5000, that are spoken to without TLS; recorded."`
}

type repositoryEntry struct {
	Pos        strictyaml.Pos
	Repository string    `yaml:"repository,required,scalar" doc:"Registry and name, without a tag."`
	Tags       []tagRule `yaml:"tags,single" doc:"A version range as in >=1.8.0 <2, or /pattern/; several: any of them."`
	Newest     int       `yaml:"newest" doc:"How many of the highest versions of those are carried; absent: all."`
}

// The values of signatures in a spec.
const (
	signaturesCarry  = "carry"
	signaturesVerify = "verify"
	signaturesNone   = "none"
)

// The values of foreign-layers in a spec.
const (
	foreignRefuse = "refuse"
	foreignFetch  = "fetch"
)

// entry is one spec: a repository of the mirror.
type entry struct {
	name    string
	pos     strictyaml.Pos
	dir     string // that paths in the spec are relative to
	options options
	wants   []want
	choices []choice
	stored  []stored
}

// want is a reference that an entry names.
type want struct {
	ref
	entry *entry
	pos   strictyaml.Pos
	why   string
	held  *held // in a layout or an archive; nil: at its registry
}

// choice is a repository from which an entry chooses tags.
type choice struct {
	image
	selection
	entry *entry
	pos   strictyaml.Pos
}

// source is all sources of this kind in a set.
type source struct{ entries []*entry }

func newSource(specs []sources.Spec) (sources.Source, error) {
	entries, err := sources.Entries(specs, newEntry)
	if err != nil {
		return nil, err
	}
	s := &source{entries}
	if err := s.checkRegistries(); err != nil {
		return nil, err
	}
	return s, nil
}

func newEntry(spec sources.Spec, o options) (*entry, error) {
	e := &entry{name: spec.Name, pos: o.Pos, dir: spec.Dir, options: o}
	err := strictyaml.Join(e.checkOptions(), e.addImages(&spec), e.addRepositories(), e.addStored())
	if err == nil && len(e.wants)+len(e.choices)+len(e.stored) == 0 {
		err = e.pos.Errorf("source %s: want images, list, repositories, layout or archive", e.name)
	}
	return e, err
}

func (e *entry) checkOptions() error {
	o := &e.options
	c := sources.Checks{Pos: o.Pos}
	c.Word("signatures", &o.Signatures, signaturesCarry, signaturesVerify, signaturesNone)
	if verify := o.Signatures == signaturesVerify; verify != (len(o.Keys) > 0) {
		if verify {
			c.Refuse("signatures: verify needs keys")
		} else {
			c.Refuse("keys: nothing is verified unless signatures is verify")
		}
	}
	c.Word("foreign-layers", &o.ForeignLayers, foreignRefuse, foreignFetch)
	for _, host := range slices.Sorted(maps.Keys(o.Mirrors)) {
		if !isHost(host) {
			c.Refuse("mirrors: %q: want a registry's host, with its port if it has one", host)
		}
		for _, m := range o.Mirrors[host] {
			if err := sources.CheckBaseURL(m); err != nil {
				c.Refuse("mirrors: %s: %w", host, err)
			}
		}
	}
	for _, host := range o.PlainHTTP {
		if !isHost(host) {
			c.Refuse("plain-http: %q: want a registry's host, with its port if it has one", host)
		}
	}
	return c.Err()
}

// isHost reports whether s is the registry of some reference.
func isHost(s string) bool {
	i, err := parseImage(s + "/x")
	return err == nil && i.host == s && (i.name == "x" || i.host == dockerHub)
}

// dockerHub is the registry of references that name none.
const dockerHub = "docker.io"

// dockerHubAddress is where clients ask it.
const dockerHubAddress = "registry-1.docker.io"

// dockerHubIndex is what older clients and image names call it.
const dockerHubIndex = "index.docker.io"

func (e *entry) addImages(spec *sources.Spec) error {
	var errs []error
	add := func(s string, pos strictyaml.Pos, why string) {
		r, err := parseRef(s)
		if err != nil {
			errs = append(errs, pos.Errorf("%s: %w", why, err))
			return
		}
		e.wants = append(e.wants, want{ref: r, entry: e, pos: pos, why: why})
	}
	for _, s := range e.options.Images {
		add(s, e.pos, spec.Reason(s, "images"))
	}
	if e.options.List != "" {
		lines, err := readList(sources.Within(e.dir, e.options.List), e.options.List)
		if err != nil {
			errs = append(errs, e.pos.Errorf("list: %w", err))
		}
		if err == nil && len(lines) == 0 {
			errs = append(errs, e.pos.Errorf("source %s: list %s: no image is in it", e.name, e.options.List))
		}
		for _, l := range lines {
			add(l.Text, l.Pos, "list "+e.options.List)
		}
	}
	return strictyaml.Join(errs...)
}

func (e *entry) addRepositories() error {
	var errs []error
	for _, r := range e.options.Repositories {
		i, err := parseImage(r.Repository)
		c := choice{image: i, selection: selection{rules: r.Tags, newest: r.Newest}, entry: e, pos: r.Pos}
		if err == nil {
			err = c.check()
		}
		if err != nil {
			errs = append(errs, r.Pos.Errorf("repositories: %w", err))
			continue
		}
		e.choices = append(e.choices, c)
	}
	return strictyaml.Join(errs...)
}

// checkRegistries refuses specs that speak to one registry in two ways: what
// they share is fetched once.
func (s *source) checkRegistries() error {
	var errs []error
	plain := map[string]*entry{}
	mirrors := map[string]*entry{}
	for _, e := range s.entries {
		for _, host := range e.options.PlainHTTP {
			plain[host] = e
		}
		for host, list := range e.options.Mirrors {
			if first := mirrors[host]; first != nil && !slices.Equal(first.options.Mirrors[host], list) {
				errs = append(errs, e.pos.Errorf("mirrors: %s: source %s has others; what both carry is fetched once", host, first.name))
			}
			mirrors[host] = e
		}
	}
	for _, e := range s.entries {
		for _, i := range e.images() {
			if by := plain[i.host]; by != nil && !slices.Contains(e.options.PlainHTTP, i.host) {
				errs = append(errs, e.pos.Errorf("%s: source %s speaks to %s without TLS and this one does not: set plain-http in both", i, by.name, i.host))
			}
		}
	}
	slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return strictyaml.Join(errs...)
}

// images returns the image repositories that an entry names.
func (e *entry) images() []image {
	var all []image
	for _, w := range e.wants {
		all = append(all, w.image)
	}
	for _, c := range e.choices {
		all = append(all, c.image)
	}
	slices.SortFunc(all, func(a, b image) int { return strings.Compare(a.String(), b.String()) })
	return slices.Compact(all)
}
