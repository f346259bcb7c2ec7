package verify

import (
	"bytes"
	"fmt"
	"hash"
	"io"

	"github.com/gapbundle/gapbundle/bundle"
)

// CopyRoot passes every file of the bundle but README and volumes to write, so
// that the medium with the root may be taken out and others follow. The content
// is checked again while it is read: where it changed since Open, its end is an
// error that matches bundle.ErrCorrupt. Signatures are the bytes that Open has looked at,
// whatever the medium has now. The root comes last: a copy that has it
// has all.
func (b *Bundle) CopyRoot(write func(name string, content io.Reader) error) error {
	for _, f := range b.manifest.Catalog {
		if err := b.copyFile(f.Name, f.Size, f.Digest, write); err != nil {
			return err
		}
	}
	sums := b.manifest.Sums
	digest, err := bundle.ParseDigest(string(sums.Digest))
	if err != nil {
		return fmt.Errorf("%s: %w", bundle.SumsName, err)
	}
	if err := b.copyFile(bundle.SumsName, sums.Size, digest, write); err != nil {
		return err
	}
	for _, s := range b.signatures {
		if err := write(s.Name, bytes.NewReader(s.Data)); err != nil {
			return err
		}
	}
	root, err := b.reader.Root()
	if err != nil {
		return fmt.Errorf("%s: %w", b.Name(), err)
	}
	return write(bundle.RootName, checked(bytes.NewReader(root), b.root))
}

func (b *Bundle) copyFile(name string, size int64, want bundle.Digest, write func(string, io.Reader) error) error {
	f, err := b.reader.Open(name, size)
	if err != nil {
		return err
	}
	defer f.Close()
	return write(name, checked(f, want))
}

// checkedReader ends with io.EOF only if the content has the digest that was
// checked before.
type checkedReader struct {
	r    io.Reader
	hash hash.Hash
	want bundle.Digest
}

func checked(r io.Reader, want bundle.Digest) io.Reader {
	return &checkedReader{r: r, hash: bundle.NewHash(), want: want}
}

func (c *checkedReader) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	_, _ = c.hash.Write(b[:n])
	if err == io.EOF {
		if got := bundle.SumOf(c.hash); got != c.want {
			return n, fmt.Errorf("changed since it was checked: want %s, got %s: %w", c.want, got, bundle.ErrCorrupt)
		}
	}
	return n, err
}
