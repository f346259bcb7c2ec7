package oci

import (
	"strings"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/gapbundle/gapbundle/bundle"
)

// graph is what is carried of one image: the manifests, what they lead to, and the
// names that lead to them.
type graph struct {
	nodes     map[bundle.Digest]*node
	tags      map[string]*tag
	referrers map[bundle.Digest][]v1.Descriptor
	// notes are the plan's remarks, in the order in which they came up.
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

// root is a manifest that is requested by tag or digest.
type root struct {
	digest bundle.Digest
	told   child
	want   want
}

// vouchedFor returns everything below a digest that the spec pins or that a signature
// covers. There the registry is not what decides about the content.
func (g *graph) vouchedFor(wants []want) map[bundle.Digest]bool {
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
	for _, w := range wants {
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

// isTagged reports whether a tag leads to a manifest.
func (g *graph) isTagged(d bundle.Digest) bool {
	for _, t := range g.tags {
		if t.target == d || t.upstream == d {
			return true
		}
	}
	return false
}

// below calls visit for a manifest and everything that it leads to, each once.
func (g *graph) below(d bundle.Digest, visit func(d bundle.Digest, n *node)) {
	seen := map[bundle.Digest]bool{}
	var walk func(d bundle.Digest)
	walk = func(d bundle.Digest) {
		n := g.nodes[d]
		if n == nil || seen[d] {
			return
		}
		seen[d] = true
		visit(d, n)
		for _, c := range n.children {
			if c.manifest {
				walk(c.digest)
			}
		}
	}
	walk(d)
}

// blobBytes returns the size of the distinct blobs of an image.
func (g *graph) blobBytes(d bundle.Digest) (size int64) {
	seen := map[bundle.Digest]bool{}
	g.below(d, func(_ bundle.Digest, n *node) {
		for _, c := range n.children {
			if !c.manifest && !seen[c.digest] {
				seen[c.digest] = true
				size += c.size
			}
		}
	})
	return size
}

// attachedNote counts what is attached to an image and to what it leads to.
func (g *graph) attachedNote(d bundle.Digest) string {
	var signatures, sboms, others int
	g.below(d, func(d bundle.Digest, n *node) {
		for suffix, count := range map[string]*int{suffixSignature: &signatures, suffixSBOM: &sboms, suffixAttestation: &others} {
			if g.tags[attachedTag(d, suffix)] != nil {
				*count++
			}
		}
		for _, r := range g.referrers[d] {
			switch kind := strings.ToLower(r.ArtifactType); {
			case strings.Contains(kind, "spdx"), strings.Contains(kind, "cyclonedx"), strings.Contains(kind, "sbom"):
				sboms++
			case strings.Contains(kind, "signature"), strings.Contains(kind, "cosign"), strings.Contains(kind, "notary"):
				signatures++
			default:
				others++
			}
		}
		for _, c := range n.children {
			if c.aside {
				others++
			}
		}
	})
	var parts []string
	for _, part := range []struct {
		n    int
		what string
	}{{signatures, "signature"}, {sboms, "SBOM"}, {others, "attestation"}} {
		if part.n > 0 {
			parts = append(parts, bundle.Count(part.n, part.what))
		}
	}
	return strings.Join(parts, ", ")
}
