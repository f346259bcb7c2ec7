// Package tarball opens what Galaxy calls an artifact: a collection as a gzipped tar archive.
//
// The archive is what "ansible-galaxy collection build" makes. MANIFEST.json states which collection it
// is, what it depends on, and the SHA-256 of FILES.json; FILES.json lists every folder and file of the
// archive but those two, each file with its SHA-256. A detached signature of a collection is one of
// MANIFEST.json, so what holds for that file holds for all of them.
//
// An archive is refused if it does not agree with its list on every file, if it has names that leave the
// folder or occur twice, links that lead out of the collection or through another link, or devices, and if
// it unpacks to more than the bounds below.
package tarball

import (
	"archive/tar"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/klauspost/compress/gzip"

	"github.com/gapbundle/gapbundle/bundle"
)

const (
	// maxManifest and maxList bound MANIFEST.json and FILES.json, which are held in memory.
	maxManifest = 4 << 20  // bytes
	maxList     = 32 << 20 // bytes
	// maxEntries bounds how many members an archive has: one stays in memory with its name and digest.
	maxEntries = 100_000
	// maxUnpacked bounds what an archive unpacks to. The largest collections have some 50 MB.
	maxUnpacked = 1 << 30 // bytes

	manifestName = "MANIFEST.json"
	listName     = "FILES.json"
)

// Collection is what an archive that was read to its end turned out to be.
type Collection struct {
	Namespace, Name, Version string
	// Dependencies are ranges by the full name of a collection.
	Dependencies map[string]string
	// Manifest is MANIFEST.json: what a detached signature is made over.
	Manifest []byte
	// Files is how many files the archive has, those two included.
	Files int
}

// FullName returns "namespace.name".
func (c *Collection) FullName() string { return c.Namespace + "." + c.Name }

// member is what the archive has under a name.
type member struct {
	folder bool
	digest bundle.Digest // of a regular file
	link   string        // path in the archive that a link leads to; "": it is none
}

// archive is one that is read.
type archive struct {
	members  map[string]member
	manifest []byte
	list     []byte
	left     int64 // bytes that it may still unpack to
}

// Read reads an archive to its end and checks it. Errors of its content match bundle.ErrMalformed;
// those of r are returned as they are.
func Read(r io.Reader) (*Collection, error) {
	in := &source{r: r}
	c, err := read(in)
	if in.err != nil {
		return nil, in.err
	}
	return c, err
}

// source remembers an error of its reader, so that it is not taken for one of the archive.
type source struct {
	r   io.Reader
	err error
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	return n, err
}

func read(in io.Reader) (*Collection, error) {
	unpacked, err := gzip.NewReader(in)
	if err != nil {
		return nil, fmt.Errorf("not a gzipped archive: %w", bundle.ErrMalformed)
	}
	a := &archive{members: map[string]member{}, left: maxUnpacked}
	if err := a.each(unpacked, a.member); err != nil {
		return nil, err
	}
	return a.collection()
}

// bounded counts what an archive unpacks to.
type bounded struct {
	r io.Reader
	a *archive
}

func (b bounded) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if b.a.left -= int64(n); b.a.left < 0 {
		return 0, fmt.Errorf("unpacks to more than %d bytes: %w", int64(maxUnpacked), bundle.ErrMalformed)
	}
	return n, err
}

// each calls f for every member, and reads to the end of what is packed.
func (a *archive) each(unpacked io.Reader, f func(*tar.Header, io.Reader) error) error {
	unpacked = bounded{unpacked, a}
	in := tar.NewReader(unpacked)
	for count := 0; ; count++ {
		h, err := in.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return malformed(err)
		}
		if count == maxEntries {
			return fmt.Errorf("archive: more than %d members: %w", maxEntries, bundle.ErrMalformed)
		}
		if err := f(h, in); err != nil {
			return err
		}
	}
	if _, err := io.Copy(io.Discard, unpacked); err != nil { // to the checksum of gzip
		return malformed(err)
	}
	return nil
}

// malformed marks an error that a reader of the archive found as malformed.
func malformed(err error) error {
	if errors.Is(err, bundle.ErrMalformed) {
		return err
	}
	return fmt.Errorf("archive: %w: %w", err, bundle.ErrMalformed)
}

func (a *archive) member(h *tar.Header, content io.Reader) error {
	name := strings.TrimSuffix(h.Name, "/")
	if err := bundle.CheckPath(name); err != nil {
		return fmt.Errorf("archive: %w", err)
	}
	if _, twice := a.members[name]; twice {
		return fmt.Errorf("archive: %s: occurs twice: %w", name, bundle.ErrMalformed)
	}
	var m member
	var err error
	switch h.Typeflag {
	case tar.TypeDir:
		m.folder = true
	case tar.TypeReg:
		m.digest, err = a.file(name, content)
	case tar.TypeSymlink:
		m.link, err = linked(name, path.Dir(name), h.Linkname)
	case tar.TypeLink:
		m.link, err = linked(name, ".", h.Linkname)
	default:
		err = fmt.Errorf("archive: %s: neither file, folder nor link: %w", name, bundle.ErrMalformed)
	}
	a.members[name] = m
	return err
}

// linked returns where a link leads, if it stays in the archive.
func linked(name, dir, to string) (string, error) {
	target := path.Join(dir, to)
	if path.IsAbs(to) || bundle.CheckPath(target) != nil && target != "." {
		return "", fmt.Errorf("archive: %s: a link that leads out, to %q: %w", name, to, bundle.ErrMalformed)
	}
	return target, nil
}

// file hashes a file's content, and keeps the content of MANIFEST.json and FILES.json.
func (a *archive) file(name string, content io.Reader) (bundle.Digest, error) {
	sum := sha256.New()
	var kept *[]byte
	limit := int64(0)
	switch name {
	case manifestName:
		kept, limit = &a.manifest, maxManifest
	case listName:
		kept, limit = &a.list, maxList
	default:
		_, err := io.Copy(sum, content)
		if err != nil {
			return bundle.Digest{}, malformed(err)
		}
		return bundle.Digest(sum.Sum(nil)), nil
	}
	b, err := io.ReadAll(io.LimitReader(content, limit+1))
	if err != nil {
		return bundle.Digest{}, malformed(err)
	}
	if int64(len(b)) > limit {
		return bundle.Digest{}, fmt.Errorf("archive: %s: more than %s: %w", name, bundle.Count(limit, "byte"), bundle.ErrMalformed)
	}
	*kept = b
	return bundle.DigestOf(b), nil
}
