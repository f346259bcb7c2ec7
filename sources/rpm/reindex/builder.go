package reindex

import (
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/pgpkeys"
	"github.com/gapbundle/gapbundle/sources/rebuild"
	"github.com/gapbundle/gapbundle/sources/rpm/rpmmd"
	"github.com/gapbundle/gapbundle/sources/stock"
)

// Names of the index and its signature, below a repository.
const (
	nameRepomd    = "repodata/repomd.xml"
	nameSignature = "repodata/repomd.xml.asc"
)

// Builder makes the repodata of one repository.
type Builder struct {
	press *rebuild.Press
	dir   string
	date  time.Time
	index rpmmd.Repomd
	files []stock.File
}

// New begins with what is said about the repository as a whole. dir is its folder in the
// mount: "" or ends with a slash. Everything is dated date, signatures as well.
func New(press *rebuild.Press, dir, revision string, tags []rpmmd.Tag, date time.Time) *Builder {
	return &Builder{press: press, dir: dir, date: date, index: rpmmd.Repomd{Revision: revision, Tags: tags}}
}

// Put adds a metadata file of a type, whose name ends like "primary.xml", and if packed
// like "primary.xml.gz". Its content is what write writes, and read reads it back,
// unpacked.
func (b *Builder) Put(kind, name string, packed bool, write func(io.Writer) error, read rebuild.Read) error {
	d := rpmmd.Data{Type: kind, OpenSize: -1, Timestamp: b.date.Unix()}
	to, from := write, read
	if packed {
		name += ".gz"
		from = func(r io.Reader) error {
			packed := bufio.NewReader(r)
			z, err := gzip.NewReader(packed)
			if err != nil {
				return err
			}
			z.Multistream(false)
			if err := read(z); err != nil {
				return err
			}
			switch n, err := io.Copy(io.Discard, z); {
			case err != nil:
				return err
			case n > 0:
				return fmt.Errorf("bytes after what was read: %d", n)
			}
			if _, err := packed.ReadByte(); !errors.Is(err, io.EOF) {
				return errors.New("something follows its end")
			}
			return nil
		}
		to = func(w io.Writer) error {
			z := gzip.NewWriter(w)
			open := rebuild.NewMeter(z)
			err := errors.Join(write(open), z.Close())
			d.OpenChecksum, d.OpenSize = checksum(open.Digest()), open.N
			return err
		}
	}
	f, err := b.press.Put(b.dir+"repodata/"+name, to, from)
	if err != nil {
		return err
	}
	d.Checksum, d.Size = checksum(f.Digest), f.Size
	d.Location = "repodata/" + d.Checksum.Hex + "-" + name
	f.Path = b.dir + d.Location
	b.index.Data, b.files = append(b.index.Data, d), append(b.files, f)
	return nil
}

// Finish makes repomd.xml and its signature, and returns all files, these last. If signer
// is nil, the signature is not known: a plan does not open the site's key.
func (b *Builder) Finish(signer *pgpkeys.Signer) ([]stock.File, error) {
	text := b.index.Marshal()
	index, err := b.press.PutBytes(b.dir+nameRepomd, text, rebuild.Whole(b.read))
	if err != nil {
		return nil, err
	}
	if signer == nil {
		return append(b.files, index, b.press.Closed(b.dir+nameSignature)), nil
	}
	signature, err := signer.Detach(text, b.date)
	if err != nil {
		return nil, err
	}
	signed, err := b.press.PutBytes(b.dir+nameSignature, signature, rebuild.Whole(func(signature []byte) error {
		return signer.CheckDetached(text, signature, b.date)
	}))
	return append(b.files, index, signed), err
}

// read reads a repomd.xml that has to list what was put.
func (b *Builder) read(text []byte) error {
	index, err := rpmmd.ParseRepomd(text)
	if err != nil {
		return err
	}
	if index.Revision != b.index.Revision || !slices.Equal(index.Data, b.index.Data) {
		return fmt.Errorf("revision and files: want %q and %d, got %q and %d, or other ones", b.index.Revision, len(b.index.Data), index.Revision, len(index.Data))
	}
	return nil
}

func checksum(d bundle.Digest) rpmmd.Checksum {
	return rpmmd.Checksum{Type: "sha256", Hex: d.Hex()}
}
