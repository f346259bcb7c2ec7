package oci

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/strictyaml"
	"github.com/gapbundle/gapbundle/sources"
)

// gatherer reads one image from its registry, or from what the base recorded of it.
type gatherer struct {
	r     *reading
	of    *request
	found *graph

	walked map[bundle.Digest]bool
	asked  map[bundle.Digest]bool // by tag or digest: they have a name
	// steps counts the manifests below the reference that is walked.
	steps int
	// attached counts the referrers of the image.
	attached int
}

// gather finds everything that belongs to an image.
func gather(ctx context.Context, r *reading, of *request) (*graph, error) {
	g := &gatherer{
		r: r, of: of, walked: map[bundle.Digest]bool{}, asked: map[bundle.Digest]bool{},
		found: &graph{nodes: map[bundle.Digest]*node{}, tags: map[string]*tag{}, referrers: map[bundle.Digest][]v1.Descriptor{}},
	}
	return g.found, g.gather(ctx)
}

func (g *gatherer) gather(ctx context.Context) error {
	wants, err := g.chooseTags(ctx)
	if err != nil {
		return err
	}
	roots, err := g.resolve(ctx, wants)
	if err != nil {
		return err
	}
	for _, r := range roots {
		g.asked[r.digest] = true
	}
	var errs []error
	for _, r := range roots {
		g.steps = 0
		if err := g.walk(ctx, r.digest, r.told, 0); err != nil {
			errs = append(errs, r.want.at(err))
		}
	}
	if err := strictyaml.Join(errs...); err != nil {
		return err
	}
	if err := g.whole(); err != nil {
		return err
	}
	if err := readPlatforms(ctx, g, roots); err != nil {
		return err
	}
	g.settleTags()
	if err := g.verify(ctx, roots); err != nil {
		return err
	}
	if g.of.attached {
		return g.attach(ctx, roots)
	}
	return nil
}

// chooseTags adds the tags that are chosen by rules to those that are named.
func (g *gatherer) chooseTags(ctx context.Context) ([]want, error) {
	wants := slices.Clone(g.of.wants)
	if len(g.of.choices) == 0 {
		return wants, nil
	}
	tags, err := g.of.repo.Tags(ctx)
	if err != nil {
		c := g.of.choices[0]
		return nil, c.pos.Wrap(fmt.Errorf("source %s: %s: %w", c.entry.name, g.of.image, err))
	}
	var errs []error
	for _, c := range g.of.choices {
		chosen := c.choose(tags)
		if len(chosen) == 0 {
			errs = append(errs, c.pos.Errorf("source %s: %s: no tag is chosen by %s; it has %d: %s", c.entry.name, g.of.image, c.selection, len(tags), someOf(tags)))
		}
		for _, name := range chosen {
			wants = append(wants, want{ref: ref{image: g.of.image, tag: name}, entry: c.entry, pos: c.pos, why: "tags " + c.selection.String()})
		}
	}
	return wants, strictyaml.Join(errs...)
}

// resolve asks what each tag is now, once, and returns what is wanted by digest.
func (g *gatherer) resolve(ctx context.Context, wants []want) ([]root, error) {
	roots := make([]root, len(wants))
	first := map[ref]int{} // what several sources name is asked for once
	var once []int
	for i, w := range wants {
		if _, ok := first[w.ref]; !ok {
			first[w.ref], once = i, append(once, i)
		}
	}
	err := sources.Each(ctx, len(once), func(ctx context.Context, n int) (err error) {
		roots[once[n]], err = g.resolveOne(ctx, wants[once[n]])
		return err
	})
	for i, w := range wants {
		roots[i] = roots[first[w.ref]]
		roots[i].want = w
	}
	if err != nil {
		return nil, err
	}
	var twice []error
	for i, w := range wants {
		if w.tag == "" {
			continue
		}
		known := g.found.tags[w.tag]
		if known == nil {
			g.found.tags[w.tag] = &tag{name: w.tag, upstream: roots[i].digest, want: w, pinned: !w.digest.IsZero()}
		} else if known.upstream != roots[i].digest {
			// Two names for one tag, pinned to different digests, or one that moved between two looks.
			twice = append(twice, w.at(fmt.Errorf("is %s, and %s by %s: %w", roots[i].digest, known.upstream, known.want.why, bundle.ErrUsage)))
		}
	}
	return roots, strictyaml.Join(twice...)
}

func (g *gatherer) resolveOne(ctx context.Context, w want) (root, error) {
	r := root{digest: w.digest, told: child{size: -1}, want: w}
	if !w.digest.IsZero() {
		return r, nil
	}
	d, err := g.of.descriptorOf(ctx, w)
	if err != nil {
		return r, w.at(err)
	}
	if isSchema1(d.MediaType) {
		return r, w.at(fmt.Errorf("%w: %w", errSchema1, bundle.ErrUsage))
	}
	if r.digest, err = bundle.ParseDigest(d.Digest.String()); err != nil {
		return r, w.at(fmt.Errorf("%s: digest %.80q: want sha256: %w", g.of.image, d.Digest, fetch.ErrUpstream))
	}
	r.told = child{digest: r.digest, size: d.Size, mediaType: d.MediaType, manifest: true}
	return r, nil
}

// walk reads a manifest and everything below it.
func (g *gatherer) walk(ctx context.Context, d bundle.Digest, told child, depth int) error {
	switch {
	case g.walked[d]:
		if err := g.found.nodes[d].agrees(told); err != nil {
			return fmt.Errorf("%s: manifest %s: %w", g.of.image, d, err)
		}
		return nil
	case depth > maxDepth:
		return fmt.Errorf("%s: indexes within indexes, more than %d deep: %w", g.of.image, maxDepth, fetch.ErrUpstream)
	case g.steps > maxManifests:
		return fmt.Errorf("%s: more than %d manifests: %w", g.of.image, maxManifests, fetch.ErrUpstream)
	}
	n, err := g.node(ctx, d, told)
	if err != nil {
		return err
	}
	g.walked[d] = true
	g.steps++
	var errs []error
	for _, c := range slices.Clone(n.children) {
		if !c.manifest {
			continue
		}
		err := g.walk(ctx, c.digest, c, depth+1)
		if c.aside && !g.walked[c.digest] && isAbsent(err) {
			err = n.lose(c)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// settleTags decides what the mirror has under each tag.
func (g *gatherer) settleTags() {
	if status := g.of.repo.NoReferrers(); status != 0 {
		g.found.notes = append(g.found.notes, fmt.Sprintf("%s: the registry answers %d to the question for referrers: only those under the tag sha256-<digest> were found; signatures: none does not ask", g.of.image, status))
	}
	for _, name := range slices.Sorted(maps.Keys(g.found.tags)) {
		t := g.found.tags[name]
		n := g.found.nodes[t.upstream]
		t.target = t.upstream
		if len(n.lost) > 0 {
			g.found.notes = append(g.found.notes, fmt.Sprintf("%s:%s: its index names attestations that the registry does not have, and nobody needs them to run it: left out are %s", g.of.image, name, strings.Join(n.lost, ", ")))
		}
		if n.absent > 0 {
			if !n.single.IsZero() {
				t.target = n.single
			}
			left := fmt.Sprintf("%s:%s: %d of its images are left out by platforms %s", g.of.image, name, n.absent, g.of.platforms)
			if t.target != t.upstream {
				left += fmt.Sprintf("; the tag is %s here, that of the one platform", t.target)
			}
			g.found.notes = append(g.found.notes, left)
		}
		if len(n.lacking) > 0 {
			g.found.notes = append(g.found.notes, fmt.Sprintf("%s:%s: has no image for %s", g.of.image, name, strings.Join(n.lacking, ", ")))
		}
		if before, ok := g.r.base[g.of.manifestPath(name)]; ok {
			was := before.File.Digest
			if hex, ok := before.File.Annotations[resolvedKey]; ok {
				was, _ = bundle.ParseHex(hex) // zero differs
			}
			if was != t.upstream {
				g.found.notes = append(g.found.notes, fmt.Sprintf("%s:%s: moved from %s to %s", g.of.image, name, was, t.upstream))
			}
		}
	}
}

// node returns the manifest with a digest: one that was read already, one that
// the base has listed with all it leads to, or else the registry's.
func (g *gatherer) node(ctx context.Context, d bundle.Digest, told child) (*node, error) {
	n := g.recall(d)
	if n == nil {
		m, err := g.of.manifestOf(ctx, d)
		if err != nil {
			return nil, err
		}
		mediaType := told.mediaType
		if mediaType == "" || isSchema1(m.Descriptor.MediaType) {
			mediaType = m.Descriptor.MediaType
		}
		if n, err = g.read(m.Content, mediaType); err != nil {
			return nil, fmt.Errorf("%s: %w", m.URL, err)
		}
	}
	if err := n.agrees(told); err != nil {
		return nil, fmt.Errorf("%s: manifest %s: %w", g.of.image, d, err)
	}
	g.found.nodes[d] = n
	return n, nil
}
