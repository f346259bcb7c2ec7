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
	"slices"
	"strings"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/rebuild"
)

// layout is one image, read: what was requested and what that led to. Its methods lay
// out the files.
type layout struct {
	r     *reading
	of    *request
	found *graph
}

// lay lays out a repository for each source. A source has the files of the images that
// it is the first to name.
func lay(r *reading, entries []*entry, images []layout) (*sources.Plan, error) {
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
	for _, l := range images {
		for _, a := range l.artifacts() {
			if have, ok := held[a.File.Path]; ok {
				if have.Digest != a.File.Digest {
					errs = append(errs, fmt.Errorf("%s: source %s, which is held back, has it as %s, this export would as %s: %w", a.File.Path, have.Source, have.Digest, a.File.Digest, bundle.ErrUsage))
				}
				continue
			}
			byOwner[l.of.owner] = append(byOwner[l.of.owner], a)
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

// public returns the registries that the source names.
func (e *entry) public() ([]sources.Public, error) {
	var all []sources.Public
	var errs []error
	add := func(host string) {
		scheme := "https"
		if slices.Contains(e.options.PlainHTTP, host) {
			scheme = "http"
		}
		addresses := []string{host}
		if host == dockerHub {
			addresses = []string{dockerHubAddress, dockerHubIndex}
		}
		for _, address := range addresses {
			public, err := bundle.ParsePublic(scheme+"://"+address+"/v2", hostFolder(host))
			if err != nil {
				errs = append(errs, e.pos.Errorf("registry %s: %w", host, err))
			}
			all = append(all, public)
		}
	}
	for _, w := range e.wants {
		add(w.host)
	}
	for _, c := range e.choices {
		add(c.host)
	}
	return all, errors.Join(errs...)
}

// notes returns the remarks about the images of a source.
func (e *entry) notes(images []layout) []string {
	var notes []string
	for _, l := range images {
		if l.of.owner == e {
			notes = append(notes, l.found.notes...)
		} else if slices.Contains(e.images(), l.of.image) {
			notes = append(notes, fmt.Sprintf("%s: also in source %s, which has its files", l.of.image, l.of.owner.name))
		}
	}
	for _, host := range slices.Sorted(slices.Values(e.options.PlainHTTP)) {
		notes = append(notes, host+": reached without TLS: only digests in the spec show that it is the right registry")
	}
	return notes
}

// artifacts returns the files of an image.
func (l layout) artifacts() []sources.Artifact {
	var all []sources.Artifact
	vouched := l.found.vouchedFor(l.of.wants)
	by := func(d bundle.Digest) string {
		if vouched[d] {
			return bundle.VouchedIndex
		}
		return l.of.connection()
	}
	blobs := map[bundle.Digest]bool{}
	for _, d := range slices.SortedFunc(maps.Keys(l.found.nodes), compareDigests) {
		n := l.found.nodes[d]
		a := l.manifest(d, d.String(), n.file)
		a.Evidence.Reason, a.Evidence.Vouched, a.Checked = "part of "+l.of.String(), by(d), n.recalled
		all = append(all, a)
		for _, c := range n.children {
			if !c.manifest && !blobs[c.digest] {
				blobs[c.digest] = true
				b := l.blob(c)
				b.Evidence.Vouched = by(c.digest)
				all = append(all, b)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(l.found.tags)) {
		a := l.tagged(l.found.tags[name])
		a.Entries = l.entry(l.found.tags[name].upstream, l.found.tags[name].target, name)
		all = append(all, a)
	}
	for _, d := range slices.SortedFunc(maps.Keys(l.found.referrers), compareDigests) {
		a := l.listing(d)
		for _, attached := range l.found.referrers[d] {
			if !vouched[digestOf(attached)] { // made, of what the registry alone states
				a.Evidence.Vouched = l.of.connection()
			}
		}
		all = append(all, a)
	}
	for _, w := range l.of.wants {
		if w.digest.IsZero() {
			continue
		}
		path := l.of.manifestPath(w.digest.String())
		i := slices.IndexFunc(all, func(a sources.Artifact) bool { return a.File.Path == path })
		all[i].Evidence.Vouched, all[i].Evidence.Reason = bundle.VouchedPinned, w.reason()
		if !l.found.isTagged(w.digest) {
			all[i].Entries = l.entry(w.digest, w.digest, w.digest.String())
		}
	}
	return all
}

func compareDigests(a, b bundle.Digest) int { return cmp.Compare(a.Hex(), b.Hex()) }

// reason returns why a reference is in the mirror, for people.
func (w want) reason() string { return w.ref.String() + ", by " + w.why }

// manifest returns a manifest under a digest or a tag.
func (l layout) manifest(d bundle.Digest, reference string, f bundle.File) sources.Artifact {
	f.Path, f.Annotations = l.of.manifestPath(reference), maps.Clone(f.Annotations)
	return sources.Artifact{
		File:     f,
		Evidence: bundle.Evidence{Path: f.Path, Origin: l.of.address(reference), Vouched: bundle.VouchedIndex},
		Open:     l.openManifest(d),
	}
}

// tagged returns the manifest that the mirror has under a tag.
func (l layout) tagged(t *tag) sources.Artifact {
	n := l.found.nodes[t.target]
	f := bundle.File{Size: n.file.Size, Digest: t.target, MediaType: n.file.MediaType}
	a := l.manifest(t.target, t.name, f)
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
		a.Evidence.Vouched = l.of.connection()
	}
	return a
}

func (l layout) blob(c child) sources.Artifact {
	path := l.of.blobPath(c.digest)
	a := sources.Artifact{
		File:     bundle.File{Path: path, Size: c.size, Digest: c.digest},
		Evidence: bundle.Evidence{Path: path, Origin: l.of.within(areaBlobs, c.digest.String()), Vouched: bundle.VouchedIndex, Reason: "part of " + l.of.String()},
	}
	if len(c.urls) > 0 {
		a.File.Annotations = map[string]string{}
		annotate(a.File.Annotations, urlsKey, " ", c.urls)
		a.Evidence.Origin = fetch.Redact(c.urls[0])
	}
	a.Open = l.openBlob(c)
	return a
}

// listing returns the answer to a question for referrers.
func (l layout) listing(d bundle.Digest) sources.Artifact {
	index := v1.Index{MediaType: v1.MediaTypeImageIndex, Manifests: l.found.referrers[d]}
	index.SchemaVersion = 2
	content, err := json.Marshal(index)
	path, open := l.of.referrersPath(d), sources.InMemory(content, "")
	if err == nil {
		err = rebuild.ReadBack(path, content, readReferrers(index.Manifests))
	}
	if err != nil {
		open = func(context.Context, int64, string) (*bundle.Content, error) { return nil, err }
	}
	return sources.Artifact{
		File:     bundle.File{Path: path, Size: int64(len(content)), Digest: bundle.DigestOf(content), MediaType: v1.MediaTypeImageIndex},
		Evidence: bundle.Evidence{Path: path, Vouched: bundle.VouchedMade, Reason: "attached to " + l.of.String() + "@" + d.String()},
		Open:     open,
	}
}

// openManifest reads a manifest from scratch, or from the registry where plan
// did not read it.
func (l layout) openManifest(d bundle.Digest) bundle.Open {
	return func(ctx context.Context, _ int64, _ string) (*bundle.Content, error) {
		if kept, err := l.r.readAgain(d); kept != nil || err != nil {
			return kept, err
		}
		m, err := l.of.manifestOf(ctx, d)
		if err != nil {
			return nil, err
		}
		return &bundle.Content{Body: io.NopCloser(bytes.NewReader(m.Content))}, nil
	}
}

// openBlob reads a blob from scratch where plan read it, else from where the image is; a foreign
// layer from where its manifest states, if the registry does not have it.
func (l layout) openBlob(c child) bundle.Open {
	return func(ctx context.Context, at int64, validator string) (*bundle.Content, error) {
		if kept, err := l.r.readAgain(c.digest); kept != nil || err != nil {
			return kept, err
		}
		content, err := l.of.blobOf(ctx, c, at, validator)
		if err == nil {
			return content, nil
		}
		errs := []error{err}
		for _, u := range c.urls {
			if ctx.Err() != nil {
				break
			}
			body, err := l.r.env.Fetch.OpenWanted(ctx, u, nil, at, validator, fetch.SHA256(c.digest[:], c.size))
			if err == nil {
				return &bundle.Content{Body: body, At: body.At, Validator: body.Meta.Validator()}, nil
			}
			errs = append(errs, err)
		}
		return nil, errors.Join(errs...)
	}
}

// entry returns what the image is called by a tag, or by a digest where no tag leads to it.
// upstream is what the registry has under the name, target what the mirror has.
func (l layout) entry(upstream, target bundle.Digest, version string) sources.EntryList {
	if isAttachedTag(version) {
		return "" // belongs to another image, whose entry has a note of it
	}
	n := l.found.nodes[upstream]
	e := sources.Entry{
		Name: l.of.String(), Type: bundle.TypeImage, Version: version, Arch: strings.Join(n.platforms, ","), Licence: n.licence,
		Summary: withNote(n.title, l.found.attachedNote(target)), Size: l.found.blobBytes(target),
	}
	if n.artifact {
		e.Type = bundle.TypeArtifact
	}
	return sources.NewEntries(e)
}
