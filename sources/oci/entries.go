package oci

import (
	"fmt"
	"slices"
	"strings"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources"
)

// said is what a manifest says of itself for people. It is kept with the names that the
// base recorded, so that a manifest that has not changed is not read for it.
type said struct {
	// platforms are those of the images of an index that are carried. A manifest of
	// one image does not say its own: its config does, which a plan does not read.
	platforms      []string
	title, licence string
	artifact       bool // no image: a chart, a policy and the like
}

// said reads what a manifest says. What a config's media type does not call an image is
// an artifact (image specification, "Guidelines for Artifact Usage").
func (m *manifest) said() said {
	s := said{title: m.annotations[v1.AnnotationTitle], licence: m.annotations[v1.AnnotationLicenses]}
	switch m.artifactType {
	case "", v1.MediaTypeImageConfig, dockerConfig:
	default:
		s.artifact = true
	}
	return s
}

// dockerConfig is the media type of the config of an image in Docker's schema 2.
const dockerConfig = "application/vnd.docker.container.image.v1+json"

// platformsOf are the platforms of the images of an index, sorted.
func platformsOf(kept []v1.Descriptor) []string {
	var all []string
	for _, d := range kept {
		if leadsToManifest(d) && !isUnknown(d.Platform) && d.Platform != nil {
			all = append(all, platformName(d.Platform))
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// recallNames reads what the base recorded of a source by name.
func (r *reading) recallNames(e *entry) error {
	entries, ok := r.env.Entries(e.name)
	if !ok {
		return nil
	}
	for at, err := range entries {
		if err != nil {
			return err
		}
		d := r.base[at.Path].File.Digest
		if hex, ok := r.base[at.Path].File.Annotations[resolvedKey]; ok {
			var err error
			if d, err = bundle.ParseHex(hex); err != nil {
				continue // read again
			}
		}
		for one := range at.Entries.All() {
			s := said{licence: one.Licence, artifact: one.Type == bundle.TypeArtifact}
			if s.title, _, _ = cutNote(one.Summary); one.Arch != "" {
				s.platforms = strings.Split(one.Arch, ",")
			}
			r.named[d] = s
		}
	}
	return nil
}

// entry is what the image is called by a tag, or by a digest where no tag leads to it.
// upstream is what the registry has under the name, target what the mirror has.
func (g *gathering) entry(upstream, target bundle.Digest, version string) sources.EntryList {
	if isAttachedTag(version) {
		return "" // belongs to another image, whose entry has a note of it
	}
	n := g.nodes[upstream]
	e := sources.Entry{
		Name: g.String(), Type: bundle.TypeImage, Version: version, Arch: strings.Join(n.platforms, ","), Licence: n.licence,
		Summary: withNote(n.title, g.attachedNote(target)), Size: g.blobBytes(target),
	}
	if n.artifact {
		e.Type = bundle.TypeArtifact
	}
	return sources.NewEntries(e)
}

// isTagged reports whether a tag leads to a manifest.
func (g *gathering) isTagged(d bundle.Digest) bool {
	for _, t := range g.tags {
		if t.target == d || t.upstream == d {
			return true
		}
	}
	return false
}

// below calls visit for a manifest and everything that it leads to, each once.
func (g *gathering) below(d bundle.Digest, visit func(d bundle.Digest, n *node)) {
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

// blobBytes is the size of the distinct blobs of an image.
func (g *gathering) blobBytes(d bundle.Digest) (size int64) {
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
func (g *gathering) attachedNote(d bundle.Digest) string {
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
		switch {
		case part.n == 1:
			parts = append(parts, "1 "+part.what)
		case part.n > 1:
			parts = append(parts, fmt.Sprintf("%d %ss", part.n, part.what))
		}
	}
	return strings.Join(parts, ", ")
}

const noteBegin, noteEnd = " (attached: ", ")"

// withNote puts a note after a title, which is cut where both do not fit.
func withNote(title, note string) string {
	if note == "" {
		return title
	}
	note = noteBegin + note + noteEnd
	return strings.TrimSpace(sources.OneLine(title, bundle.MaxSummary-len(note)) + note)
}

// cutNote is the reverse of withNote.
func cutNote(summary string) (title, note string, ok bool) {
	text, ok := strings.CutSuffix(" "+summary, noteEnd)
	i := strings.LastIndex(text, noteBegin)
	if !ok || i < 0 {
		return summary, "", false
	}
	return strings.TrimSpace(text[:i]), text[i+len(noteBegin):], true
}

// compareVersions orders tags as semantic versions, where both are; other tags are older
// than those: "latest" says nothing of its age.
func compareVersions(_, a, b string) int {
	x, errA := version(a)
	y, errB := version(b)
	switch {
	case errA != nil && errB != nil:
		return 0
	case errA != nil:
		return -1
	case errB != nil:
		return 1
	}
	return x.Compare(y)
}
