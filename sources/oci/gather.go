package oci

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/registry"
	"github.com/gapbundle/gapbundle/internal/strictyaml"
	"github.com/gapbundle/gapbundle/sources"
)

// gathering is one image on its way: what all sources of the set want of it,
// and what that leads to.
type gathering struct {
	r *reading
	image
	repo      *registry.Repository
	owner     *entry // the first source that names the image: its files are that one's
	wants     []want
	choices   []choice
	platforms platforms
	foreign   bool // foreign layers are fetched
	attached  bool // what is attached is carried

	nodes     map[bundle.Digest]*node
	walked    map[bundle.Digest]bool
	asked     map[bundle.Digest]bool // by tag or digest: they have a name
	tags      map[string]*tag
	referrers map[bundle.Digest][]v1.Descriptor
	// steps counts the manifests below the reference that is walked.
	steps int
	// plan remarks, in the order in which they came up.
	notes []string
}

// tag is a tag of an image, and why it is here.
type tag struct {
	name string
	// upstream is what the registry has under the tag; target what the mirror
	// has: the same, unless one platform was chosen of several.
	upstream, target bundle.Digest
	want             want
	pinned           bool   // the digest is the spec's
	signed           string // vouched for by a signature, see bundle.VouchedCosign
}

// root is a manifest that is asked for by tag or digest.
type root struct {
	digest bundle.Digest
	told   child
	want   want
}

// gather finds everything that belongs to the image.
func (g *gathering) gather(ctx context.Context) error {
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
	g.settleTags()
	if err := g.verify(ctx, roots); err != nil {
		return err
	}
	if g.attached {
		return g.attach(ctx, roots)
	}
	return nil
}

// at gives an error the place of the reference that it came up for.
func (w want) at(err error) error {
	return w.pos.Wrap(fmt.Errorf("source %s: %s: %w", w.entry.name, w.ref, err))
}

// chooseTags adds the tags that are chosen by rules to those that are named.
func (g *gathering) chooseTags(ctx context.Context) ([]want, error) {
	wants := slices.Clone(g.wants)
	if len(g.choices) == 0 {
		return wants, nil
	}
	tags, err := g.repo.Tags(ctx)
	if err != nil {
		c := g.choices[0]
		return nil, c.pos.Wrap(fmt.Errorf("source %s: %s: %w", c.entry.name, g.image, err))
	}
	var errs []error
	for _, c := range g.choices {
		chosen := c.choose(tags)
		if len(chosen) == 0 {
			errs = append(errs, c.pos.Errorf("source %s: %s: no tag of its %d is chosen by %s", c.entry.name, g.image, len(tags), c.selection))
		}
		for _, name := range chosen {
			wants = append(wants, want{ref: ref{image: g.image, tag: name}, entry: c.entry, pos: c.pos, why: "tags " + c.selection.String()})
		}
	}
	return wants, strictyaml.Join(errs...)
}

// resolve asks what each tag is now, once, and gives what is wanted by digest.
func (g *gathering) resolve(ctx context.Context, wants []want) ([]root, error) {
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
		known := g.tags[w.tag]
		if known == nil {
			g.tags[w.tag] = &tag{name: w.tag, upstream: roots[i].digest, want: w, pinned: !w.digest.IsZero()}
		} else if known.upstream != roots[i].digest {
			// Two names for one tag, pinned to different digests, or one that moved between two looks.
			twice = append(twice, w.at(fmt.Errorf("is %s, and %s by %s: %w", roots[i].digest, known.upstream, known.want.why, bundle.ErrUsage)))
		}
	}
	return roots, strictyaml.Join(twice...)
}

func (g *gathering) resolveOne(ctx context.Context, w want) (root, error) {
	r := root{digest: w.digest, told: child{size: -1}, want: w}
	if !w.digest.IsZero() {
		return r, nil
	}
	d, err := g.repo.Resolve(ctx, w.tag)
	if err != nil {
		return r, w.at(err)
	}
	if isSchema1(d.MediaType) {
		return r, w.at(fmt.Errorf("%w: %w", errSchema1, bundle.ErrUsage))
	}
	if r.digest, err = bundle.ParseDigest(d.Digest.String()); err != nil {
		return r, w.at(fmt.Errorf("%s: digest %.80q: want sha256: %w", g.image, d.Digest, fetch.ErrUpstream))
	}
	r.told = child{digest: r.digest, size: d.Size, mediaType: d.MediaType, manifest: true}
	return r, nil
}

// walk reads a manifest and everything below it.
func (g *gathering) walk(ctx context.Context, d bundle.Digest, told child, depth int) error {
	switch {
	case g.walked[d]:
		if err := g.nodes[d].agrees(told); err != nil {
			return fmt.Errorf("%s: manifest %s: %w", g.image, d, err)
		}
		return nil
	case depth > maxDepth:
		return fmt.Errorf("%s: indexes within indexes, more than %d deep: %w", g.image, maxDepth, fetch.ErrUpstream)
	case g.steps > maxManifests:
		return fmt.Errorf("%s: more than %d manifests: %w", g.image, maxManifests, fetch.ErrUpstream)
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
func (g *gathering) settleTags() {
	if status := g.repo.NoReferrers(); status != 0 {
		g.notes = append(g.notes, fmt.Sprintf("%s: the registry answers %d to the question for referrers: only those under the tag sha256-<digest> were found; signatures: none does not ask", g.image, status))
	}
	for _, name := range slices.Sorted(maps.Keys(g.tags)) {
		t := g.tags[name]
		n := g.nodes[t.upstream]
		t.target = t.upstream
		if len(n.lost) > 0 {
			g.notes = append(g.notes, fmt.Sprintf("%s:%s: its index names attestations that the registry does not have, and nobody needs them to run it: left out are %s", g.image, name, strings.Join(n.lost, ", ")))
		}
		if n.absent > 0 {
			if !n.single.IsZero() {
				t.target = n.single
			}
			left := fmt.Sprintf("%s:%s: %d of its images are left out by platforms %s", g.image, name, n.absent, g.platforms)
			if t.target != t.upstream {
				left += fmt.Sprintf("; the tag is %s here, that of the one platform", t.target)
			}
			g.notes = append(g.notes, left)
		}
		if len(n.lacking) > 0 {
			g.notes = append(g.notes, fmt.Sprintf("%s:%s: has no image for %s", g.image, name, strings.Join(n.lacking, ", ")))
		}
		if before, ok := g.r.base[g.manifestPath(name)]; ok {
			was := before.File.Digest
			if hex, ok := before.File.Annotations[resolvedKey]; ok {
				was, _ = bundle.ParseHex(hex) // zero differs
			}
			if was != t.upstream {
				g.notes = append(g.notes, fmt.Sprintf("%s:%s: moved from %s to %s", g.image, name, was, t.upstream))
			}
		}
	}
}

// node gives the manifest with a digest: one that was read already, one that
// the base has listed with all it leads to, or else the registry's.
func (g *gathering) node(ctx context.Context, d bundle.Digest, told child) (*node, error) {
	n := g.recall(d)
	if n == nil {
		m, err := g.repo.Manifest(ctx, d.String())
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
		return nil, fmt.Errorf("%s: manifest %s: %w", g.image, d, err)
	}
	g.nodes[d] = n
	return n, nil
}

// errBadBlob: a blob that is not what its descriptor says, or too large.
var errBadBlob = errors.New("not what its descriptor says")

// fetchBlob reads a small blob, checked.
func (g *gathering) fetchBlob(ctx context.Context, d v1.Descriptor) (_ []byte, err error) {
	if d.Size > maxSignature {
		return nil, fmt.Errorf("%s: blob %s: %d bytes, at most %d: %w: %w", g.image, d.Digest, d.Size, maxSignature, errBadBlob, fetch.ErrUpstream)
	}
	body, err := g.repo.Blob(ctx, d.Digest, 0, "")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, body.Close()) }()
	b, err := bundle.ReadAllBounded(body, d.Digest.String(), maxSignature)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w: %w", g.image, err, errBadBlob, fetch.ErrUpstream)
	}
	if have := digest.FromBytes(b); have != d.Digest {
		return nil, fmt.Errorf("%s: blob: want %s, got %s: %w: %w", g.image, d.Digest, have, errBadBlob, fetch.ErrUpstream)
	}
	return b, nil
}

// imagesOf makes a gathering of everything that the set wants of each image, in
// the order of their names.
func imagesOf(r *reading, entries []*entry) ([]*gathering, error) {
	byImage := map[image]*gathering{}
	of := func(i image, e *entry) *gathering {
		g := byImage[i]
		if g == nil {
			g = &gathering{
				r: r, image: i, owner: e, platforms: e.options.Platforms,
				nodes: map[bundle.Digest]*node{}, walked: map[bundle.Digest]bool{}, asked: map[bundle.Digest]bool{}, tags: map[string]*tag{},
				referrers: map[bundle.Digest][]v1.Descriptor{},
			}
			byImage[i] = g
		} else {
			g.platforms = g.platforms.union(e.options.Platforms)
		}
		g.foreign = g.foreign || e.options.ForeignLayers == foreignFetch
		g.attached = g.attached || e.options.Signatures != signaturesNone
		return g
	}
	for _, e := range entries {
		for _, w := range e.wants {
			g := of(w.image, e)
			g.wants = append(g.wants, w)
		}
		for _, c := range e.choices {
			g := of(c.image, e)
			g.choices = append(g.choices, c)
		}
	}
	all := slices.SortedFunc(maps.Values(byImage), func(a, b *gathering) int {
		return cmp.Or(strings.Compare(a.dir(), b.dir()), strings.Compare(a.String(), b.String()))
	})
	var errs []error
	for i, g := range all {
		var err error
		if g.repo, err = r.client.Repository(g.String()); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w: %w", g.image, err, bundle.ErrUsage))
		}
		if i > 0 && all[i-1].dir() == g.dir() {
			errs = append(errs, fmt.Errorf("%s and %s: would have one name in the mirror: %w", all[i-1].image, g.image, bundle.ErrUsage))
		}
	}
	return all, strictyaml.Join(errs...)
}
