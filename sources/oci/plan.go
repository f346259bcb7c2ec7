package oci

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/registry"
	"github.com/gapbundle/gapbundle/internal/strictyaml"
	"github.com/gapbundle/gapbundle/sources"
)

// reading is what one plan of all sources of the kind reads with, and has read.
type reading struct {
	env    *sources.Env
	client *registry.Client
	// base is what the last export recorded, by path below the mount, and named what
	// it recorded of manifests that have a name.
	base  map[string]sources.Recorded
	named map[bundle.Digest]said
	// keys are those of each source that verifies.
	keys map[*entry][]cosignKey

	mu sync.Mutex
	// kept are the manifests in scratch, with their sizes: they were read to
	// plan, and are not read again.
	kept map[bundle.Digest]int64
}

// Plan asks what each tag is, reads the manifests that the base does not have,
// and names every blob they lead to.
func (s *source) Plan(ctx context.Context, env *sources.Env) (*sources.Plan, error) {
	r, err := begin(env, s.entries)
	if err != nil {
		return nil, err
	}
	images, err := imagesOf(r, s.entries)
	if err != nil {
		return nil, err
	}
	err = sources.Each(ctx, len(images), func(ctx context.Context, i int) error { return images[i].gather(ctx) })
	if err != nil {
		return nil, err
	}
	return lay(r, s.entries, images)
}

// begin reads the base and the keys, and makes the client.
func begin(env *sources.Env, entries []*entry) (*reading, error) {
	r := &reading{env: env, base: map[string]sources.Recorded{}, named: map[bundle.Digest]said{}, keys: map[*entry][]cosignKey{}, kept: map[bundle.Digest]int64{}}
	var errs []error
	o := registry.Options{Mirrors: map[string][]string{}, Log: env.Log}
	for _, e := range entries {
		for host, mirrors := range e.options.Mirrors {
			o.Mirrors[host] = mirrors // checkRegistries: the same in all sources
		}
		o.PlainHTTP = append(o.PlainHTTP, e.options.PlainHTTP...)
		keys, err := e.loadKeys()
		r.keys[e], errs = keys, append(errs, err)
		if env.Base == nil {
			continue
		}
		for f, err := range env.Base.Files(e.name) {
			if err != nil {
				return nil, fmt.Errorf("base of %s: %w", e.name, err)
			}
			r.base[f.File.Path] = f
		}
		errs = append(errs, r.recallNames(e))
	}
	if err := strictyaml.Join(errs...); err != nil {
		return nil, err
	}
	var err error
	r.client, err = registry.New(env.Fetch, o)
	return r, err
}

// keep puts a manifest into scratch.
func (r *reading) keep(d bundle.Digest, content []byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.kept[d]; ok {
		return nil
	}
	r.kept[d] = int64(len(content))
	return r.env.Scratch.WriteFile(scratchName(d), content, 0o600)
}

func scratchName(d bundle.Digest) string { return Name + "-" + d.Hex() }

// lay lays out a repository for each source: the images whose first it is.
func lay(r *reading, entries []*entry, images []*gathering) (*sources.Plan, error) {
	plan := &sources.Plan{}
	for _, size := range r.kept {
		plan.Scratch += size
	}
	held, err := r.env.Taken(mount, nil)
	if err != nil {
		return nil, err
	}
	byOwner := map[*entry][]sources.Artifact{}
	var errs []error
	for _, g := range images {
		for _, a := range g.artifacts() {
			if have, ok := held[a.File.Path]; ok {
				if have.Digest != a.File.Digest {
					errs = append(errs, fmt.Errorf("%s: source %s, which is held back, has it as %s, this export would as %s: %w", a.File.Path, have.Source, have.Digest, a.File.Digest, bundle.ErrUsage))
				}
				continue
			}
			byOwner[g.owner] = append(byOwner[g.owner], a)
		}
	}
	for _, e := range entries {
		repo := sources.Repository{Name: e.name, Mount: mount, Notes: e.notes(images)}
		if repo.Public, err = e.public(); err != nil {
			errs = append(errs, err)
		}
		if len(e.options.PlainHTTP) > 0 {
			repo.Annotations = map[string]string{plainKey: strings.Join(slices.Sorted(slices.Values(e.options.PlainHTTP)), " ")}
		}
		repo.Artifacts = sources.List(byOwner[e])
		plan.Repositories = append(plan.Repositories, repo)
	}
	return plan, errors.Join(errs...)
}

// public are the registries that the source names.
func (e *entry) public() ([]sources.Public, error) {
	var all []sources.Public
	var errs []error
	add := func(host string) {
		scheme, address := "https", host
		if slices.Contains(e.options.PlainHTTP, host) {
			scheme = "http"
		}
		if host == dockerHub {
			address = dockerHubAddress
		}
		public, err := bundle.ParsePublic(scheme+"://"+address+"/v2", hostFolder(host))
		if err != nil {
			errs = append(errs, e.pos.Errorf("registry %s: %w", host, err))
		}
		all = append(all, public)
	}
	for _, w := range e.wants {
		add(w.host)
	}
	for _, c := range e.choices {
		add(c.host)
	}
	return all, errors.Join(errs...)
}

// notes are the remarks about the images of a source.
func (e *entry) notes(images []*gathering) []string {
	var notes []string
	for _, g := range images {
		if g.owner == e {
			notes = append(notes, g.notes...)
		} else if slices.Contains(e.images(), g.image) {
			notes = append(notes, fmt.Sprintf("%s: also in source %s, which has its files", g.image, g.owner.name))
		}
	}
	for _, host := range slices.Sorted(slices.Values(e.options.PlainHTTP)) {
		notes = append(notes, host+": spoken to without TLS: nothing but digests in the spec says that it is the right registry")
	}
	return notes
}

// artifacts are the files of an image.
func (g *gathering) artifacts() []sources.Artifact {
	var all []sources.Artifact
	vouched := g.vouchedFor()
	by := func(d bundle.Digest) string {
		if vouched[d] {
			return bundle.VouchedIndex
		}
		return g.connection()
	}
	blobs := map[bundle.Digest]bool{}
	for _, d := range slices.SortedFunc(maps.Keys(g.nodes), compareDigests) {
		n := g.nodes[d]
		a := g.manifest(d, d.String(), n.file)
		a.Evidence.Reason, a.Evidence.Vouched, a.Checked = "part of "+g.String(), by(d), n.recalled
		all = append(all, a)
		for _, c := range n.children {
			if !c.manifest && !blobs[c.digest] {
				blobs[c.digest] = true
				b := g.blob(c)
				b.Evidence.Vouched = by(c.digest)
				all = append(all, b)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(g.tags)) {
		a := g.tagged(g.tags[name])
		a.Entries = g.entry(g.tags[name].upstream, g.tags[name].target, name)
		all = append(all, a)
	}
	for _, d := range slices.SortedFunc(maps.Keys(g.referrers), compareDigests) {
		a := g.listing(d)
		for _, attached := range g.referrers[d] {
			if !vouched[digestOf(attached)] { // made, of what the registry alone says
				a.Evidence.Vouched = g.connection()
			}
		}
		all = append(all, a)
	}
	for _, w := range g.wants {
		if w.digest.IsZero() {
			continue
		}
		path := g.manifestPath(w.digest.String())
		i := slices.IndexFunc(all, func(a sources.Artifact) bool { return a.File.Path == path })
		all[i].Evidence.Vouched, all[i].Evidence.Reason = bundle.VouchedPinned, w.reason()
		if !g.isTagged(w.digest) {
			all[i].Entries = g.entry(w.digest, w.digest, w.digest.String())
		}
	}
	return all
}

func compareDigests(a, b bundle.Digest) int { return cmp.Compare(a.Hex(), b.Hex()) }

// reason is why a reference is in the mirror, for people.
func (w want) reason() string { return w.ref.String() + ", by " + w.why }

// address is where something of the image is at its registry, without secrets.
func (g *gathering) address(reference string) string {
	return g.origin() + "/" + areaManifests + "/" + reference
}

func (g *gathering) origin() string {
	scheme, host := "https", g.host
	if slices.ContainsFunc(g.entries(), func(e *entry) bool { return slices.Contains(e.options.PlainHTTP, g.host) }) {
		scheme = "http"
	}
	if host == dockerHub {
		host = dockerHubAddress
	}
	return scheme + "://" + host + "/v2/" + g.name
}

// connection is how content is vouched for that nothing else speaks for.
func (g *gathering) connection() string {
	if g.unprotected() {
		return bundle.VouchedNone
	}
	return bundle.VouchedTLS
}

// vouchedFor is everything below a digest that the spec has, or that a
// signature is over: those say what it is, the registry does not.
func (g *gathering) vouchedFor() map[bundle.Digest]bool {
	all := map[bundle.Digest]bool{}
	var reach func(d bundle.Digest)
	reach = func(d bundle.Digest) {
		if all[d] {
			return
		}
		all[d] = true
		if n := g.nodes[d]; n != nil {
			for _, c := range n.children {
				reach(c.digest)
			}
		}
	}
	for _, w := range g.wants {
		if !w.digest.IsZero() {
			reach(w.digest)
		}
	}
	for _, t := range g.tags {
		if t.signed != "" {
			reach(t.upstream)
		}
	}
	return all
}

// unprotected says that the registry, or a mirror before it, is spoken to
// without TLS.
func (g *gathering) unprotected() bool {
	return strings.HasPrefix(g.origin(), "http:") || slices.ContainsFunc(g.entries(), func(e *entry) bool {
		return slices.ContainsFunc(e.options.Mirrors[g.host], func(m string) bool { return strings.HasPrefix(m, "http:") })
	})
}

// entries are the sources that name the image.
func (g *gathering) entries() []*entry {
	all := []*entry{g.owner}
	for _, w := range g.wants {
		all = append(all, w.entry)
	}
	for _, c := range g.choices {
		all = append(all, c.entry)
	}
	return all
}

// manifest is a manifest under a digest or a tag.
func (g *gathering) manifest(d bundle.Digest, reference string, f bundle.File) sources.Artifact {
	f.Path, f.Annotations = g.manifestPath(reference), maps.Clone(f.Annotations)
	return sources.Artifact{
		File:     f,
		Evidence: bundle.Evidence{Path: f.Path, Origin: g.address(reference), Vouched: bundle.VouchedIndex},
		Open:     g.openManifest(d),
	}
}

// tagged is the manifest that the mirror has under a tag.
func (g *gathering) tagged(t *tag) sources.Artifact {
	n := g.nodes[t.target]
	f := bundle.File{Size: n.file.Size, Digest: t.target, MediaType: n.file.MediaType}
	a := g.manifest(t.target, t.name, f)
	if t.target != t.upstream {
		a.File.Annotations = map[string]string{resolvedKey: t.upstream.Hex()}
	}
	a.Evidence.Reason = t.want.reason()
	a.Evidence.Annotations = map[string]string{"digest": t.upstream.String(), "tag": t.name}
	switch {
	case t.signed != "":
		a.Evidence.Vouched = t.signed
	case t.pinned:
		a.Evidence.Vouched = bundle.VouchedPinned
	default:
		a.Evidence.Vouched = g.connection()
	}
	return a
}

func (g *gathering) blob(c child) sources.Artifact {
	path := g.blobPath(c.digest)
	a := sources.Artifact{
		File:     bundle.File{Path: path, Size: c.size, Digest: c.digest},
		Evidence: bundle.Evidence{Path: path, Origin: g.origin() + "/" + areaBlobs + "/" + c.digest.String(), Vouched: bundle.VouchedIndex, Reason: "part of " + g.String()},
	}
	if len(c.urls) > 0 {
		a.File.Annotations = map[string]string{}
		annotate(a.File.Annotations, urlsKey, " ", c.urls)
		a.Evidence.Origin = fetch.Redact(c.urls[0])
	}
	a.Open = g.openBlob(c)
	return a
}

// listing is the answer to a question for referrers.
func (g *gathering) listing(d bundle.Digest) sources.Artifact {
	index := v1.Index{MediaType: v1.MediaTypeImageIndex, Manifests: g.referrers[d]}
	index.SchemaVersion = 2
	content, err := json.Marshal(index)
	path, open := g.referrersPath(d), sources.InMemory(content, "")
	if err != nil {
		open = func(context.Context, int64, string) (*bundle.Content, error) { return nil, err }
	}
	return sources.Artifact{
		File:     bundle.File{Path: path, Size: int64(len(content)), Digest: bundle.DigestOf(content), MediaType: v1.MediaTypeImageIndex},
		Evidence: bundle.Evidence{Path: path, Vouched: bundle.VouchedMade, Reason: "attached to " + g.String() + "@" + d.String()},
		Open:     open,
	}
}

// openManifest reads a manifest from scratch, or from the registry where plan
// did not read it.
func (g *gathering) openManifest(d bundle.Digest) bundle.Open {
	return func(ctx context.Context, _ int64, _ string) (*bundle.Content, error) {
		f, err := g.r.env.Scratch.Open(scratchName(d))
		if err == nil {
			return &bundle.Content{Body: f}, nil
		}
		if !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
		m, err := g.repo.Manifest(ctx, d.String())
		if err != nil {
			return nil, err
		}
		return &bundle.Content{Body: io.NopCloser(bytes.NewReader(m.Content))}, nil
	}
}

// openBlob reads a blob from the registry; a foreign layer from where its
// manifest says, if the registry does not have it.
func (g *gathering) openBlob(c child) bundle.Open {
	return func(ctx context.Context, at int64, validator string) (*bundle.Content, error) {
		body, err := g.repo.Blob(ctx, digest.NewDigestFromEncoded(digest.SHA256, c.digest.Hex()), at, validator)
		errs := []error{err}
		for _, u := range c.urls {
			if err == nil || ctx.Err() != nil {
				break
			}
			body, err = g.r.env.Fetch.Open(ctx, u, at, validator)
			errs = append(errs, err)
		}
		if err != nil {
			return nil, errors.Join(errs...)
		}
		return &bundle.Content{Body: body, At: body.At, Validator: body.Meta.Validator()}, nil
	}
}
