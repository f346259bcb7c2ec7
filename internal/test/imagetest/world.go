package imagetest

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	godigest "github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/gapbundle/gapbundle/internal/test/webtest"
)

// Media types of Docker's schema 2.
const (
	dockerList     = "application/vnd.docker.distribution.manifest.list.v2+json"
	dockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
	dockerConfig   = "application/vnd.docker.container.image.v1+json"
	dockerLayer    = "application/vnd.docker.image.rootfs.diff.tar.gzip"
)

// Platforms returns the platforms of every image that has more than one.
func Platforms() []string { return []string{"linux/amd64", "linux/arm64"} }

// Image is something that a client can ask for.
type Image struct {
	// Name begins with the registry's host, its port after '_'. Alias is
	// the name without.
	Name, Alias string
	Tag         string
	v1.Descriptor
	// ByPlatform are the manifests of an index, nested ones too.
	ByPlatform map[string]v1.Descriptor
}

// World is a /v2/ tree under construction.
type World struct {
	// Files are to be published.
	Files map[string]webtest.File

	t testing.TB
}

// NewWorld makes an empty one.
func NewWorld(t testing.TB) *World { return &World{Files: map[string]webtest.File{}, t: t} }

func (w *World) check(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// Blob adds content to the image called name.
func (w *World) Blob(name, mediaType string, content []byte) v1.Descriptor {
	d := godigest.FromBytes(content)
	w.Files["v2/"+name+"/blobs/"+d.String()] = webtest.File{Content: string(content)}
	return v1.Descriptor{MediaType: mediaType, Digest: d, Size: int64(len(content))}
}

// Manifest adds a manifest or index by its digest and by tags.
func (w *World) Manifest(name, mediaType string, content []byte, tags ...string) v1.Descriptor {
	d := godigest.FromBytes(content)
	for _, reference := range append(tags, d.String()) {
		w.Files["v2/"+name+"/manifests/"+reference] = webtest.File{Content: string(content), MediaType: mediaType}
	}
	return v1.Descriptor{MediaType: mediaType, Digest: d, Size: int64(len(content))}
}

// JSON returns what manifests and configurations are written as.
func (w *World) JSON(v any) []byte {
	b, err := json.Marshal(v)
	w.check(err)
	return b
}

// layer returns a compressed tar with a file of that content under each name, and the digest of the tar.
func (w *World) layer(compress func(io.Writer) io.WriteCloser, files map[string]string) (blob []byte, diff godigest.Digest) {
	var plain, packed bytes.Buffer
	archive := tar.NewWriter(&plain)
	for name, content := range files {
		w.check(archive.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(content)), ModTime: time.Unix(1, 0), Typeflag: tar.TypeReg, Format: tar.FormatPAX}))
		_, err := io.WriteString(archive, content)
		w.check(err)
	}
	w.check(archive.Close())
	c := compress(&packed)
	_, err := c.Write(plain.Bytes())
	w.check(err)
	w.check(c.Close())
	return packed.Bytes(), godigest.FromBytes(plain.Bytes())
}

// image returns one platform's.
func (w *World) image(name, platform string, docker, zstandard bool, tags ...string) v1.Descriptor {
	manifestType, configType, layerType := v1.MediaTypeImageManifest, v1.MediaTypeImageConfig, v1.MediaTypeImageLayerGzip
	if docker {
		manifestType, configType, layerType = dockerManifest, dockerConfig, dockerLayer
	}
	compress := func(out io.Writer) io.WriteCloser { return gzip.NewWriter(out) }
	own := compress
	if zstandard {
		layerType = v1.MediaTypeImageLayerZstd
		own = func(out io.Writer) io.WriteCloser {
			z, err := zstd.NewWriter(out)
			w.check(err)
			return z
		}
	}
	system, architecture, _ := strings.Cut(platform, "/")
	shared, sharedDiff := w.layer(own, map[string]string{"etc/os-release": "ID=demo\nNAME=\"Demo\"\n"})
	one, oneDiff := w.layer(own, map[string]string{"usr/share/doc/" + architecture: strings.Repeat("This file is for "+platform+".\n", 400)})
	config := v1.Image{
		Created: &time.Time{}, Platform: v1.Platform{OS: system, Architecture: architecture},
		Config: v1.ImageConfig{Cmd: []string{"/bin/true"}, Labels: map[string]string{"name": name}},
		RootFS: v1.RootFS{Type: "layers", DiffIDs: []godigest.Digest{sharedDiff, oneDiff}},
	}
	m := v1.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: manifestType,
		Config: w.Blob(name, configType, w.JSON(config)),
		Layers: []v1.Descriptor{w.Blob(name, layerType, shared), w.Blob(name, layerType, one)},
	}
	return w.Manifest(name, manifestType, w.JSON(m), tags...)
}

// index returns an image of all platforms.
func (w *World) index(name string, docker bool, tags ...string) Image {
	mediaType := v1.MediaTypeImageIndex
	if docker {
		mediaType = dockerList
	}
	x := v1.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: mediaType}
	i := Image{ByPlatform: map[string]v1.Descriptor{}}
	for _, p := range Platforms() {
		d := w.image(name, p, docker, false)
		i.ByPlatform[p] = d
		system, architecture, _ := strings.Cut(p, "/")
		d.Platform = &v1.Platform{OS: system, Architecture: architecture}
		x.Manifests = append(x.Manifests, d)
	}
	i.Descriptor = w.Manifest(name, mediaType, w.JSON(x), tags...)
	return i.named(name, tags)
}

func (i Image) named(name string, tags []string) Image {
	_, alias, _ := strings.Cut(name, "/")
	i.Name, i.Alias = name, alias
	if len(tags) > 0 {
		i.Tag = tags[0]
	}
	return i
}

// Index adds an OCI index of all platforms.
func (w *World) Index(name, tag string) Image { return w.index(name, false, tag) }

// Docker adds a list of all platforms, with Docker's media types.
func (w *World) Docker(name, tag string) Image { return w.index(name, true, tag) }

// Nested adds an index that holds an index of all platforms.
func (w *World) Nested(name, tag string) Image {
	inner := w.index(name, false)
	x := v1.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: v1.MediaTypeImageIndex, Manifests: []v1.Descriptor{inner.Descriptor}}
	i := Image{Descriptor: w.Manifest(name, v1.MediaTypeImageIndex, w.JSON(x), tag), ByPlatform: inner.ByPlatform}
	return i.named(name, []string{tag})
}

// Zstd adds an image of one platform with layers compressed by zstd.
func (w *World) Zstd(name, tag string) Image {
	return Image{Descriptor: w.image(name, Platforms()[0], false, true, tag)}.named(name, []string{tag})
}

// Schema2 adds an image of one platform with Docker's media types.
func (w *World) Schema2(name, tag string) Image {
	return Image{Descriptor: w.image(name, Platforms()[0], true, false, tag)}.named(name, []string{tag})
}

// Attach adds an artifact that refers to subject, and the list of referrers
// with it alone, as a registry that has the referrers API sends it.
func (w *World) Attach(subject Image, artifactType string, content []byte) v1.Descriptor {
	m := v1.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: v1.MediaTypeImageManifest, ArtifactType: artifactType,
		Config: w.Blob(subject.Name, v1.MediaTypeEmptyJSON, []byte("{}")),
		Layers: []v1.Descriptor{w.Blob(subject.Name, artifactType, content)}, Subject: &subject.Descriptor,
	}
	d := w.Manifest(subject.Name, v1.MediaTypeImageManifest, w.JSON(m))
	d.ArtifactType = artifactType
	x := v1.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: v1.MediaTypeImageIndex, Manifests: []v1.Descriptor{d}}
	w.Files[fmt.Sprintf("v2/%s/referrers/%s", subject.Name, subject.Digest)] = webtest.File{Content: string(w.JSON(x)), MediaType: v1.MediaTypeImageIndex}
	return d
}

// AttachByTag does what Attach does, as registries without the API have it: the list has a
// tag of its own (OCI distribution specification, "Referrers Tag Schema").
func (w *World) AttachByTag(subject Image, artifactType string, content []byte) v1.Descriptor {
	d := w.Attach(subject, artifactType, content)
	at := fmt.Sprintf("v2/%s/referrers/%s", subject.Name, subject.Digest)
	w.Manifest(subject.Name, v1.MediaTypeImageIndex, []byte(w.Files[at].Content), strings.Replace(subject.Digest.String(), ":", "-", 1))
	delete(w.Files, at)
	return d
}
