package registrytest

import (
	"encoding/json"
	"strings"
	"testing"

	godigest "github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// PutImage puts an image of two platforms into the registry, of one small layer each.
func (r *Registry) PutImage(t testing.TB, name, tag string) {
	t.Helper()
	put := func(mediaType string, v any, tags ...string) v1.Descriptor {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
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
		layer := []byte(strings.Repeat("layer of "+name+":"+tag+" for "+arch+"\n", 50))
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
