package reach

import (
	"regexp"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
)

const (
	imagesMount = "v2"
	imageFile   = "file of an image"
)

// maxImageTag is the longest tag, in bytes. A count in the expression would be as many copies of it,
// which each start of the program would pay for.
const maxImageTag = 128

// The grammar of references (the OCI distribution specification, "Pulling manifests",
// and the reference grammar of container tools). The first component is the registry,
// with '_' before its port, because a path has no ':' there.
var (
	imageComponent = regexp.MustCompile(`^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$`)
	imageTag       = regexp.MustCompile(`^[a-zA-Z0-9_][a-zA-Z0-9._-]*$`)
	registryHost   = regexp.MustCompile(`^(?:localhost|[a-z0-9-]+(?:\.[a-z0-9-]+)+|[a-z0-9-]+(?:\.[a-z0-9-]+)*_[0-9]{1,5}|\[[0-9a-f:.]+\](?:_[0-9]{1,5})?)$`)
)

// maxImageName is how long the name of an image is at most, its registry not counted.
const maxImageName = 255

// Image is a path below v2/ taken apart.
type Image struct {
	// Name of the image, with its registry as the first component.
	Name string
	// Area is manifests, blobs or referrers, Reference a tag or a digest.
	Area, Reference string
}

// IsTag reports whether it is a manifest by its tag.
func (i Image) IsTag() bool {
	return i.Area == "manifests" && !strings.Contains(i.Reference, ":")
}

// SplitImage takes a path relative to v2/ apart; ok is false for what has another
// shape. Nothing is said about the form of the parts.
func SplitImage(relative string) (i Image, ok bool) {
	at := strings.LastIndexByte(relative, '/')
	if at < 0 {
		return i, false
	}
	i.Reference = relative[at+1:]
	rest := relative[:at]
	at = strings.LastIndexByte(rest, '/')
	if at < 1 {
		return i, false
	}
	i.Name, i.Area = rest[:at], rest[at+1:]
	return i, i.Area == "manifests" || i.Area == "blobs" || i.Area == "referrers"
}

// lookAtImageFile refuses what no registry has.
func (s *Survey) lookAtImageFile(f *bundle.File, relative string) {
	i, ok := SplitImage(relative)
	host, name, more := strings.Cut(i.Name, "/")
	digest, err := bundle.ParseDigest(i.Reference)
	switch {
	case !ok:
		s.malformed(imageFile, f.Path, "want v2/<registry>/<name>/manifests, blobs or referrers, and a reference")
	case !more || !registryHost.MatchString(host):
		s.malformed(imageFile, f.Path, "the name %.200q has no registry", i.Name)
	case len(name) > maxImageName || !isImageName(name):
		s.malformed(imageFile, f.Path, "%.200q is no name of an image", name)
	case i.IsTag() && (len(i.Reference) > maxImageTag || !imageTag.MatchString(i.Reference)):
		s.malformed(imageFile, f.Path, "%.200q is no tag", i.Reference)
	case !i.IsTag() && err != nil:
		s.malformed(imageFile, f.Path, "%.200q is no digest of SHA-256", i.Reference)
	case !i.IsTag() && i.Area != "referrers" && digest != f.Digest:
		s.malformed(imageFile, f.Path, "the content is %s", f.Digest)
	}
}

// isImageName also refuses a name with which an answer that the mirror makes itself,
// <name>/tags/list, would be a folder.
func isImageName(name string) bool {
	before := ""
	for part := range strings.SplitSeq(name, "/") {
		if !imageComponent.MatchString(part) || before == "tags" && part == "list" {
			return false
		}
		before = part
	}
	return true
}
