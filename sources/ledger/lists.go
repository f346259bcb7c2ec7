package ledger

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/bundle/durable"
)

// Lists are the lists of every state that may be the base of a delta, by their digests. A
// read-only ledger that does not exist has none.
type Lists struct{ root *os.Root }

// Lists returns the lists that the ledger keeps.
func (l *Ledger) Lists() Lists { return Lists{l.root} }

// Open opens a list of a kept state by its digest. Its bytes are those
// that were exported; the caller checks the digest where it depends on it.
func (k Lists) Open(d bundle.Digest) (io.ReadCloser, error) {
	if k.root == nil {
		return nil, fmt.Errorf("list %s: %w", d, fs.ErrNotExist)
	}
	return k.root.Open(listsDir + "/" + d.Hex())
}

// Has reports whether Open would find the list.
func (k Lists) Has(d bundle.Digest) (bool, error) {
	if k.root == nil {
		return false, nil
	}
	_, err := k.root.Stat(listsDir + "/" + d.Hex())
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// keepFrom keeps a list that is a file below scratch.
func (k Lists) keepFrom(d bundle.Digest, scratch *os.Root, name string) error {
	if ok, err := k.Has(d); ok || err != nil {
		return err
	}
	src, err := scratch.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(k.Keep(src), src.Close())
}

// Keep keeps a list under the digest that its bytes turn out to have.
func (k Lists) Keep(list io.Reader) error {
	const incoming = listsDir + "/incoming"
	h := bundle.NewHash()
	err := durable.WriteFrom(k.root, incoming, 0o600, func(w io.Writer) error {
		_, err := io.Copy(io.MultiWriter(w, h), list)
		return err
	})
	if err != nil {
		return err
	}
	if err := k.root.Rename(incoming, listsDir+"/"+bundle.SumOf(h).Hex()); err != nil {
		return err
	}
	return durable.SyncDir(k.root, listsDir)
}
