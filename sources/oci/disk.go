package oci

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/registry"
	"github.com/gapbundle/gapbundle/internal/strictyaml"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/oci/local"
)

// layoutEntry is an image layout of the spec.
type layoutEntry struct {
	Pos   strictyaml.Pos
	Dir   string `yaml:"dir,required,scalar" doc:"Folder of an OCI image layout."`
	Image string `yaml:"image" doc:"The one image of it that is carried: its name there, or its digest; absent: all."`
	As    string `yaml:"as" doc:"What the image is called in the mirror, as in registry.lan/team/app:v1; without a tag: the repository of every image, which keeps its own tag."`
}

// archiveEntry is an archive of images of the spec.
type archiveEntry struct {
	Pos   strictyaml.Pos
	File  string `yaml:"file,required,scalar" doc:"Archive that docker save, podman save or skopeo wrote, packed or not."`
	Image string `yaml:"image" doc:"The one image of it that is carried: its name there, or its digest; absent: all."`
	As    string `yaml:"as" doc:"What the image is called in the mirror, as in registry.lan/team/app:v1; without a tag: the repository of every image, which keeps its own tag."`
}

// stored is a layout or an archive that an entry names.
type stored struct {
	pos   strictyaml.Pos
	what  string // for people: "archive images.tar"
	image string // the one that is carried; "": all
	as    *ref   // its name; nil: its own
	open  func(env *sources.Env, scratch string) (*local.Store, error)
}

// addStored checks what the spec states about layouts and archives.
func (e *entry) addStored() error {
	var errs []error
	add := func(s stored, as string) {
		if as != "" {
			r, err := parseName(as)
			if err != nil {
				errs = append(errs, s.pos.Errorf("as: %w", err))
				return
			}
			s.as = &r
		}
		e.stored = append(e.stored, s)
	}
	for _, l := range e.options.Layouts {
		dir, what := sources.Within(e.dir, l.Dir), "layout "+l.Dir
		add(stored{pos: l.Pos, what: what, image: l.Image, open: func(*sources.Env, string) (*local.Store, error) {
			return local.Layout(dir, what)
		}}, l.As)
	}
	for _, a := range e.options.Archives {
		file, what := sources.Within(e.dir, a.File), "archive "+a.File
		add(stored{pos: a.Pos, what: what, image: a.Image, open: func(env *sources.Env, scratch string) (*local.Store, error) {
			return local.Archive(file, what, env.Scratch, scratch)
		}}, a.As)
	}
	if len(e.stored) > 0 && e.options.Signatures == signaturesVerify {
		errs = append(errs, e.pos.Errorf("signatures: verify: asks a registry, and layouts and archives are none: put them into a source of their own"))
	}
	return strictyaml.Join(errs...)
}

// parseName reads a reference whose tag may be missing, and then stays so.
func parseName(s string) (ref, error) {
	if i, err := parseImage(s); err == nil {
		return ref{image: i}, nil
	}
	r, err := parseRef(s)
	if err == nil && !r.digest.IsZero() {
		err = fmt.Errorf("%q: want a name with a tag or without one, and no digest: %w", s, bundle.ErrUsage)
	}
	return r, err
}

// held is an image of a layout or an archive that is wanted.
type held struct {
	store      *local.Store
	descriptor v1.Descriptor
}

// withStored returns the entries with a want for each image of their layouts and archives, and
// how many bytes of scratch they take. An entry that has some is another one than before, so
// that a source can be planned again.
func withStored(env *sources.Env, entries []*entry) (all []*entry, scratch int64, err error) {
	var errs []error
	byRef := map[ref]want{}
	opened := 0
	for _, e := range entries {
		if len(e.stored) == 0 {
			all = append(all, e)
			continue
		}
		e = e.clone()
		all = append(all, e)
		for _, s := range e.stored {
			opened++
			store, err := s.open(env, fmt.Sprintf("%s-archive-%d", Name, opened))
			if err != nil {
				errs = append(errs, sources.InSource(s.pos, e.name, err))
				continue
			}
			scratch += store.Unpacked()
			wants, err := s.wants(e, store)
			errs = append(errs, err)
			for _, w := range wants {
				first, twice := byRef[w.ref]
				if twice && first.held.descriptor.Digest != w.held.descriptor.Digest {
					errs = append(errs, w.at(fmt.Errorf("is %s in %s, and %s in %s: %w", first.held.descriptor.Digest, first.why, w.held.descriptor.Digest, w.why, bundle.ErrUsage)))
				}
				byRef[w.ref] = w
				e.wants = append(e.wants, w)
			}
		}
	}
	return all, scratch, strictyaml.Join(errs...)
}

// clone returns a copy whose wants and choices are its own.
func (e *entry) clone() *entry {
	c := *e
	c.wants, c.choices = slices.Clone(e.wants), slices.Clone(e.choices)
	for i := range c.wants {
		c.wants[i].entry = &c
	}
	for i := range c.choices {
		c.choices[i].entry = &c
	}
	return &c
}

// wants returns the images of a layout or an archive that are carried, by the names that they
// have in the mirror.
func (s *stored) wants(e *entry, store *local.Store) ([]want, error) {
	var chosen []local.Image
	var names []string
	for _, i := range store.Images() {
		if s.image == "" && isAttached(store, i) {
			continue // comes along with the image that it belongs to
		}
		names = append(names, calledThere(i))
		if s.image == "" || s.image == i.Name || s.image == string(i.Descriptor.Digest) {
			chosen = append(chosen, i)
		}
	}
	if len(chosen) == 0 {
		return nil, s.pos.Errorf("source %s: %s: no image %q in it, there are %s", e.name, s.what, s.image, someOf(names))
	}
	if s.as != nil && s.as.tag != "" && slices.ContainsFunc(chosen, func(i local.Image) bool { return i.Descriptor.Digest != chosen[0].Descriptor.Digest }) {
		return nil, s.pos.Errorf("source %s: %s: as names one image, and there are %s: set image too", e.name, s.what, someOf(names))
	}
	var all []want
	var errs []error
	for _, i := range chosen {
		r, err := s.name(i, len(chosen) == 1)
		if err != nil {
			errs = append(errs, s.pos.Errorf("source %s: %s: %w", e.name, s.what, err))
			continue
		}
		all = append(all, want{ref: r, entry: e, pos: s.pos, why: s.what, held: &held{store, i.Descriptor}})
	}
	return all, strictyaml.Join(errs...)
}

// name returns an image's name in the mirror. only means that the store has no other image.
func (s *stored) name(i local.Image, only bool) (ref, error) {
	if s.as != nil && s.as.tag != "" {
		return *s.as, nil
	}
	// A name without a colon and a slash is a tag, as skopeo writes it.
	tag, whole := i.Name, strings.ContainsAny(i.Name, ":/")
	var r ref
	if whole {
		var err error
		if r, err = parseRef(i.Name); err != nil {
			return r, err
		}
		tag = r.tag
	}
	switch {
	case s.as != nil && tag == "" && !only:
		return r, fmt.Errorf("%s has no tag of its own: set image, and as with a tag: %w", calledThere(i), bundle.ErrUsage)
	case s.as != nil && tag == "":
		tag = "latest"
	case s.as == nil && !whole:
		return r, fmt.Errorf("%s has no name of a repository there: set as: REGISTRY/NAME: %w", calledThere(i), bundle.ErrUsage)
	}
	if s.as != nil {
		r.image = s.as.image
	}
	return parseRef(r.image.String() + ":" + tag)
}

// calledThere returns an image by its name in the layout or the archive, or by its digest.
func calledThere(i local.Image) string {
	if i.Name == "" {
		return string(i.Descriptor.Digest)
	}
	return fmt.Sprintf("%q", i.Name)
}

// someOf lists names, as many as fit on a few lines.
func someOf(names []string) string {
	const most = 20
	slices.Sort(names)
	names = slices.Compact(names)
	if len(names) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
}

// isAttached reports whether an image of a layout belongs to another one: by the tag that
// cosign writes it, or by its subject.
func isAttached(store *local.Store, i local.Image) bool {
	if i.Name != "" {
		return isAttachedTag(i.Name)
	}
	_, subject, err := subjectIn(store, i)
	return err == nil && subject != nil
}

// subjectIn reads the manifest of an image of a layout, and returns it with its subject.
func subjectIn(store *local.Store, i local.Image) (*manifest, *v1.Descriptor, error) {
	content, err := store.Manifest(digestOf(i.Descriptor))
	if err != nil {
		return nil, nil, err
	}
	m, err := parseManifest(content, i.Descriptor.MediaType)
	if err != nil {
		return nil, nil, err
	}
	return m, m.subject, nil
}

// attachedInStores finds the attachments of a manifest in the layouts of its image.
func (q *request) attachedInStores(d bundle.Digest) attachments {
	found := attachments{tags: map[string]v1.Descriptor{}}
	for _, s := range q.stores {
		for _, i := range s.Images() {
			if i.Name != "" {
				if strings.HasPrefix(i.Name, attachedTag(d, "")) {
					found.tags[i.Name] = i.Descriptor
				}
				continue
			}
			m, subject, err := subjectIn(s, i)
			if err != nil || subject == nil || digestOf(*subject) != d {
				continue
			}
			found.referrers = append(found.referrers, v1.Descriptor{
				MediaType: m.mediaType, Digest: i.Descriptor.Digest, Size: i.Descriptor.Size, ArtifactType: m.artifactType, Annotations: m.annotations,
			})
		}
	}
	return found
}

// oneOrigin refuses an image that one source takes from its registry and another one from a
// layout or an archive: its tags and blobs would be a mix of both.
func (q *request) oneOrigin() error {
	if len(q.stores) == 0 {
		return nil
	}
	for _, c := range q.choices {
		return c.pos.Errorf("source %s: %s: is in %s too: set as there", c.entry.name, q.image, q.stores[0])
	}
	for _, w := range q.wants {
		if w.held == nil {
			return w.at(fmt.Errorf("is in %s too: set as there: %w", q.stores[0], bundle.ErrUsage))
		}
	}
	return nil
}

// descriptorOf asks what a tag leads to.
func (q *request) descriptorOf(ctx context.Context, w want) (v1.Descriptor, error) {
	if w.held != nil {
		return w.held.descriptor, nil
	}
	return q.repo.Resolve(ctx, w.tag)
}

// manifestOf reads a manifest by its digest, from where the image is.
func (q *request) manifestOf(ctx context.Context, d bundle.Digest) (*registry.Manifest, error) {
	if len(q.stores) == 0 {
		return q.repo.Manifest(ctx, d.String())
	}
	var m *registry.Manifest
	err := q.inStores(func(s *local.Store) error {
		content, err := s.Manifest(d)
		m = &registry.Manifest{Descriptor: v1.Descriptor{Digest: digest.Digest(d.String()), Size: int64(len(content))}, Content: content, URL: s.String()}
		return err
	})
	return m, err
}

// blobOf opens a blob, from where the image is.
func (q *request) blobOf(ctx context.Context, c child, at int64, validator string) (*bundle.Content, error) {
	if len(q.stores) == 0 {
		body, err := q.repo.Blob(ctx, digest.NewDigestFromEncoded(digest.SHA256, c.digest.Hex()), c.size, at, validator)
		if err != nil {
			return nil, err
		}
		return &bundle.Content{Body: body, At: body.At, Validator: body.Meta.Validator()}, nil
	}
	var content *bundle.Content
	err := q.inStores(func(s *local.Store) (err error) {
		content, err = s.Blob(c.digest, at)
		return err
	})
	return content, err
}

// inStores calls read for the layouts and archives of the image until one of them succeeds.
func (q *request) inStores(read func(*local.Store) error) error {
	var errs []error
	for _, s := range q.stores {
		err := read(s)
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// whole looks for the blobs of an image in its layouts and archives: what is missing there is
// told before anything is written.
func (g *gatherer) whole() error {
	if len(g.of.stores) == 0 {
		return nil
	}
	var errs []error
	for _, n := range g.found.nodes {
		for _, c := range n.children {
			if c.manifest || len(c.urls) > 0 {
				continue
			}
			errs = append(errs, g.of.inStores(func(s *local.Store) error {
				size, err := s.Size(c.digest)
				if err == nil && size != c.size {
					err = fmt.Errorf("%s: %s: want %s, as manifest %s says, got %d: %w", s, c.digest, bundle.Count(c.size, "byte"), n.file.Digest, size, fetch.ErrUpstream)
				}
				return err
			}))
		}
	}
	return strictyaml.Join(errs...)
}
