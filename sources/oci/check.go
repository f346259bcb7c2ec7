package oci

import (
	"context"
	"errors"
	"fmt"
	"strings"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/registry"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/complete"
)

// check asks for everything that a client would: each manifest under each name,
// and whatever it leads to, with its digest and size, in the same image. Images
// that were not chosen from an index are excepted, as its line in the list names it.
func check(ctx context.Context, t sources.Tree) ([]bundle.CheckCount, error) {
	c := &checking{ctx: ctx, tree: t, files: map[string]bundle.File{}}
	for _, r := range t.Repositories() {
		for f, err := range t.Files(r.Name) {
			if err != nil {
				return nil, fmt.Errorf("source %s: %w", r.Name, err)
			}
			c.files[f.Path] = f
		}
	}
	var errs []error
	for _, r := range t.Repositories() {
		for f, err := range t.Files(r.Name) {
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				return nil, err
			}
			if err := c.file(r, f); err != nil {
				errs = append(errs, fmt.Errorf("source %s: %w", r.Name, err))
			}
		}
	}
	return []bundle.CheckCount{
		{Name: "blobs", Count: c.blobs}, {Name: "manifests", Count: c.manifests}, {Name: "platforms left out", Count: c.absent}, {Name: "tags", Count: c.tags},
	}, errors.Join(errs...)
}

// checking holds the lists of all sources. An image may be in several, so the skeleton
// in package complete, which holds the list of one repository, does not fit.
type checking struct {
	ctx                            context.Context
	tree                           sources.Tree
	files                          map[string]bundle.File
	tags, manifests, blobs, absent int64
}

// file checks what is published under one name.
func (c *checking) file(r bundle.Repository, f bundle.File) error {
	dir, area, reference, ok := splitPath(f.Path)
	if !ok {
		return fmt.Errorf("%s/%s: is no path of a registry: %w", r.Mount, f.Path, bundle.ErrCorrupt)
	}
	named, err := bundle.ParseDigest(reference)
	isTag := err != nil
	switch {
	case area == areaBlobs:
		c.blobs++
		fallthrough
	case area == areaManifests && !isTag:
		if named != f.Digest {
			return fmt.Errorf("%s/%s: is %s: %w", r.Mount, f.Path, f.Digest, bundle.ErrCorrupt)
		}
	case area == areaManifests:
		c.tags++
		// The manifest of a tag is there by digest too: clients ask so next.
		if by, ok := c.files[dir+"/"+areaManifests+"/"+f.Digest.String()]; !ok || by.MediaType != f.MediaType {
			return c.missing(r, dir+"/"+areaManifests+"/"+f.Digest.String(), "whoever pulls "+dir+":"+reference)
		}
		return nil
	}
	if area == areaBlobs {
		return nil
	}
	c.manifests++
	return c.manifest(r, dir, f)
}

func (c *checking) missing(r bundle.Repository, path, who string) error {
	return complete.Missing(r.Mount+"/"+path, who)
}

// manifest checks what a manifest, an index or a list of referrers leads to.
func (c *checking) manifest(r bundle.Repository, dir string, f bundle.File) error {
	body, err := c.tree.Open(c.ctx, r.Name, f.Path)
	if errors.Is(err, sources.ErrNotAtHand) {
		return c.recorded(r, dir, f)
	}
	if err != nil {
		return err
	}
	content, err := bundle.ReadAllBounded(body, f.Path, registry.MaxManifest)
	if err := errors.Join(err, body.Close()); err != nil {
		return err
	}
	if have := bundle.DigestOf(content); have != f.Digest {
		return fmt.Errorf("%s/%s: want %s, got %s: %w", r.Mount, f.Path, f.Digest, have, bundle.ErrCorrupt)
	}
	m, err := parseManifest(content, f.MediaType)
	if err != nil {
		return fmt.Errorf("%s/%s: %w: %w", r.Mount, f.Path, err, bundle.ErrCorrupt)
	}
	left, err := absences(f.Annotations)
	if err != nil {
		return fmt.Errorf("%s/%s: %w: %w", r.Mount, f.Path, err, bundle.ErrMalformed)
	}
	absent := map[bundle.Digest]bool{}
	for _, a := range left {
		absent[a.digest] = true
		c.absent++
	}
	var errs []error
	for _, d := range m.children {
		errs = append(errs, c.child(r, dir, f, d, m.index && leadsToManifest(d), absent))
	}
	return errors.Join(errs...)
}

// recorded checks a manifest that was read when the base was made, and is not
// read again: what its line in the list leads to is there.
func (c *checking) recorded(r bundle.Repository, dir string, f bundle.File) error {
	left, err := absences(f.Annotations)
	if err != nil {
		return fmt.Errorf("%s/%s: %w: %w", r.Mount, f.Path, err, bundle.ErrMalformed)
	}
	c.absent += int64(len(left))
	refs, _ := annotated(f.Annotations, referencesKey, " ")
	var errs []error
	for _, reference := range refs {
		d := "sha256:" + strings.TrimSuffix(reference, asideMark)
		_, manifest := c.files[dir+"/"+areaManifests+"/"+d]
		if _, ok := c.files[dir+"/"+areaBlobs+"/"+d]; !ok && !manifest {
			errs = append(errs, c.missing(r, dir+"/"+areaBlobs+"/"+d, "whoever pulls "+f.Path))
		}
	}
	return errors.Join(errs...)
}

// child checks that what a descriptor names is there.
func (c *checking) child(r bundle.Repository, dir string, by bundle.File, d v1.Descriptor, manifest bool, absent map[bundle.Digest]bool) error {
	area := areaBlobs
	if manifest {
		area = areaManifests
	}
	path := dir + "/" + area + "/" + string(d.Digest)
	have, ok := c.files[path]
	switch {
	case !ok && absent[digestOf(d)]:
		return nil
	case !ok:
		return c.missing(r, path, "whoever pulls "+by.Path)
	case have.Size != d.Size:
		return fmt.Errorf("%s/%s: want %s, as %s has it, got %d: %w", r.Mount, path, bundle.Count(d.Size, "byte"), by.Path, have.Size, bundle.ErrCorrupt)
	case manifest && have.MediaType != d.MediaType:
		return fmt.Errorf("%s/%s: want media type %s, as %s has it, got %s: %w", r.Mount, path, d.MediaType, by.Path, have.MediaType, bundle.ErrCorrupt)
	}
	return nil
}
