package helm

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"strings"
	"time"

	"github.com/Masterminds/semver/v3"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/registry"
	"github.com/gapbundle/gapbundle/internal/strictyaml"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/helm/index"
	"github.com/gapbundle/gapbundle/sources/helm/pack"
	"github.com/gapbundle/gapbundle/sources/keyring"
	"github.com/gapbundle/gapbundle/sources/upstream"
)

// offers is what the upstreams of all sources have.
type offers struct {
	indexes map[string]*repository // by URL
	tags    map[string][]*index.Entry
	clients map[*entry]*registry.Client
	keys    map[*entry]keyring.Keys
}

// repository is a chart repository that was read.
type repository struct {
	*index.Index
	url  string
	page *page
}

// page is a small file of an upstream, as it is kept in scratch while the set is
// planned.
type page struct {
	Content   []byte `json:"-"`
	Absent    bool
	URL       string
	Secure    bool
	Validator string
}

// once returns what get returned the first time that anybody asked in this export: a
// set is planned several times when other sources derive charts.
func once(env *sources.Env, what, id string, get func() (*page, error)) (*page, error) {
	name := sources.ScratchName(Name, what+"-"+bundle.DigestOf([]byte(id)).Hex())
	about, err := env.Scratch.ReadFile(name + ".json")
	if err == nil {
		p := &page{}
		if err := json.Unmarshal(about, p); err != nil {
			return nil, err
		}
		p.Content, err = env.Scratch.ReadFile(name)
		return p, err
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	p, err := get()
	if err != nil {
		return nil, err
	}
	if p == nil {
		p = &page{Absent: true}
	}
	if about, err = json.Marshal(p); err == nil {
		err = env.KeepScratch(name, written(p.Content))
	}
	if err == nil {
		err = env.KeepScratch(name+".json", written(about))
	}
	return p, err
}

// pageOf keeps what was read; nil stays nil.
func pageOf(p *upstream.Page, err error) (*page, error) {
	if p == nil || err != nil {
		return nil, err
	}
	return &page{Content: p.Content, URL: p.Meta.URL, Secure: p.Meta.Secure, Validator: p.Meta.Validator()}, nil
}

// read reads the keys, the indexes of all repositories, each once, and the tags of
// charts in registries.
func (s *source) read(ctx context.Context, env *sources.Env) (*offers, error) {
	o := &offers{indexes: map[string]*repository{}, tags: map[string][]*index.Entry{}, clients: map[*entry]*registry.Client{}, keys: map[*entry]keyring.Keys{}}
	var repos []*repository
	var tagged []*request
	var errs []error
	names := map[string]map[string]bool{} // by repository: charts that are wanted
	for _, e := range s.entries {
		client, err := registry.New(env.Fetch, registry.Options{PlainHTTP: e.options.Images.PlainHTTP, Mirrors: e.options.Images.Mirrors, Log: env.Log})
		o.clients[e], errs = client, append(errs, err)
		if e.keys != nil {
			keys, err := keyring.Load(ctx, env, e.keys)
			o.keys[e], errs = keys, append(errs, err)
		}
		for _, r := range e.requests {
			switch {
			case r.oci != "":
				tagged = append(tagged, r)
			case r.repo == "":
			case names[r.repo] == nil:
				names[r.repo] = map[string]bool{r.Chart: true}
				repos = append(repos, &repository{url: r.repo})
			default:
				names[r.repo][r.Chart] = true
			}
		}
	}
	if err := strictyaml.Join(errs...); err != nil {
		return nil, err
	}
	err := sources.Each(ctx, len(repos), func(ctx context.Context, i int) error {
		return repos[i].read(ctx, env, func(name string) bool { return names[repos[i].url][name] })
	})
	if err != nil {
		return nil, err
	}
	for _, r := range repos {
		o.indexes[r.url] = r
	}
	lists := make([][]*index.Entry, len(tagged))
	err = sources.Each(ctx, len(tagged), func(ctx context.Context, i int) (err error) {
		lists[i], err = versionsOf(ctx, env, o.clients[tagged[i].entry], tagged[i].oci)
		if err != nil {
			err = tagged[i].Pos.Wrap(err)
		}
		return err
	})
	for i, r := range tagged {
		o.tags[r.oci] = lists[i]
	}
	return o, err
}

func (r *repository) read(ctx context.Context, env *sources.Env, wanted func(string) bool) (err error) {
	place := upstream.At(r.url)
	r.page, err = once(env, "index", r.url, func() (*page, error) { return pageOf(place.Read(ctx, env, "index.yaml", index.MaxSize)) })
	if err != nil {
		return err
	}
	r.Index, err = index.Read(r.page.Content, wanted)
	return upstream.Blame(r.page.URL, err)
}

// versionsOf returns the versions of a chart in a registry: its tags that are versions. A
// registry has no '+' in tags, and helm writes '_' for it.
func versionsOf(ctx context.Context, env *sources.Env, client *registry.Client, name string) ([]*index.Entry, error) {
	p, err := once(env, "tags", name, func() (*page, error) {
		repo, err := client.Repository(name)
		if err != nil {
			return nil, err
		}
		tags, err := repo.Tags(ctx)
		return &page{Content: []byte(strings.Join(tags, "\n"))}, err
	})
	if err != nil {
		return nil, err
	}
	var all []*index.Entry
	for tag := range strings.SplitSeq(string(p.Content), "\n") {
		version := strings.ReplaceAll(tag, "_", "+")
		if v, err := semver.NewVersion(version); err == nil && pack.CheckVersion(version) == nil {
			all = append(all, &index.Entry{Version: version, Semver: v})
		}
	}
	return all, nil
}

// Media types of charts in registries (helm.sh/docs/topics/registries).
const (
	mediaChart      = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
	mediaProvenance = "application/vnd.cncf.helm.chart.provenance.v1.prov"
	mediaOldChart   = "application/tar+gzip"
)

// artifact is a chart in a registry.
type artifact struct {
	repo              *registry.Repository
	chart, provenance ocispec.Descriptor
	config            []byte // Chart.yaml as JSON
	created           time.Time
}

// entry returns what the registry has about the chart, in place of an index.
func (a *artifact) entry(want *index.Entry) (*index.Entry, error) {
	e, err := index.FromChart(a.config, a.created)
	if err == nil && (e.Name != want.Name || e.Version != want.Version) {
		err = fmt.Errorf("want the chart %s %s, got %s %s: %w", want.Name, want.Version, e.Name, e.Version, bundle.ErrMalformed)
	}
	return e, err
}

// resolve reads the manifest of a chart in a registry.
func resolve(ctx context.Context, env *sources.Env, client *registry.Client, name, tag string) (*artifact, error) {
	repo, err := client.Repository(name)
	if err != nil {
		return nil, err
	}
	a := &artifact{repo: repo}
	p, err := once(env, "manifest", name+":"+tag, func() (*page, error) {
		m, err := repo.Manifest(ctx, tag)
		if err != nil {
			return nil, err
		}
		return &page{Content: m.Content, URL: m.URL}, nil
	})
	if err != nil {
		return nil, err
	}
	var m ocispec.Manifest
	if err := json.Unmarshal(p.Content, &m); err != nil {
		return nil, fmt.Errorf("%s: %w: %w", p.URL, err, fetch.ErrUpstream)
	}
	for _, l := range m.Layers {
		switch l.MediaType {
		case mediaChart, mediaOldChart:
			a.chart = l
		case mediaProvenance:
			a.provenance = l
		}
	}
	if a.chart.Digest.Validate() != nil || a.chart.Digest.Algorithm() != digest.SHA256 || a.chart.Size < 0 || a.chart.Size > pack.MaxPackage {
		return nil, fmt.Errorf("%s: want the manifest of a chart, with a layer of the type %s of at most %d bytes: %w", p.URL, mediaChart, pack.MaxPackage, fetch.ErrUpstream)
	}
	a.created, _ = time.Parse(time.RFC3339, m.Annotations[ocispec.AnnotationCreated]) // absent: the zero time
	config, err := once(env, "config", name+"@"+m.Config.Digest.String(), func() (*page, error) {
		content, err := readBlob(ctx, repo, m.Config, pack.MaxProvenance)
		return &page{Content: content}, err
	})
	if err != nil {
		return nil, err
	}
	a.config = config.Content
	return a, nil
}

// readBlob reads a small blob and compares it with its digest.
func readBlob(ctx context.Context, repo *registry.Repository, d ocispec.Descriptor, most int64) (content []byte, err error) {
	body, err := repo.Blob(ctx, d.Digest, d.Size, 0, "")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, body.Close()) }()
	what := repo.Name() + "@" + d.Digest.String()
	if content, err = bundle.ReadAllBounded(body, what, most); err != nil {
		return nil, err
	}
	if d.Digest.Algorithm().FromBytes(content) != d.Digest {
		return nil, fmt.Errorf("%s: its content has another digest: %w", what, fetch.ErrUpstream)
	}
	return content, nil
}

// resolved returns the addresses of a package as helm reads them from an index: relative to
// the repository, absolute, or in a registry.
func (r *repository) resolved(env *sources.Env, urls []string) (web []string, oci string, err error) {
	var errs []error
	for _, u := range urls {
		reference, isOCI := strings.CutPrefix(u, "oci://")
		if isOCI {
			oci = cmp.Or(oci, reference)
			continue
		}
		base, err := url.Parse(r.url)
		if err == nil {
			base, err = base.Parse(u)
		}
		if err == nil && base.Scheme != "http" && base.Scheme != "https" {
			err = fmt.Errorf("want http or https")
		}
		if err != nil {
			err = fmt.Errorf("%w: %w", err, fetch.ErrUpstream)
		} else {
			err = env.Fetch.MayFollow(r.url, base.String())
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: address %.200q: %w", r.page.URL, fetch.Redact(u), err))
			continue
		}
		web = append(web, base.String())
	}
	if len(web) > 0 || oci != "" {
		return web, oci, nil // what can be reached will do
	}
	if errs == nil {
		errs = append(errs, fmt.Errorf("%s: no address of the package: %w", r.page.URL, fetch.ErrUpstream))
	}
	return nil, "", errors.Join(errs...)
}
