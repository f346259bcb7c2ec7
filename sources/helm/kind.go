package helm

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/Masterminds/semver/v3"

	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/registry"
	"github.com/gapbundle/gapbundle/internal/strictyaml"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/helm/child"
	"github.com/gapbundle/gapbundle/sources/helm/pack"
	"github.com/gapbundle/gapbundle/sources/keyring"
	"github.com/gapbundle/gapbundle/sources/rebuild"
)

// Name is the kind's name in a spec file, and its part of paths in a mirror.
const Name = "helm"

// Kind returns the kind of Helm charts.
func Kind() sources.Kind {
	return sources.Kind{
		Name:    Name,
		Doc:     "Helm charts from repositories, registries and files, and the images that they need",
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
	Keyring      keyring.Entry  `yaml:"keyring" doc:"OpenPGP keys; every chart of the source then needs a provenance file that one of them signed."`
	Charts       []chartEntry   `yaml:"charts,required,single" doc:"Charts to carry."`
	Images       imagesEntry    `yaml:"images" doc:"What becomes of the images that the charts need."`
	Absent       rebuild.Absent `yaml:"absent" doc:"skip: leave out charts of which helm can use no entry, or not the package. Absent: such a chart is an error."`
	WrongDigests []string       `yaml:"wrong-digests,single" doc:"Charts, as in name-1.2.3, that are taken although upstream's index has another digest for them."`
}

type chartEntry struct {
	Pos         strictyaml.Pos
	Repo        string                      `yaml:"repo" doc:"URL of a chart repository; with chart."`
	OCI         string                      `yaml:"oci" doc:"Chart in a registry, as in oci://ghcr.io/org/charts/app."`
	File        string                      `yaml:"file" doc:"Packaged chart on disk."`
	Chart       string                      `yaml:"chart" doc:"Name of the chart in the repository."`
	Version     string                      `yaml:"version" doc:"Version, or range as helm reads it; absent: the newest release."`
	Newest      int                         `yaml:"newest" doc:"How many of the newest versions of the range are carried; absent: 1."`
	KubeVersion string                      `yaml:"kube-version" doc:"Kubernetes version that the chart is rendered for; absent: helm's own default."`
	APIVersions []string                    `yaml:"api-versions,single" doc:"API versions that the cluster has besides Kubernetes' own."`
	Namespace   string                      `yaml:"namespace" doc:"Namespace of the release; absent: default."`
	Release     string                      `yaml:"release" doc:"Name of the release; absent: that of the chart."`
	Values      []string                    `yaml:"values,single" doc:"Value files, in the order of helm's -f."`
	Set         map[string]*strictyaml.Node `yaml:"set" doc:"Values by path, as with helm's --set."`
	SetString   map[string]*strictyaml.Node `yaml:"set-string" doc:"Values by path, as with helm's --set-string."`
	NodeOS      []string                    `yaml:"node-os,single" doc:"Systems of the nodes, as in ubuntu24.04, for operators that append them to a tag."`
	Schema      string                      `yaml:"schema" doc:"ignore: values.schema.json is not looked at."`
}

type imagesEntry struct {
	Mode          string              `yaml:"mode" doc:"carry, list or none; absent: carry."`
	Tests         bool                `yaml:"tests" doc:"Also the images of hooks of type test."`
	Add           []string            `yaml:"add,single" doc:"Images that no chart names, because an operator has them built in."`
	Drop          []string            `yaml:"drop,single" doc:"Patterns of images that are not carried; * stands for anything."`
	Accept        []string            `yaml:"accept,single" doc:"Patterns of images that are carried although it is not certain that they are needed."`
	Instead       map[string][]string `yaml:"instead" doc:"By image: those that are carried in its place."`
	Platforms     []string            `yaml:"platforms,single" doc:"As for the kind oci."`
	Signatures    string              `yaml:"signatures" doc:"As for the kind oci."`
	Keys          []string            `yaml:"keys,single" doc:"As for the kind oci."`
	ForeignLayers string              `yaml:"foreign-layers" doc:"As for the kind oci."`
	Mirrors       map[string][]string `yaml:"mirrors" doc:"As for the kind oci; charts in registries are read by them, too."`
	PlainHTTP     []string            `yaml:"plain-http,single" doc:"As for the kind oci; charts in registries, too."`
}

// The modes for images.
const (
	modeCarry = "carry"
	modeList  = "list"
	modeNone  = "none"
)

// entry is one spec: a repository of the mirror.
type entry struct {
	spec     sources.Spec
	mount    string
	options  options
	keys     *keyring.Ref // nil: provenance is not verified
	requests []*request
}

// request is a chart that an entry asks for.
type request struct {
	chartEntry
	entry *entry
	// One of these is set: the URL of a repository, which ends with a slash; host and
	// name of a repository of a registry; a file.
	repo, oci, file string
	set, setString  []string // as helm's arguments
}

// what names a request in errors.
func (r *request) what() string {
	switch {
	case r.repo != "":
		return "chart " + r.Chart + " of " + fetch.Redact(r.repo)
	case r.oci != "":
		return "chart oci://" + r.oci
	}
	return "chart " + r.File
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
	e := &entry{spec: spec, mount: Name + "/" + spec.Name, options: o}
	c := sources.Checks{Pos: o.Pos}
	if !o.Keyring.IsZero() {
		var err error
		e.keys, err = o.Keyring.Ref("keyring", spec.Dir)
		c.Add(err)
	}
	c.Word("images: mode", &e.options.Images.Mode, modeCarry, modeList, modeNone)
	c.Add(o.Absent.Check(o.Pos, true))
	if len(o.Charts) == 0 {
		c.Refuse("source %s: want charts", spec.Name)
	}
	for _, chart := range o.Charts {
		r, err := e.request(chart)
		e.requests = append(e.requests, r)
		c.Add(err)
	}
	c.Add(e.checkImages(), e.unread())
	return e, c.Err()
}

// request checks a chart of the spec.
func (e *entry) request(c chartEntry) (*request, error) {
	r := &request{chartEntry: c, entry: e}
	checks := sources.Checks{Pos: c.Pos}
	given := 0
	for _, s := range []string{c.Repo, c.OCI, c.File} {
		if s != "" {
			given++
		}
	}
	switch {
	case given != 1:
		checks.Refuse("charts: want one of repo, oci and file")
	case c.Repo != "":
		r.repo = checks.Base("repo", strings.TrimSuffix(c.Repo, "index.yaml"))
		if err := pack.CheckName(c.Chart); err != nil {
			checks.Refuse("chart: want the name of a chart of the repository, got %.100q", c.Chart)
		}
	case c.Chart != "":
		checks.Refuse("chart: a name goes with repo")
	case c.OCI != "":
		r.oci = strings.TrimPrefix(c.OCI, "oci://")
		if _, _, err := registry.SplitName(r.oci); err != nil {
			checks.Refuse("oci: %w", err)
		}
	default:
		r.file = sources.Within(e.spec.Dir, c.File)
	}
	if _, err := semver.NewConstraint(c.Version); c.Version != "" && err != nil {
		checks.Refuse("version: %q: %w", c.Version, err)
	}
	if c.File != "" && (c.Version != "" || c.Newest != 0) {
		checks.Refuse("version, newest: a file has one version")
	}
	checks.Newest(c.Newest, 0)
	if r.Newest == 0 {
		r.Newest = 1
	}
	if c.Schema != "" && c.Schema != "ignore" {
		checks.Refuse("schema: want ignore, got %q", c.Schema)
	}
	for _, os := range c.NodeOS {
		if os == "" || strings.Trim(os, "abcdefghijklmnopqrstuvwxyz0123456789._-") != "" {
			checks.Refuse("node-os: want a system with its version, as in ubuntu24.04, got %q", os)
		}
	}
	var err error
	r.set, err = arguments("set", c.Set)
	checks.Add(err)
	r.setString, err = arguments("set-string", c.SetString)
	checks.Add(err)
	return r, checks.Err()
}

// literal is a plain value as it is written.
type literal string

// UnmarshalText takes any.
func (l *literal) UnmarshalText(b []byte) error {
	*l = literal(b)
	return nil
}

// arguments returns the arguments of --set, sorted by path.
func arguments(option string, values map[string]*strictyaml.Node) ([]string, error) {
	var all []string
	var errs []error
	for _, key := range slices.Sorted(maps.Keys(values)) {
		var text literal
		var yes bool
		switch {
		case values[key].Decode(&text) == nil:
			all = append(all, key+"="+string(text))
		case values[key].Decode(&yes) == nil:
			all = append(all, key+"="+strconv.FormatBool(yes))
		default:
			errs = append(errs, values[key].Pos().Errorf("%s: %s: want a plain value, as an argument of helm's --%s", option, key, option))
		}
	}
	return all, strictyaml.Join(errs...)
}

// template returns the options by which a version of the chart is rendered, without
// the contents of value files.
func (r *request) template(chart string) child.Options {
	o := child.Options{
		Release: r.Release, Namespace: r.Namespace, KubeVersion: r.KubeVersion, APIVersions: r.APIVersions,
		Set: r.set, SetString: r.setString, IgnoreSchema: r.Schema == "ignore", Tests: r.entry.options.Images.Tests,
	}
	if o.Release == "" {
		o.Release = chart
	}
	if o.Namespace == "" {
		o.Namespace = "default"
	}
	return o
}

// Plan reads what the upstreams have, chooses, gathers, and lays out.
func (s *source) Plan(ctx context.Context, env *sources.Env) (*sources.Plan, error) {
	offers, err := s.read(ctx, env)
	if err != nil {
		return nil, err
	}
	chosen, err := s.choose(offers)
	if err != nil {
		return nil, err
	}
	if err := gather(ctx, env, chosen); err != nil {
		return nil, err
	}
	return lay(env, chosen)
}
