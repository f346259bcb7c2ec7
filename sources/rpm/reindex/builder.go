package reindex

import (
	"compress/gzip"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"time"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/pgpkeys"
	"github.com/gapbundle/gapbundle/sources/rpm/rpmmd"
)

// Builder makes the repodata of one repository. Metadata files come to lie in
// scratch, under names that begin with a prefix.
type Builder struct {
	scratch *os.Root
	prefix  string
	date    time.Time
	index   rpmmd.Repomd
	files   []File
}

// File is a file that was made: in scratch, or in memory.
type File struct {
	// Path is below the repository: "repodata/...".
	Path    string
	Local   string // name in scratch; "": Content is it
	Content []byte
	Size    int64
	Digest  bundle.Digest
}

// New begins with what is said about the repository as a whole. Everything is
// dated date, signatures as well.
func New(scratch *os.Root, prefix, revision string, tags []rpmmd.Tag, date time.Time) *Builder {
	return &Builder{scratch: scratch, prefix: prefix, date: date, index: rpmmd.Repomd{Revision: revision, Tags: tags}}
}

// Put adds a metadata file of a type, whose name ends like "primary.xml", and
// packed like "primary.xml.gz". What write writes is its content.
func (b *Builder) Put(kind, name string, packed bool, write func(io.Writer) error) (err error) {
	local := fmt.Sprintf("%s-made-%d", b.prefix, len(b.files))
	out, err := b.scratch.Create(local)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	whole := &meter{w: out, hash: bundle.NewHash()}
	open := whole
	if packed {
		z := gzip.NewWriter(whole)
		open = &meter{w: z, hash: bundle.NewHash()}
		if err := write(open); err != nil {
			return err
		}
		if err := z.Close(); err != nil {
			return err
		}
		name += ".gz"
	} else if err := write(whole); err != nil {
		return err
	}
	d := rpmmd.Data{
		Type: kind, Checksum: whole.sum(), Size: whole.n, OpenSize: -1,
		Timestamp: b.date.Unix(),
	}
	if packed {
		d.OpenChecksum, d.OpenSize = open.sum(), open.n
	}
	d.Location = "repodata/" + d.Checksum.Hex + "-" + name
	b.index.Data = append(b.index.Data, d)
	b.files = append(b.files, File{Path: d.Location, Local: local, Size: whole.n, Digest: bundle.SumOf(whole.hash)})
	return nil
}

// Finish makes repomd.xml and, with a signer, its signature, and gives all
// files, these last.
func (b *Builder) Finish(signer *pgpkeys.Signer) ([]File, error) {
	text := b.index.Marshal()
	all := append(b.files, inMemory("repodata/repomd.xml", text))
	if signer == nil {
		return all, nil
	}
	sig, err := signer.Detach(text, b.date)
	if err != nil {
		return nil, err
	}
	return append(all, inMemory("repodata/repomd.xml.asc", sig)), nil
}

func inMemory(path string, content []byte) File {
	return File{Path: path, Content: content, Size: int64(len(content)), Digest: bundle.DigestOf(content)}
}

// meter counts and hashes what passes.
type meter struct {
	w    io.Writer
	hash hash.Hash
	n    int64
}

func (m *meter) Write(p []byte) (int, error) {
	n, err := m.w.Write(p)
	m.n += int64(n)
	_, _ = m.hash.Write(p[:n]) // never fails
	return n, err
}

func (m *meter) sum() rpmmd.Checksum {
	return rpmmd.Checksum{Type: "sha256", Hex: fmt.Sprintf("%x", m.hash.Sum(nil))}
}
