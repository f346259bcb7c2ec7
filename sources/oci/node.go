package oci

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
)

// node is a manifest or an index that is carried, and what of that which it
// leads to is carried as well.
type node struct {
	file     bundle.File // without a path; annotations as they are listed
	index    bool
	children []child
	absent   int // by platforms
	// lost are attestations that the registry does not have.
	lost []string
	// lacking are chosen platforms that the index has no image for.
	lacking []string
	// recalled means that the base listed it: its content was not read.
	recalled bool
	single   bundle.Digest // see singleKey
	said
}

// child is what a node leads to.
type child struct {
	digest    bundle.Digest
	size      int64
	manifest  bool
	mediaType string
	aside     bool     // an attestation in an index: nothing is attached to it
	urls      []string // of a foreign layer
}

// agrees compares a node with the descriptor that led to it. Size is among
// what a client checks.
func (n *node) agrees(told child) error {
	if told.size >= 0 && told.size != n.file.Size {
		return fmt.Errorf("%s, want %d as its descriptor states: %w", bundle.Count(n.file.Size, "byte"), told.size, fetch.ErrUpstream)
	}
	return nil
}

// read makes a node of the bytes of a manifest, and keeps them.
func (g *gatherer) read(content []byte, told string) (*node, error) {
	m, err := parseManifest(content, told)
	switch {
	case errors.Is(err, errSchema1):
		return nil, fmt.Errorf("%w: %w", err, bundle.ErrUsage)
	case err != nil:
		return nil, fmt.Errorf("%w: %w", err, fetch.ErrUpstream)
	}
	n := &node{
		file:  bundle.File{Size: int64(len(content)), Digest: bundle.DigestOf(content), MediaType: m.mediaType, Annotations: map[string]string{}},
		index: m.index, said: m.said(),
	}
	if err := g.of.choose(n, m); err != nil {
		return nil, err
	}
	if len(n.lacking) > 0 {
		n.file.Annotations[lackingKey] = clip(strings.Join(n.lacking, ","))
	}
	refs := make([]string, len(n.children))
	for i, c := range n.children {
		if refs[i] = c.digest.Hex(); c.aside {
			refs[i] += asideMark
		}
	}
	annotate(n.file.Annotations, referencesKey, " ", refs)
	return n, g.r.keep(n.file.Digest, content)
}

// choose decides what of a manifest's content is carried.
func (q *request) choose(n *node, m *manifest) error {
	kept := m.children
	places := make(map[bundle.Digest]int, len(kept))
	if m.index && len(q.platforms) > 0 {
		var absent []v1.Descriptor
		kept, absent = m.chosen(q.platforms)
		n.file.Annotations[platformsKey] = q.platforms.String()
		if err := q.leaveOut(n, absent, kept); err != nil {
			return err
		}
		n.lacking = q.platforms.lacking(kept)
	}
	n.platforms = platformsOf(kept)
	for _, d := range kept {
		c := child{digest: digestOf(d), size: d.Size, mediaType: d.MediaType, manifest: m.index && leadsToManifest(d), aside: isUnknown(d.Platform)}
		if !m.index && isForeign(d) {
			if !q.foreign {
				return fmt.Errorf("layer %s is a foreign one (%s), which registries need not have; foreign-layers: fetch carries it from its URLs: %w", d.Digest, d.MediaType, bundle.ErrUsage)
			}
			c.urls = d.URLs
			if !annotate(map[string]string{}, urlsKey, " ", c.urls) {
				return fmt.Errorf("layer %s: more URLs than can be recorded: %w", d.Digest, fetch.ErrUpstream)
			}
		}
		if i, twice := places[c.digest]; twice {
			if n.children[i].size != c.size {
				return fmt.Errorf("%s is %s in one place and %d in another: %w", c.digest, bundle.Count(c.size, "byte"), n.children[i].size, fetch.ErrUpstream)
			}
			continue
		}
		places[c.digest] = len(n.children)
		n.children = append(n.children, c)
	}
	return nil
}

// leaveOut records what was not chosen, and which one image was.
func (q *request) leaveOut(n *node, absent, kept []v1.Descriptor) error {
	if len(absent) == 0 {
		return nil
	}
	var list []string
	for _, d := range absent {
		list = append(list, absence{digestOf(d), platformName(d.Platform)}.String())
	}
	slices.Sort(list)
	list = slices.Compact(list)
	n.absent = len(list)
	if !annotate(n.file.Annotations, absentKey, ",", list) {
		return fmt.Errorf("an index of %s, all left out: %w", bundle.Count(len(list), "platform"), fetch.ErrUpstream)
	}
	images := 0
	for _, d := range kept {
		if !isUnknown(d.Platform) && leadsToManifest(d) {
			images++
			n.single = digestOf(d)
		}
	}
	switch images {
	case 0:
		var names []string
		for _, d := range absent {
			if !isUnknown(d.Platform) {
				names = append(names, platformName(d.Platform))
			}
		}
		slices.Sort(names)
		return fmt.Errorf("platforms %s: it has %s: %w", q.platforms, strings.Join(slices.Compact(names), ", "), bundle.ErrUsage)
	case 1:
	default:
		n.single = bundle.Digest{}
		return nil
	}
	n.file.Annotations[singleKey] = n.single.Hex()
	return nil
}

// lose leaves out an attestation that an index names and the registry does not have. A
// check inside finds it among what is absent.
func (n *node) lose(c child) error {
	n.children = slices.DeleteFunc(n.children, func(o child) bool { return o.digest == c.digest })
	n.lost = append(n.lost, c.digest.String())
	n.file.Annotations = maps.Clone(n.file.Annotations) // the base may have it too
	list, _ := annotated(n.file.Annotations, absentKey, ",")
	list = append(list, absence{c.digest, lostAttestation}.String())
	slices.Sort(list)
	refs, known := annotated(n.file.Annotations, referencesKey, " ")
	refs = slices.DeleteFunc(refs, func(r string) bool { return strings.TrimSuffix(r, asideMark) == c.digest.Hex() })
	drop(n.file.Annotations, absentKey)
	drop(n.file.Annotations, referencesKey)
	if known {
		annotate(n.file.Annotations, referencesKey, " ", refs)
	}
	if !annotate(n.file.Annotations, absentKey, ",", list) {
		return fmt.Errorf("an index of %s, all left out: %w", bundle.Count(len(list), "manifest"), fetch.ErrUpstream)
	}
	return nil
}

// recall makes a node of what the base lists, if that states all and was chosen
// as it is chosen now. Then the manifest is not fetched: registries count that.
func (g *gatherer) recall(d bundle.Digest) *node {
	recorded, ok := g.r.base[g.of.manifestPath(d.String())]
	if !ok || recorded.File.Digest != d {
		return nil
	}
	what, named := g.r.named[d]
	if !named && g.asked[d] {
		return nil // read once more: what it is called was not recorded
	}
	f := recorded.File
	refs, ok := annotated(f.Annotations, referencesKey, " ")
	if !ok || !isManifestType(f.MediaType) {
		return nil
	}
	n := &node{file: bundle.File{Size: f.Size, Digest: d, MediaType: f.MediaType, Annotations: f.Annotations}, index: isIndexType(f.MediaType), recalled: true, said: what}
	if lacking := f.Annotations[lackingKey]; lacking != "" {
		n.lacking = strings.Split(lacking, ",")
	}
	if n.index && f.Annotations[platformsKey] != g.of.platforms.String() {
		return nil
	}
	absent, err := absences(f.Annotations)
	if err != nil {
		return nil
	}
	for _, a := range absent {
		if a.platform == lostAttestation {
			n.lost = append(n.lost, a.digest.String())
		} else {
			n.absent++
		}
	}
	if hex, ok := f.Annotations[singleKey]; ok {
		if n.single, err = bundle.ParseHex(hex); err != nil {
			return nil
		}
	}
	for _, hex := range refs {
		c, ok := g.recallChild(hex)
		if !ok {
			return nil
		}
		n.children = append(n.children, c)
	}
	return n
}

func (g *gatherer) recallChild(reference string) (child, bool) {
	hex, aside := strings.CutSuffix(reference, asideMark)
	d, err := bundle.ParseHex(hex)
	if err != nil {
		return child{}, false
	}
	if f, ok := g.r.base[g.of.manifestPath(d.String())]; ok {
		return child{digest: d, size: f.File.Size, mediaType: f.File.MediaType, manifest: true, aside: aside}, true
	}
	f, ok := g.r.base[g.of.blobPath(d)]
	if !ok {
		return child{}, false
	}
	c := child{digest: d, size: f.File.Size}
	c.urls, _ = annotated(f.File.Annotations, urlsKey, " ")
	if len(c.urls) > 0 && !g.of.foreign {
		return child{}, false // read again, and refused by name
	}
	return c, true
}
