package verify

import (
	"bytes"
	"fmt"
	"io"
	"os"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/bundle/durable"
)

// CopyRoot copies everything of the bundle but README and volumes into dst,
// durably, so that the medium with the root may be taken out and others
// follow. What is copied is checked again on the way. The root comes last: a
// directory that has it has all.
func (b *Bundle) CopyRoot(dst *os.Root) error {
	for _, f := range b.manifest.Catalog {
		if err := b.copyFile(dst, f.Name, f.Size, f.Digest); err != nil {
			return err
		}
	}
	sums := b.manifest.Sums
	digest, err := bundle.ParseDigest(string(sums.Digest))
	if err != nil {
		return fmt.Errorf("%s: %w", bundle.SumsName, err)
	}
	if err := b.copyFile(dst, bundle.SumsName, sums.Size, digest); err != nil {
		return err
	}
	signatures, err := b.reader.Signatures()
	if err != nil {
		return fmt.Errorf("%s: %w", b.Name(), err)
	}
	for _, s := range signatures {
		if err := durable.WriteFile(dst, s.Name, s.Data, 0o600); err != nil {
			return err
		}
	}
	root, err := b.reader.Root()
	if err != nil {
		return fmt.Errorf("%s: %w", b.Name(), err)
	}
	return writeChecked(dst, bundle.RootName, bytes.NewReader(root), b.root)
}

func (b *Bundle) copyFile(dst *os.Root, name string, size int64, want bundle.Digest) error {
	f, err := b.reader.Open(name, size)
	if err != nil {
		return err
	}
	defer f.Close()
	return writeChecked(dst, name, f, want)
}

func writeChecked(dst *os.Root, name string, r io.Reader, want bundle.Digest) error {
	return durable.WriteFrom(dst, name, 0o600, func(w io.Writer) error {
		h := bundle.NewHash()
		if _, err := io.Copy(io.MultiWriter(w, h), r); err != nil {
			return err
		}
		if got := bundle.SumOf(h); got != want {
			return fmt.Errorf("changed since it was checked: want %s, got %s: %w", want, got, bundle.ErrCorrupt)
		}
		return nil
	})
}
