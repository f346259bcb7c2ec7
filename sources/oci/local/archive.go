package local

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/decompress"
)

const (
	// maxMembers bounds the members of an archive, whose names are held in memory.
	maxMembers = 100_000
	// maxUnpacked bounds what a packed archive unpacks to.
	maxUnpacked = 512 << 30 // bytes
	// maxLinks bounds the links from one member to the next.
	maxLinks = 8
)

// packings are the first bytes of what archives and layers are packed with, and the end
// of a name that package decompress knows it by.
var packings = []struct{ magic, suffix string }{
	{"\x1f\x8b", ".gz"}, {"BZh", ".bz2"}, {"\xfd7zXZ\x00", ".xz"}, {"\x28\xb5\x2f\xfd", ".zst"},
}

// packing returns how content is packed by its first bytes, "" for not at all.
func packing(r io.ReaderAt) (string, error) {
	head := make([]byte, 6)
	n, err := r.ReadAt(head, 0)
	if err != nil && err != io.EOF {
		return "", err
	}
	for _, p := range packings {
		if strings.HasPrefix(string(head[:n]), p.magic) {
			return p.suffix, nil
		}
	}
	return "", nil
}

// Archive reads an archive's list of images. One that is packed is unpacked into scratch
// under a name. where is what errors call it.
func Archive(file, where string, scratch *os.Root, name string) (*Store, error) {
	s := &Store{where: where}
	f, _, err := regular(func() (fs.FileInfo, error) { return os.Stat(file) }, func() (*os.File, error) { return os.Open(file) })
	if err != nil {
		return nil, fmt.Errorf("%s: %w", where, err)
	}
	defer f.Close()
	reopen := func() (*os.File, error) { return os.Open(file) }
	suffix, err := packing(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", where, err)
	}
	if suffix != "" {
		if s.unpacked, err = unpack(f, suffix, where, scratch, name); err != nil {
			return nil, err
		}
		reopen = func() (*os.File, error) { return scratch.Open(name) }
	}
	if err := s.index(reopen); err != nil {
		return nil, err
	}
	saved, err := s.document(savedFile, maxIndex)
	switch {
	case err == nil:
		return s, s.readSaved(saved)
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	if m, err := s.open("repositories"); err == nil {
		return nil, errors.Join(s.fault("written by a Docker before 1.10, without %s: load it and save it again", savedFile), m.Close())
	}
	if m, err := s.open("index.json"); err == nil {
		return s, errors.Join(m.Close(), s.readLayout())
	}
	return nil, s.fault("has neither %s nor index.json, so it holds no images", savedFile)
}

func unpack(packed io.Reader, suffix, where string, scratch *os.Root, name string) (n int64, err error) {
	r, err := decompress.Reader(packed, suffix, where, maxUnpacked)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	out, err := scratch.Create(name)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	return io.Copy(out, r)
}

// part is where a member's content is in the archive, or the member that it links to.
type part struct {
	at, size int64
	link     string
}

// index notes where each member is.
func (s *Store) index(reopen func() (*os.File, error)) error {
	f, err := reopen()
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	parts := map[string]part{}
	for r, n := tar.NewReader(f), 0; ; n++ {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return s.fault("after %s: %w", bundle.Count(n, "member"), err)
		}
		if n == maxMembers {
			return s.fault("more than %d members", maxMembers)
		}
		at, err := f.Seek(0, io.SeekCurrent)
		if err != nil {
			return err
		}
		if err := s.add(parts, h, part{at: at, size: h.Size}, info.Size()); err != nil {
			return err
		}
	}
	s.open = func(name string) (*member, error) {
		p, err := s.find(parts, name)
		if err != nil {
			return nil, err
		}
		f, err := reopen()
		if err != nil {
			return nil, err
		}
		return &member{io.NewSectionReader(f, p.at, p.size), f}, nil
	}
	return nil
}

// add notes one member. end is the archive's size.
func (s *Store) add(parts map[string]part, h *tar.Header, p part, end int64) error {
	name := path.Clean(strings.TrimPrefix(h.Name, "/"))
	switch h.Typeflag {
	case tar.TypeReg:
	case tar.TypeSymlink:
		p = part{link: path.Join(path.Dir(name), h.Linkname)}
	case tar.TypeLink:
		p = part{link: path.Clean(h.Linkname)}
	case tar.TypeDir, tar.TypeXGlobalHeader:
		return nil
	default:
		return s.fault("%.200q: a member of type %q, which archives of images do not have", h.Name, h.Typeflag)
	}
	for key := range h.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse.") {
			return s.fault("%.200q: a sparse file", h.Name)
		}
	}
	if p.size > end-p.at {
		return s.fault("%.200q: %s, and the archive ends before: it is cut off", h.Name, bundle.Count(p.size, "byte"))
	}
	if _, twice := parts[name]; twice {
		return s.fault("%.200q: occurs twice", h.Name)
	}
	parts[name] = p
	return nil
}

// find follows links to a member.
func (s *Store) find(parts map[string]part, name string) (part, error) {
	start := name
	for range maxLinks {
		p, ok := parts[path.Clean(name)]
		if !ok {
			return part{}, &fs.PathError{Op: "open", Path: start, Err: fs.ErrNotExist}
		}
		if p.link == "" {
			return p, nil
		}
		name = p.link
	}
	return part{}, s.fault("%.200q: more than %d links", start, maxLinks)
}

// hashes returns the digest of a member as it is, and of what it unpacks to.
func (s *Store) hashes(m *member, suffix, what string) (packed, unpacked bundle.Digest, err error) {
	whole, inner := bundle.NewHash(), bundle.NewHash()
	from := io.TeeReader(m, whole)
	r, err := decompress.Reader(from, suffix, s.where+": "+what, maxUnpacked)
	if err != nil {
		return packed, unpacked, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	if _, err := io.Copy(inner, r); err != nil {
		return packed, unpacked, err
	}
	if _, err := io.Copy(io.Discard, from); err != nil {
		return packed, unpacked, err
	}
	return bundle.SumOf(whole), bundle.SumOf(inner), nil
}
