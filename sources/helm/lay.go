package helm

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/helm/index"
	"github.com/gapbundle/gapbundle/sources/keyring"
	"github.com/gapbundle/gapbundle/sources/rebuild"
	"github.com/gapbundle/gapbundle/sources/upstream"
)

// indexName is the index of a repository.
const indexName = "index.yaml"

// Annotations of the line of a package in the list, and of a repository.
const (
	chartKey    = "chart"          // its name
	versionKey  = "version"        // its version
	fromKey     = "upstream"       // where it is from
	registryKey = "image-registry" // "global": it takes global.imageRegistry
	toldKey     = "index-digest"   // what upstream's index states wrongly
	modeKey     = "images"         // what becomes of images
	keysKey     = "keys"           // path of the published keys, below keys/
	ociKind     = "oci"            // kind of the derived source
	reasonIndex = "index of upstream"
	reasonMade  = "made of the charts that were chosen"
)

// lay makes the repositories, and the sources that carry the images.
func lay(env *sources.Env, all []*selection) (*sources.Plan, error) {
	plan := &sources.Plan{}
	for _, s := range all {
		repo, images, err := s.lay(env)
		if err != nil {
			return nil, err
		}
		plan.Repositories = append(plan.Repositories, repo)
		for _, c := range s.charts {
			plan.Scratch += max(c.size, 0)
		}
		for _, r := range s.indexes {
			plan.Scratch += int64(len(r.page.Content))
		}
		if also := s.derived(images); also != nil {
			spec := sources.Given(s.entry.spec, ociKind, also)
			spec.Reasons = s.reasons()
			plan.Also = append(plan.Also, sources.Derived{Spec: spec})
		}
	}
	return plan, nil
}

// lay makes the repository of one source; images are those that are carried with it.
func (s *selection) lay(env *sources.Env) (repo sources.Repository, images []string, err error) {
	repo = sources.Repository{Name: s.entry.spec.Name, Mount: s.entry.mount, Annotations: map[string]string{modeKey: s.entry.options.Images.Mode}}
	var artifacts []sources.Artifact
	for _, c := range s.charts {
		artifacts = append(artifacts, c.artifacts(env)...)
		if c.told != (bundle.Digest{}) {
			repo.Notes = append(repo.Notes, c.file()+": taken although the index of its repository says "+c.told.String())
		}
		if c.excused {
			repo.Notes = append(repo.Notes, c.file()+": has the digest of its index: wrong-digests: ["+c.name()+"] is not needed any more")
		}
	}
	repo.Notes = append(repo.Notes, s.left...)
	for _, r := range s.indexes {
		artifacts = append(artifacts, r.evidence())
		public, err := bundle.ParsePublic(r.url, "")
		if err != nil {
			return repo, nil, err
		}
		repo.Public = append(repo.Public, public)
		for _, text := range r.Skipped {
			repo.Notes = append(repo.Notes, r.page.URL+": "+text)
		}
	}
	if s.entry.options.Images.Mode != modeNone {
		l, err := s.listed()
		if err != nil {
			return repo, nil, err
		}
		content, err := json.MarshalIndent(l, "", " ")
		if err != nil {
			return repo, nil, err
		}
		content = append(content, '\n')
		if err := rebuild.ReadBack(listName, content, readList(l)); err != nil {
			return repo, nil, sources.InSource(s.entry.options.Pos, s.entry.spec.Name, err)
		}
		made := sources.Made(listName, content, reasonMade)
		made.Keep = made.File.Size <= maxKept
		made.Evidence.Vouched = s.vouched()
		artifacts = append(artifacts, made)
		repo.Notes = append(repo.Notes, l.notes(s.entry.options.Images.Mode)...)
		if s.entry.options.Images.Mode == modeCarry {
			images = l.Images
		}
	} else {
		for _, i := range s.entry.options.Images.Add {
			images = append(images, full(i))
		}
	}
	repo.Artifacts = sources.List(artifacts)
	repo.Late = func(ctx context.Context, done sources.Results) ([]sources.Artifact, error) { return s.index(ctx, done) }
	return repo, images, s.publish(&repo)
}

// publish adds the keys that signed provenance files.
func (s *selection) publish(repo *sources.Repository) (err error) {
	var by keyring.Keys
	for _, c := range s.charts {
		if c.prov != nil {
			by = by.Union(c.prov.by)
		}
	}
	if len(by) == 0 {
		return nil
	}
	repo.Annotations[keysKey] = keyring.Path(repo.Name)
	if repo.Keys, err = by.Publish(keyring.RoleUpstream, keyring.Path(repo.Name)); err != nil {
		return err
	}
	return keyring.WithoutArmor(repo.Keys) // helm reads no armor
}

// artifacts returns the package and its provenance file.
func (c *chart) artifacts(env *sources.Env) []sources.Artifact {
	a := sources.Artifact{
		File: bundle.File{
			Path: c.file(), Size: c.size, Digest: c.digest,
			Annotations: map[string]string{chartKey: c.Name, versionKey: c.Version, fromKey: c.from},
		},
		Evidence:  bundle.Evidence{Path: c.file(), Origin: c.where(), Vouched: c.vouched, Reason: "chart " + c.Name + " " + c.Version},
		Validator: c.validator, Open: c.opened(env),
	}
	if slices.ContainsFunc(c.renders, func(r *rendering) bool { return r.Registry }) {
		a.File.Annotations[registryKey] = "global"
	}
	if !c.told.IsZero() {
		a.Evidence.Annotations = map[string]string{toldKey: c.told.String()}
	}
	a.Entries = c.entries(env)
	a.Checked = c.base.checked(a.File)
	if c.prov == nil {
		return []sources.Artifact{a}
	}
	p := sources.Artifact{
		File:      c.prov.file,
		Evidence:  bundle.Evidence{Path: c.file() + ".prov", Vouched: c.prov.vouched, Reason: "provenance of " + c.file()},
		Validator: c.digest.Hex(),
	}
	p.File.Path = c.file() + ".prov"
	switch {
	case len(c.urls) > 0:
		p.Evidence.Origin = c.prov.place.Where("")
	case c.where() != "":
		p.Evidence.Origin = c.where() + " (provenance)"
	}
	if c.prov.content != nil {
		p.Open = sources.InMemory(c.prov.content, p.Validator)
	} else {
		p.Open = upstream.Validated(c.prov.place.Open(env, upstream.Want{Sum: upstream.SHA256(p.File.Digest), Size: p.File.Size}), p.Validator)
	}
	p.Checked = c.base.checked(p.File)
	return []sources.Artifact{a, p}
}

// evidence returns upstream's index.
func (r *repository) evidence() sources.Artifact {
	vouched := bundle.VouchedTLS
	if !r.page.Secure {
		vouched = bundle.VouchedNone
	}
	u, err := url.Parse(r.url)
	if err != nil {
		u = &url.URL{Host: "upstream"} // it was read: this is not met
	}
	path := rebuild.UpstreamFolder + strings.ReplaceAll(u.Host, ":", "_") + strings.TrimSuffix(u.Path, "/") + "/" + indexName
	return sources.Artifact{
		File:      bundle.File{Path: path, Size: int64(len(r.page.Content)), Digest: bundle.DigestOf(r.page.Content)},
		Evidence:  bundle.Evidence{Path: path, Origin: fetch.Redact(r.url + indexName), Vouched: vouched, Reason: reasonIndex},
		Validator: r.page.Validator, Open: sources.InMemory(r.page.Content, r.page.Validator),
	}
}

// index makes the index of what was collected.
func (s *selection) index(ctx context.Context, done sources.Results) ([]sources.Artifact, error) {
	var all []index.Published
	for _, c := range s.charts {
		f, ok, err := done.Lookup(ctx, c.file())
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, fmt.Errorf("%s: was not collected: %w", c.file(), bundle.ErrIncomplete)
		}
		all = append(all, index.Published{Entry: c.Entry, Package: f.Digest})
	}
	content, err := index.Write(all)
	if err != nil {
		return nil, upstream.Blame("index", err)
	}
	if err := rebuild.ReadBack(indexName, content, readIndex(all)); err != nil {
		return nil, err
	}
	a := sources.Made(indexName, content, reasonMade)
	a.Evidence.Vouched = s.vouched()
	return []sources.Artifact{a}, nil
}

// vouched returns how what is made of the charts is vouched for.
func (s *selection) vouched() string {
	var all []string
	for _, c := range s.charts {
		all = append(all, c.vouched)
	}
	return rebuild.Vouched(all...)
}

// derived returns the options of the source of the kind oci: the images, and the charts
// that registries have. nil: there is none.
func (s *selection) derived(images []string) map[string]any {
	for _, c := range s.charts {
		if c.oci != "" && c.repo == nil {
			images = append(images, c.oci)
		}
	}
	if len(images) == 0 {
		return nil
	}
	o := s.entry.options.Images
	also := map[string]any{"images": images}
	for key, list := range map[string][]string{"platforms": o.Platforms, "keys": o.Keys, "plain-http": o.PlainHTTP} {
		if len(list) > 0 {
			also[key] = list
		}
	}
	for key, text := range map[string]string{"signatures": o.Signatures, "foreign-layers": o.ForeignLayers} {
		if text != "" {
			also[key] = text
		}
	}
	if len(o.Mirrors) > 0 {
		also["mirrors"] = o.Mirrors
	}
	return also
}
