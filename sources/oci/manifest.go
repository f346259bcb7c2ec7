package oci

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/registry"
)

// Media types that are not in the OCI image specification: Docker's manifest
// version 2 (schema 1 and 2), and the artifact manifest of the drafts of 1.1.
const (
	mediaTypeSchema1       = "application/vnd.docker.distribution.manifest.v1+json"
	mediaTypeSchema1Signed = "application/vnd.docker.distribution.manifest.v1+prettyjws"
	mediaTypeArtifact      = "application/vnd.oci.artifact.manifest.v1+json"
	mediaTypeForeignLayer  = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
	// Layers of the OCI image specification that need not be in a registry
	// begin so ("Non-Distributable Layers").
	prefixNonDistributable = "application/vnd.oci.image.layer.nondistributable."
)

const (
	// maxDepth bounds indexes within indexes, against one that leads on and on.
	maxDepth = 8
	// maxManifests bounds what one reference leads to, against an index of
	// indexes of indexes.
	maxManifests = 2000
)

// manifest is a manifest or an index, as far as it lists its parts.
type manifest struct {
	mediaType string
	index     bool
	// children are the manifests of an index; the config, layers or blobs of
	// a manifest.
	children []v1.Descriptor
	subject  *v1.Descriptor
	// artifactType is the manifest's own statement of its type, by the rules of the
	// distribution specification ("Listing Referrers"); layers are its own.
	artifactType string
	annotations  map[string]string
	layers       []v1.Descriptor
}

// document is the union of everything that a manifest may have.
type document struct {
	SchemaVersion int               `json:"schemaVersion"`
	MediaType     string            `json:"mediaType"`
	ArtifactType  string            `json:"artifactType"`
	Config        *v1.Descriptor    `json:"config"`
	Layers        []v1.Descriptor   `json:"layers"`
	Blobs         []v1.Descriptor   `json:"blobs"`
	Manifests     []v1.Descriptor   `json:"manifests"`
	Subject       *v1.Descriptor    `json:"subject"`
	Annotations   map[string]string `json:"annotations"`
	FSLayers      json.RawMessage   `json:"fsLayers"`
}

var (
	// errSchema1: not content-addressed in the way everything else here is.
	errSchema1 = errors.New("is in Docker's schema 1, which is not carried: its digest is not that of its bytes, and clients no longer read it; push the image again with a current tool")
	errFormat  = errors.New("is not a manifest")
)

func isIndexType(mediaType string) bool {
	return mediaType == v1.MediaTypeImageIndex || mediaType == registry.DockerManifestList
}

func isManifestType(mediaType string) bool {
	return isIndexType(mediaType) || mediaType == v1.MediaTypeImageManifest ||
		mediaType == registry.DockerManifest || mediaType == mediaTypeArtifact
}

func isSchema1(mediaType string) bool {
	return mediaType == mediaTypeSchema1 || mediaType == mediaTypeSchema1Signed
}

// parseManifest reads a manifest whose digest is known to be right. told is
// the media type of the descriptor or the answer that led to it, "" unknown.
// A manifest that could be read in two ways is refused: clients that differ in that would
// see different images under one digest.
func parseManifest(b []byte, told string) (*manifest, error) {
	if len(b) > registry.MaxManifest {
		return nil, fmt.Errorf("%s, at most %d: %w", bundle.Count(len(b), "byte"), registry.MaxManifest, errFormat)
	}
	var d document
	dec := json.NewDecoder(bytes.NewReader(b))
	if err := dec.Decode(&d); err != nil {
		return nil, fmt.Errorf("%w: %w", errFormat, err)
	}
	if dec.More() {
		return nil, fmt.Errorf("%w: something after its end", errFormat)
	}
	if err := oneReading(json.NewDecoder(bytes.NewReader(b)), true); err != nil {
		return nil, err
	}
	if isSchema1(told) || isSchema1(d.MediaType) || d.SchemaVersion == 1 || d.FSLayers != nil {
		return nil, errSchema1
	}
	m := &manifest{mediaType: d.MediaType, subject: d.Subject, artifactType: d.ArtifactType, annotations: d.Annotations}
	switch {
	case m.mediaType == "":
		m.mediaType = told
	case told != "" && told != m.mediaType && isManifestType(told):
		return nil, fmt.Errorf("%w: its mediaType is %.100q, its descriptor says %.100q", errFormat, m.mediaType, told)
	}
	if !isManifestType(m.mediaType) {
		return nil, fmt.Errorf("%w: media type %.100q", errFormat, m.mediaType)
	}
	if err := m.fill(&d); err != nil {
		return nil, err
	}
	return m, m.check()
}

// specNames are the names in manifests and descriptors, as the specifications
// have them.
var specNames = []string{
	"schemaVersion", "mediaType", "artifactType", "config", "layers", "blobs", "manifests", "subject", "annotations", "fsLayers",
	"digest", "size", "urls", "data", "platform", "os", "architecture", "variant",
}

// oneReading refuses names that stand twice, or in other letters than the
// specifications': Go takes the last of them, and any case; others do not. spec
// is false within annotations, whose names are anybody's. The value was decoded
// before, which bounds how deep it is.
func oneReading(dec *json.Decoder, spec bool) error {
	tok, err := dec.Token()
	if err != nil {
		return fmt.Errorf("%w: %w", errFormat, err)
	}
	seen := map[string]bool{}
	for open, _ := tok.(json.Delim); (open == '{' || open == '[') && dec.More(); {
		inner := spec
		if open == '{' {
			key, err := dec.Token()
			if err != nil {
				return fmt.Errorf("%w: %w", errFormat, err)
			}
			name, _ := key.(string)
			i := slices.IndexFunc(specNames, func(n string) bool { return strings.EqualFold(n, name) })
			if seen[name] || spec && i >= 0 && specNames[i] != name {
				return fmt.Errorf("%w: the name %.40q can be read in two ways", errFormat, name)
			}
			seen[name] = true
			inner = spec && name != "annotations"
		}
		if err := oneReading(dec, inner); err != nil {
			return err
		}
	}
	if tok == json.Delim('{') || tok == json.Delim('[') {
		if _, err := dec.Token(); err != nil {
			return fmt.Errorf("%w: %w", errFormat, err)
		}
	}
	return nil
}

func (m *manifest) fill(d *document) error {
	m.index = isIndexType(m.mediaType)
	switch {
	case d.SchemaVersion != 2 && m.mediaType != mediaTypeArtifact:
		return fmt.Errorf("%w: schema version %d", errFormat, d.SchemaVersion)
	case m.index && (d.Config != nil || d.Layers != nil || d.Blobs != nil),
		!m.index && d.Manifests != nil,
		m.mediaType == mediaTypeArtifact && (d.Config != nil || d.Layers != nil),
		m.mediaType != mediaTypeArtifact && d.Blobs != nil:
		return fmt.Errorf("%w: both an index and an image", errFormat)
	}
	switch {
	case m.index:
		m.children = d.Manifests
	case m.mediaType == mediaTypeArtifact:
		m.children, m.layers = d.Blobs, d.Blobs
	case d.Config == nil:
		return fmt.Errorf("%w: no config", errFormat)
	default:
		m.children, m.layers = append([]v1.Descriptor{*d.Config}, d.Layers...), d.Layers
		if m.artifactType == "" {
			m.artifactType = d.Config.MediaType
		}
	}
	return nil
}

// check looks at every descriptor.
func (m *manifest) check() error {
	for i := range m.children {
		if err := checkDescriptor(&m.children[i]); err != nil {
			return fmt.Errorf("%w: %w", errFormat, err)
		}
		if m.index && isSchema1(m.children[i].MediaType) {
			return errSchema1
		}
	}
	if m.subject != nil {
		if err := checkDescriptor(m.subject); err != nil {
			return fmt.Errorf("%w: subject: %w", errFormat, err)
		}
	}
	return nil
}

// checkDescriptor requires a SHA-256 and a size that can be.
func checkDescriptor(d *v1.Descriptor) error {
	if digest, err := bundle.ParseDigest(string(d.Digest)); err != nil || digest.IsZero() {
		return fmt.Errorf("digest %.80q: want sha256", d.Digest)
	}
	if d.Size < 0 {
		return fmt.Errorf("%s: %s", d.Digest, bundle.Count(d.Size, "byte"))
	}
	return nil
}

// digestOf returns the digest of a descriptor that checkDescriptor accepted.
func digestOf(d v1.Descriptor) bundle.Digest {
	digest, err := bundle.ParseDigest(string(d.Digest))
	if err != nil {
		return bundle.Digest{}
	}
	return digest
}

// isForeign reports whether a layer need not be in the registry.
func isForeign(d v1.Descriptor) bool {
	return d.MediaType == mediaTypeForeignLayer || strings.HasPrefix(d.MediaType, prefixNonDistributable)
}

// leadsToManifest reports whether a descriptor of an index is a manifest: an index
// may hold other things, which are blobs then (image specification, "Image
// Index").
func leadsToManifest(d v1.Descriptor) bool { return isManifestType(d.MediaType) }

// subjectOf returns the manifest that a BuildKit attestation in an index is about.
func subjectOf(d v1.Descriptor) string { return d.Annotations["vnd.docker.reference.digest"] }

// chosen sorts the descriptors of an index by the wish for platforms. An
// attestation stays with the image that it is about.
func (m *manifest) chosen(want platforms) (kept, absent []v1.Descriptor) {
	for _, d := range m.children {
		if isUnknown(d.Platform) && len(want) > 0 {
			continue
		}
		if want.takes(d.Platform) {
			kept = append(kept, d)
		} else {
			absent = append(absent, d)
		}
	}
	if len(want) == 0 {
		return kept, absent
	}
	images := kept
	for _, d := range m.children {
		if !isUnknown(d.Platform) {
			continue
		}
		about := subjectOf(d)
		if about == "" || slices.ContainsFunc(images, func(i v1.Descriptor) bool { return string(i.Digest) == about }) {
			kept = append(kept, d)
		} else {
			absent = append(absent, d)
		}
	}
	return kept, absent
}
