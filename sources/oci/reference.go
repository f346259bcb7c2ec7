package oci

import (
	"fmt"
	"strings"

	"github.com/distribution/reference"

	"github.com/gapbundle/gapbundle/bundle"
)

// image names an image repository: a registry and a name in it.
type image struct {
	host string // as references have it, in lower case: "docker.io", "registry.lan:5000"
	name string // "library/nginx"
}

func (i image) String() string { return i.host + "/" + i.name }

// dir returns the folder of the image below the mount.
func (i image) dir() string { return hostFolder(i.host) + "/" + i.name }

// hostFolder returns a registry's host as a component of image names: a name holds
// no colon, so the port follows '_'.
func hostFolder(host string) string { return strings.ReplaceAll(host, ":", "_") }

// ref is an image by tag, by digest or by both. With both the digest decides
// what it is, as it does for the clients, and the tag is one of its names.
type ref struct {
	image
	tag    string
	digest bundle.Digest
}

func (r ref) String() string {
	s := r.image.String()
	if r.tag != "" {
		s += ":" + r.tag
	}
	if !r.digest.IsZero() {
		s += "@" + r.digest.String()
	}
	return s
}

// parseRef reads a reference as docker does: a name without a registry is one
// of docker.io, one without tag and digest means latest.
func parseRef(s string) (ref, error) {
	named, err := reference.ParseNormalizedNamed(s)
	if err != nil {
		return ref{}, notReference(s, err)
	}
	var r ref
	if r.image, err = imageOf(s, named); err != nil {
		return ref{}, err
	}
	if tagged, ok := reference.TagNameOnly(named).(reference.Tagged); ok {
		r.tag = tagged.Tag()
	}
	if digested, ok := named.(reference.Digested); ok {
		if r.digest, err = bundle.ParseDigest(digested.Digest().String()); err != nil {
			return ref{}, fmt.Errorf("%q: want a sha256 digest: %w", s, bundle.ErrUsage)
		}
	}
	if _, digested := named.(reference.Digested); digested && r.digest.IsZero() { // which means none here: the pin would be lost
		return ref{}, fmt.Errorf("%q: no content has the digest 0: %w", s, bundle.ErrUsage)
	}
	if isAttachedTag(r.tag) {
		return ref{}, fmt.Errorf("%q: belongs to another image, which carries it by signatures: carry: %w", s, bundle.ErrUsage)
	}
	return r, nil
}

// parseImage reads a reference without tag and digest.
func parseImage(s string) (image, error) {
	named, err := reference.ParseNormalizedNamed(s)
	if err != nil {
		return image{}, notReference(s, err)
	}
	if !reference.IsNameOnly(named) {
		return image{}, fmt.Errorf("%q: want a repository without tag and digest: %w", s, bundle.ErrUsage)
	}
	return imageOf(s, named)
}

func notReference(s string, err error) error {
	if scheme, rest, ok := strings.Cut(s, "://"); ok && rest != "" {
		return fmt.Errorf("%.300q: want a reference without %s://: %w", s, scheme, bundle.ErrUsage)
	}
	return fmt.Errorf("%.300q: %w: %w", s, err, bundle.ErrUsage)
}

func imageOf(s string, named reference.Named) (image, error) {
	i := image{host: strings.ToLower(reference.Domain(named)), name: reference.Path(named)}
	if strings.ContainsAny(i.host, "[]") {
		return image{}, fmt.Errorf("%q: an IPv6 address cannot be part of a name in a mirror; give the registry a name: %w", s, bundle.ErrUsage)
	}
	if !strings.ContainsAny(i.host, ".:") && i.host != "localhost" {
		// An upper-case letter makes it a registry to docker, and a name to everybody who writes it in lower case.
		return image{}, fmt.Errorf("%q: registry %q: want a dot or a port in it: %w", s, i.host, bundle.ErrUsage)
	}
	for component := range strings.SplitSeq(i.name, "/") {
		switch component {
		case areaManifests, areaBlobs, areaReferrers, "tags":
			return image{}, fmt.Errorf("%q: a component %q of a name cannot be distinguished from the registry's own paths: %w", s, component, bundle.ErrUsage)
		}
	}
	if err := bundle.CheckPath(i.dir()); err != nil {
		return image{}, fmt.Errorf("%q: %w: %w", s, err, bundle.ErrUsage)
	}
	return i, nil
}

// Folders of an image, as the distribution specification names them ("Endpoints").
const (
	areaManifests = "manifests"
	areaBlobs     = "blobs"
	areaReferrers = "referrers"
)

// Ends of the tags by which cosign attaches to a digest.
const (
	suffixSignature   = ".sig"
	suffixAttestation = ".att"
	suffixSBOM        = ".sbom"
)

// attachedTag returns the tag by which something is attached to a digest; with an
// empty suffix that of the referrers tag schema of the distribution specification.
func attachedTag(d bundle.Digest, suffix string) string { return "sha256-" + d.Hex() + suffix }

// isAttachedTag reports whether a tag has the form of attachedTag.
func isAttachedTag(tag string) bool {
	hex, ok := strings.CutPrefix(tag, "sha256-")
	if !ok || len(hex) < 64 {
		return false
	}
	_, err := bundle.ParseHex(hex[:64])
	return err == nil && (len(hex) == 64 || hex[64] == '.')
}

func (i image) manifestPath(reference string) string {
	return i.dir() + "/" + areaManifests + "/" + reference
}

func (i image) blobPath(d bundle.Digest) string {
	return i.dir() + "/" + areaBlobs + "/" + d.String()
}

func (i image) referrersPath(d bundle.Digest) string {
	return i.dir() + "/" + areaReferrers + "/" + d.String()
}

// splitPath takes a path below the mount apart: <dir>/<area>/<reference>. A
// reference holds no '/', so there is one reading.
func splitPath(p string) (dir, area, reference string, ok bool) {
	p, reference, ok1 := cutLast(p)
	dir, area, ok2 := cutLast(p)
	switch area {
	case areaManifests, areaBlobs, areaReferrers:
		return dir, area, reference, ok1 && ok2 && dir != "" && reference != ""
	}
	return "", "", "", false
}

func cutLast(p string) (before, after string, ok bool) {
	i := strings.LastIndexByte(p, '/')
	if i < 0 {
		return "", p, false
	}
	return p[:i], p[i+1:], true
}
