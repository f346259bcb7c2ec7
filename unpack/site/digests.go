package site

import (
	"encoding/hex"
	"encoding/json"
	"io"
	"strings"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/gapbundle/gapbundle/bundle"
)

const (
	// DigestsDir holds one folder per manifest that has a tag, at the path of
	// the manifest. In it are a file, named by the manifest's digest and with
	// the digest as content, and DigestLink. Each server has its own way to
	// put the digest into a header: by content, by a link, by a pattern.
	DigestsDir = Dir + "/digests"
	// DigestLink is a symbolic link to the digest next to it.
	DigestLink = "digest"
	// registryDir holds what a registry answers without a file of an image.
	registryDir = Dir + "/registry"
	// PingPath is the answer to GET /v2/.
	PingPath = registryDir + "/v2.json"
	// NoReferrersPath is the answer to GET /v2/<name>/referrers/<digest> for
	// a manifest that nothing refers to.
	NoReferrersPath = registryDir + "/referrers.json"
)

// DigestPath returns the symbolic link whose target is the digest of the manifest
// at path, if that is one with a tag.
func DigestPath(path string) string { return DigestsDir + "/" + path + "/" + DigestLink }

// digest reports which digest the manifest at f.Path has.
func (w *writer) digest(f bundle.File) error {
	dir, digest := DigestsDir+"/"+f.Path, f.Digest.String()
	if err := w.folder(dir); err != nil {
		return err
	}
	// As it was in the generation before: a folder holds one digest, so the
	// link next to it is the right one.
	linked := w.in.Link != nil && w.in.Link(dir+"/"+digest) == nil
	if linked && w.in.Link(dir+"/"+DigestLink) == nil {
		return nil
	}
	if err := w.root.Symlink(digest, dir+"/"+DigestLink); err != nil || linked {
		return err
	}
	return w.bytes(dir+"/"+digest, []byte(digest))
}

// referrersPath returns where the OCI distribution specification ("Referrers Tag
// Schema") has clients look before they look at f, if f is such a tag.
func (f imageFile) referrersPath() (ImagePath, bool) {
	digest, ok := strings.CutPrefix(f.Reference, "sha256-")
	b, err := hex.DecodeString(digest)
	ok = ok && err == nil && len(b) == 32 && f.Area == manifests && f.MediaType == v1.MediaTypeImageIndex
	return ImagePath{f.Name, referrers, "sha256:" + digest}, ok
}

// referrers makes p of the tag that is its substitute. A registry that answers
// referrers has to count those in ("Enabling the Referrers API"): a client
// that gets an answer there does not look for the tag.
func (w *writer) referrers(p ImagePath) error {
	dir := imagesDir + p.Name + "/"
	name := dir + referrers + "/" + p.Reference
	if err := w.link(dir+manifests+"/"+strings.Replace(p.Reference, ":", "-", 1), name); err != nil {
		return err
	}
	_, err := w.typed(name, v1.MediaTypeImageIndex)
	return err
}

// registry writes the answers that are the same for every image.
func (w *writer) registry() error {
	if err := w.bytes(PingPath, []byte("{}\n")); err != nil {
		return err
	}
	none := v1.Index{MediaType: v1.MediaTypeImageIndex, Manifests: []v1.Descriptor{}}
	none.SchemaVersion = 2
	return w.file(NoReferrersPath, func(out io.Writer) error { return json.NewEncoder(out).Encode(none) })
}
