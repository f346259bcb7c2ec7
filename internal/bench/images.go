//go:build linux

package main

import (
	"encoding/json"
	"fmt"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// makeImages makes n images of layers files each and returns their names.
func (m *made) makeImages(n, layers int) (names []string, err error) {
	for i := range n {
		repository := fmt.Sprintf("bench/image-%02d", i)
		at := "/v2/" + repository
		var manifest ocispec.Manifest
		config := ocispec.Image{Platform: ocispec.Platform{Architecture: "amd64", OS: "linux"}, RootFS: ocispec.RootFS{Type: "layers"}}
		for j := range layers {
			number := i*layers + j
			body := m.content(number)
			sum := digestOf(body)
			m.layers[sum] = number
			d := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageLayer, Digest: digest.Digest(sum), Size: int64(len(body))}
			manifest.Layers = append(manifest.Layers, d)
			config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, d.Digest)
		}
		configuration, err := json.Marshal(config)
		if err != nil {
			return nil, err
		}
		manifest.Versioned, manifest.MediaType = specs.Versioned{SchemaVersion: 2}, ocispec.MediaTypeImageManifest
		manifest.Config = ocispec.Descriptor{MediaType: ocispec.MediaTypeImageConfig, Digest: digest.Digest(digestOf(configuration)), Size: int64(len(configuration))}
		text, err := json.Marshal(manifest)
		if err != nil {
			return nil, err
		}
		m.index[at+"/blobs/"+digestOf(configuration)] = configuration
		for _, reference := range []string{"1.0", digestOf(text)} {
			m.index[at+"/manifests/"+reference] = text
			m.types[at+"/manifests/"+reference] = ocispec.MediaTypeImageManifest
		}
		names = append(names, m.host+"/"+repository+":1.0")
	}
	return names, nil
}
