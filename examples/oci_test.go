package examples

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	godigest "github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/gapbundle/gapbundle/internal/test/registrytest"
)

func TestOCI(t *testing.T) {
	r := newRegistries(t)
	trip(t, example{spec: "oci.yaml", adopt: r.adopt, clients: []string{"containerd", "crio", "docker", "k3s", "podman"}, base: "http://mirror.lan"})
}

// registries stands for every registry: their hosts are the first part of its
// names.
type registries struct {
	*registrytest.Registry
	t *testing.T
}

func newRegistries(t *testing.T) *registries {
	t.Helper()
	return &registries{registrytest.New(t, registrytest.Options{Plain: true}), t}
}

var (
	hosts     = regexp.MustCompile(`\b(nvcr\.io|docker\.io|quay\.io|registry\.k8s\.io)/`)
	reference = regexp.MustCompile(`(?m)^[ -]*(?:repository: )?((?:nvcr\.io|docker\.io|quay\.io|registry\.k8s\.io)/[a-z0-9./-]+)(?::([\w.-]+))?$`)
)

// adopt points the spec and its list at the stand-in, which gets an
// image of two platforms for every reference.
func (r *registries) adopt(j *journey) {
	r.t.Helper()
	for _, name := range []string{"oci.yaml", "oci/images.list"} {
		file := filepath.Join(j.dir, name)
		text, err := os.ReadFile(file)
		if err != nil {
			r.t.Fatal(err)
		}
		for _, m := range reference.FindAllStringSubmatch(string(text), -1) {
			tags := []string{m[2]}
			if m[2] == "" { // of a range
				tags = []string{"v1.7.0", "v1.8.0", "v1.8.2", "v1.9.1", "v2.0.0"}
			}
			for _, tag := range tags {
				r.image(m[1], tag)
			}
		}
		adopted := hosts.ReplaceAllString(string(text), r.Host()+"/$1/")
		adopted = strings.ReplaceAll(adopted, "kind: oci\n", "kind: oci\n    plain-http: ["+r.Host()+"]\n")
		if err := os.WriteFile(file, []byte(adopted), 0o644); err != nil {
			r.t.Fatal(err)
		}
	}
}

func (r *registries) image(name, tag string) {
	r.t.Helper()
	put := func(mediaType string, v any, tags ...string) v1.Descriptor {
		b, err := json.Marshal(v)
		if err != nil {
			r.t.Fatal(err)
		}
		if strings.Contains(mediaType, "config") {
			r.PutBlob(name, b)
		} else {
			r.PutManifest(name, mediaType, b, tags...)
		}
		return v1.Descriptor{MediaType: mediaType, Digest: godigest.FromBytes(b), Size: int64(len(b))}
	}
	index := v1.Index{MediaType: v1.MediaTypeImageIndex}
	index.SchemaVersion = 2
	for _, arch := range []string{"amd64", "arm64"} {
		layer := content(name + tag + arch)
		r.PutBlob(name, layer)
		p := v1.Platform{OS: "linux", Architecture: arch}
		m := v1.Manifest{
			MediaType: v1.MediaTypeImageManifest, Config: put(v1.MediaTypeImageConfig, v1.Image{Platform: p, Author: tag}),
			Layers: []v1.Descriptor{{MediaType: v1.MediaTypeImageLayer, Digest: godigest.FromBytes(layer), Size: int64(len(layer))}},
		}
		m.SchemaVersion = 2
		d := put(v1.MediaTypeImageManifest, m)
		d.Platform = &p
		index.Manifests = append(index.Manifests, d)
	}
	put(v1.MediaTypeImageIndex, index, tag)
}
