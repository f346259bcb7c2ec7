package local

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/gapbundle/gapbundle/bundle"
)

// containerdName is the annotation in which containerd, nerdctl and Docker keep the
// whole reference of an image.
const containerdName = "io.containerd.image.name"

// Layout reads the index of an image layout. where is what errors call it.
func Layout(dir, where string) (*Store, error) {
	s := &Store{where: where, open: func(name string) (*member, error) { return openIn(dir, name) }}
	if _, err := os.Stat(dir); err != nil {
		return nil, fmt.Errorf("%s: %w", where, err)
	}
	return s, s.readLayout()
}

// openIn opens a file below dir; links cannot leave it.
func openIn(dir, name string) (*member, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	f, size, err := regular(func() (fs.FileInfo, error) { return root.Stat(name) }, func() (*os.File, error) { return root.Open(name) })
	if err != nil {
		return nil, err
	}
	return &member{io.NewSectionReader(f, 0, size), f}, nil
}

// readLayout reads oci-layout and index.json.
func (s *Store) readLayout() error {
	var version v1.ImageLayout
	content, err := s.document(v1.ImageLayoutFile, maxIndex)
	if err != nil {
		return s.notLayout(v1.ImageLayoutFile, err)
	}
	if err := json.Unmarshal(content, &version); err != nil || version.Version != v1.ImageLayoutVersion {
		return s.fault("%s: want imageLayoutVersion %s, got %.80q", v1.ImageLayoutFile, v1.ImageLayoutVersion, version.Version)
	}
	if content, err = s.document(v1.ImageIndexFile, maxIndex); err != nil {
		return s.notLayout(v1.ImageIndexFile, err)
	}
	var index v1.Index
	if err := json.Unmarshal(content, &index); err != nil {
		return s.fault("%s: %w", v1.ImageIndexFile, err)
	}
	if len(index.Manifests) == 0 || len(index.Manifests) > maxImages {
		return s.fault("%s: %s, want 1 to %d", v1.ImageIndexFile, bundle.Count(len(index.Manifests), "image"), maxImages)
	}
	for _, d := range index.Manifests {
		if digest, err := bundle.ParseDigest(string(d.Digest)); err != nil || digest.IsZero() || d.Size < 0 {
			return s.fault("%s: digest %.80q of %s: want sha256, and a size", v1.ImageIndexFile, d.Digest, bundle.Count(d.Size, "byte"))
		}
		name := d.Annotations[containerdName]
		if name == "" {
			name = d.Annotations[v1.AnnotationRefName]
		}
		s.images = append(s.images, Image{name, d})
	}
	return nil
}

// notLayout returns the error of a file without which a folder or an archive is none.
func (s *Store) notLayout(name string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return s.fault("has no %s, so it is no image layout", name)
	}
	return err
}
