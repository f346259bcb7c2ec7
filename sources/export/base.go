package export

import (
	"errors"
	"fmt"
	"io"
	"iter"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/gapbundle/gapbundle/bundle"
)

// base is the state that a delta builds on. A nil *base is an empty one.
type base struct {
	manifest     *bundle.Manifest
	acknowledged bool
	openList     func(d bundle.Digest) (io.ReadCloser, error)
	close        func() error // nil: nothing is open
}

// blobs returns all blobs of the base with their sizes, without those that a mirror asks for.
func (b *base) blobs(without *asked) (*bundle.DigestSet, error) {
	if b == nil {
		return bundle.NewDigestSet(0), nil
	}
	var count int64
	for _, r := range b.manifest.Repositories {
		count += r.Count
	}
	set := bundle.NewDigestSet(min(count, bundle.MaxFiles))
	for _, r := range b.manifest.Repositories {
		err := b.files(r, func(f bundle.File) {
			if !without.wants(f.Digest) {
				set.Add(f.Digest, f.Size)
			}
		})
		if err != nil {
			return nil, err
		}
	}
	return set, nil
}

// listed streams the files that the base has of a repository, in order of paths.
func (b *base) listed(r bundle.Repository) iter.Seq2[bundle.File, error] {
	return readBase[bundle.File](b, r, r.Files, bundle.MediaTypeFileList)
}

// readBase streams a list of the base.
func readBase[T bundle.File | bundle.Evidence](b *base, r bundle.Repository, of v1.Descriptor, mediaType string) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		d, err := bundle.CheckDescriptor(of, mediaType)
		if err != nil {
			yield(none, err)
			return
		}
		list, err := b.openList(d)
		if err != nil {
			yield(none, fmt.Errorf("base %d, source %s: list: %w", b.manifest.Sequence, r.Name, err))
			return
		}
		defer func() { _ = list.Close() }() // read-only
		for v, err := range bundle.ReadList[T](list, "base, source "+r.Name) {
			if !yield(v, err) || err != nil {
				return
			}
		}
	}
}

func (b *base) files(r bundle.Repository, do func(bundle.File)) error {
	d, err := bundle.CheckDescriptor(r.Files, bundle.MediaTypeFileList)
	if err != nil {
		return err
	}
	list, err := b.openList(d)
	if err != nil {
		return fmt.Errorf("base %d, source %s: file list: %w", b.manifest.Sequence, r.Name, err)
	}
	h := bundle.NewHash()
	for f, err := range bundle.ReadList[bundle.File](io.TeeReader(list, h), "base, source "+r.Name) {
		if err != nil {
			return errors.Join(err, list.Close())
		}
		do(f)
	}
	if got := bundle.SumOf(h); got != d {
		err := fmt.Errorf("base %d, source %s: file list: want %s, got %s: %w", b.manifest.Sequence, r.Name, d, got, bundle.ErrCorrupt)
		return errors.Join(bundle.About(bundle.AboutBase, err), list.Close())
	}
	return list.Close()
}

// lists returns the digests of all lists that the base has.
func (b *base) lists() map[bundle.Digest]bool {
	out := make(map[bundle.Digest]bool)
	if b == nil {
		return out
	}
	for _, r := range b.manifest.Repositories {
		for _, list := range r.Lists() {
			if d, err := bundle.ParseDigest(string(list.Digest)); err == nil {
				out[d] = true
			}
		}
	}
	return out
}

func openCatalog(r *bundle.Reader, m *bundle.Manifest) (*bundle.Catalog, error) {
	sizes := make(map[string]int64, len(m.Catalog))
	for _, c := range m.Catalog {
		sizes[c.Name] = c.Size
	}
	return bundle.NewCatalog(m, func(name string) (io.ReaderAt, int64, error) {
		f, err := r.Open(name, sizes[name])
		if err != nil {
			return nil, 0, err
		}
		return f, f.Size(), nil
	})
}

func readManifest(path string) (*bundle.Manifest, error) {
	readers, err := bundle.Discover([]string{path})
	if err != nil {
		return nil, err
	}
	var m *bundle.Manifest
	for i, r := range readers {
		if i == 0 {
			var root []byte
			if root, err = r.Root(); err == nil {
				m, err = bundle.ParseManifest(root)
			}
		}
		err = errors.Join(err, r.Close())
	}
	return m, err
}
