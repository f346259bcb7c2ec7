package local

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/registry"
)

const (
	// maxIndex bounds index.json and manifest.json, which are held in memory.
	maxIndex = 4 << 20 // bytes
	// maxImages bounds the images of one layout or archive.
	maxImages = 2000
	// maxLayers bounds the layers of an image of an archive: Docker has at most 127.
	maxLayers = 1000
)

// Image is an image of a layout or an archive.
type Image struct {
	// Name is what it is called there: a reference, a tag alone, or "" for none.
	Name string
	// Descriptor is that of its manifest or its index.
	Descriptor v1.Descriptor
}

// Store is an image layout or an archive. It holds no file open. It is safe for
// concurrent use.
type Store struct {
	where  string // for errors
	images []Image
	open   opener
	// made are the manifests that an archive of "docker save" does not have.
	made map[bundle.Digest][]byte
	// names are the members of such an archive, by the digest of what they hold.
	names map[bundle.Digest]string
	// unpacked is how many bytes were written to scratch.
	unpacked int64
}

// opener opens a file of a layout or a member of an archive. The error matches
// fs.ErrNotExist if there is none.
type opener func(name string) (*member, error)

// member is an open file of a layout or an archive.
type member struct {
	*io.SectionReader
	io.Closer
}

// String returns what the spec calls it.
func (s *Store) String() string { return s.where }

// Images returns what index.json or manifest.json list, in that order. An image with several
// names is there once for each.
func (s *Store) Images() []Image { return s.images }

// Unpacked returns how many bytes of scratch a packed archive takes.
func (s *Store) Unpacked() int64 { return s.unpacked }

// Manifest returns a manifest or an index, compared with its digest. The error matches
// fetch.ErrUpstream, and fs.ErrNotExist too if there is none.
func (s *Store) Manifest(d bundle.Digest) ([]byte, error) {
	content, ok := s.made[d]
	if !ok {
		m, err := s.blob(d)
		if err != nil {
			return nil, err
		}
		content, err = s.read(m, "manifest "+d.String(), registry.MaxManifest)
		if err != nil {
			return nil, err
		}
	}
	if have := bundle.DigestOf(content); have != d {
		return nil, s.fault("manifest: want %s, got %s", d, have)
	}
	return content, nil
}

// Size returns that of a blob. The error is as that of Manifest.
func (s *Store) Size(d bundle.Digest) (int64, error) {
	m, err := s.blob(d)
	if err != nil {
		return 0, err
	}
	return m.Size(), m.Close()
}

// Blob opens a blob at a place in it. Whoever reads it compares the digest.
func (s *Store) Blob(d bundle.Digest, at int64) (*bundle.Content, error) {
	m, err := s.blob(d)
	if err != nil {
		return nil, err
	}
	if _, err := m.Seek(at, io.SeekStart); err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return &bundle.Content{Body: m, At: at}, nil
}

func (s *Store) blob(d bundle.Digest) (*member, error) {
	name, ok := s.names[d]
	if !ok {
		name = "blobs/sha256/" + d.Hex()
	}
	m, err := s.open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: has no %s: %w: %w", s.where, d, fs.ErrNotExist, bundle.About(bundle.AboutInput, fetch.ErrUpstream))
	}
	return m, err
}

// document reads a small file by name.
func (s *Store) document(name string, limit int64) ([]byte, error) {
	m, err := s.open(name)
	if err != nil {
		return nil, err
	}
	return s.read(m, name, limit)
}

// read reads a member and closes it.
func (s *Store) read(m *member, what string, limit int64) (content []byte, err error) {
	defer func() { err = errors.Join(err, m.Close()) }()
	if m.Size() > limit {
		return nil, s.fault("%s: %s, at most %d", what, bundle.Count(m.Size(), "byte"), limit)
	}
	content = make([]byte, m.Size())
	if _, err := io.ReadFull(m, content); err != nil {
		return nil, fmt.Errorf("%s: %s: %w", s.where, what, err)
	}
	return content, nil
}

// fault returns an error about what the layout or the archive holds.
func (s *Store) fault(format string, args ...any) error {
	return fmt.Errorf("%s: %w: %w", s.where, fmt.Errorf(format, args...), bundle.About(bundle.AboutInput, fetch.ErrUpstream))
}

// regular opens a file that is no folder, device or pipe.
func regular(stat func() (fs.FileInfo, error), open func() (*os.File, error)) (*os.File, int64, error) {
	info, err := stat()
	if err != nil {
		return nil, 0, err
	}
	if !info.Mode().IsRegular() {
		return nil, 0, &fs.PathError{Op: "open", Path: info.Name(), Err: errors.New("not a regular file")}
	}
	f, err := open()
	return f, info.Size(), err
}
