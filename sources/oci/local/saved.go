package local

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/registry"
)

// savedFile lists the images of an archive of "docker save".
const savedFile = "manifest.json"

// Media types of what a manifest of Docker's schema 2 leads to.
const (
	dockerConfig      = "application/vnd.docker.container.image.v1+json"
	dockerLayer       = "application/vnd.docker.image.rootfs.diff.tar"
	dockerLayerPacked = "application/vnd.docker.image.rootfs.diff.tar.gzip"
)

// savedImage is an image in savedFile.
type savedImage struct {
	Config   string
	RepoTags []string
	Layers   []string
}

// imageConfig is what has to be known of an image's configuration.
type imageConfig struct {
	RootFS struct {
		DiffIDs []digest.Digest `json:"diff_ids"`
	} `json:"rootfs"`
}

// readSaved makes the manifests of the images of "docker save".
func (s *Store) readSaved(content []byte) error {
	var all []savedImage
	if err := json.Unmarshal(content, &all); err != nil {
		return s.fault("%s: %w", savedFile, err)
	}
	if len(all) == 0 || len(all) > maxImages {
		return s.fault("%s: %s, want 1 to %d", savedFile, bundle.Count(len(all), "image"), maxImages)
	}
	s.made, s.names = map[bundle.Digest][]byte{}, map[bundle.Digest]string{}
	layers := map[string]v1.Descriptor{} // many images share some
	for i, image := range all {
		d, err := s.make(image, layers)
		if err != nil {
			return fmt.Errorf("image %d of %s: %w", i+1, savedFile, err)
		}
		if len(image.RepoTags) == 0 {
			image.RepoTags = []string{""}
		}
		for _, name := range image.RepoTags {
			s.images = append(s.images, Image{name, d})
		}
		if len(s.images) > maxImages {
			return s.fault("%s: more than %d names", savedFile, maxImages)
		}
	}
	return nil
}

// make makes the manifest of an image.
func (s *Store) make(image savedImage, layers map[string]v1.Descriptor) (v1.Descriptor, error) {
	content, err := s.document(image.Config, registry.MaxManifest)
	if err != nil {
		return v1.Descriptor{}, s.lacks(image.Config, err)
	}
	m := v1.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: registry.DockerManifest, Config: describe(dockerConfig, content), Layers: []v1.Descriptor{}}
	config := bundle.DigestOf(content)
	if named, err := bundle.ParseHex(strings.TrimSuffix(path.Base(image.Config), ".json")); err == nil && named != config {
		return v1.Descriptor{}, s.fault("%s: its content has the digest %s: the archive is damaged", image.Config, config)
	}
	s.names[config] = image.Config
	var c imageConfig
	if err := json.Unmarshal(content, &c); err != nil {
		return v1.Descriptor{}, s.fault("%s: %w", image.Config, err)
	}
	if ids := len(c.RootFS.DiffIDs); ids != len(image.Layers) || ids > maxLayers {
		return v1.Descriptor{}, s.fault("%s: %s, and %s has %d, at most %d", image.Config, bundle.Count(ids, "layer"), savedFile, len(image.Layers), maxLayers)
	}
	for i, name := range image.Layers {
		key := name + " " + string(c.RootFS.DiffIDs[i])
		d, ok := layers[key]
		if !ok {
			if d, err = s.layer(name, c.RootFS.DiffIDs[i]); err != nil {
				return v1.Descriptor{}, s.lacks(name, err)
			}
			layers[key] = d
		}
		m.Layers = append(m.Layers, d)
	}
	made, err := json.Marshal(m)
	if err != nil {
		return v1.Descriptor{}, err
	}
	s.made[bundle.DigestOf(made)] = made
	return describe(registry.DockerManifest, made), nil
}

// layer describes a layer. One that is not packed is what its diff ID states: it is read
// once, when it is collected. One that is packed has to be read to know its digest.
func (s *Store) layer(name string, id digest.Digest) (d v1.Descriptor, err error) {
	want, err := bundle.ParseDigest(string(id))
	if err != nil || want.IsZero() {
		return d, s.fault("%s: diff ID %.80q: want sha256", name, id)
	}
	m, err := s.open(name)
	if err != nil {
		return d, err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	suffix, err := packing(m)
	if err != nil {
		return d, err
	}
	d = v1.Descriptor{MediaType: dockerLayer, Digest: id, Size: m.Size()}
	switch suffix {
	case "":
		s.names[want] = name
		return d, nil
	case ".gz":
	default:
		return d, s.fault("%s: packed as %s, which images of Docker cannot be: save the image again", name, suffix)
	}
	packed, unpacked, err := s.hashes(m, suffix, name)
	if err != nil {
		return d, err
	}
	if unpacked != want {
		return d, s.fault("%s: unpacks to %s, and its image wants %s", name, unpacked, want)
	}
	s.names[packed] = name
	d.MediaType, d.Digest = dockerLayerPacked, digest.Digest(packed.String())
	return d, nil
}

// lacks returns the error of a member that is named and not there.
func (s *Store) lacks(name string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return s.fault("%s names %.200q, which is not in it", savedFile, name)
	}
	if !errors.Is(err, fetch.ErrUpstream) {
		return fmt.Errorf("%s: %w", s.where, err)
	}
	return err
}

func describe(mediaType string, content []byte) v1.Descriptor {
	return v1.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(content), Size: int64(len(content))}
}
