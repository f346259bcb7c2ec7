package unpack

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/bundle/durable"
	"github.com/gapbundle/gapbundle/verify"
)

func receiptFile(name string) string { return receiptDir + "/" + name + ".receipt.json" }

// Receipt is the signed receipt of the newest bundle that was imported of a
// set; the error matches bundle.ErrIncomplete where there is none.
func (m *Mirror) Receipt(set string) ([]byte, error) {
	t, err := m.ratchet(set)
	if err != nil {
		return nil, err
	}
	if t.Acknowledged == nil {
		return nil, fmt.Errorf("set %s: nothing was imported yet: %w", set, bundle.ErrIncomplete)
	}
	return m.root.ReadFile(receiptFile(bundle.DirName(set, t.Acknowledged.Sequence)))
}

// receiptKey opens the key that signs receipts, made at the first need. It has
// no passphrase, because imports run unattended, and can do nothing else.
func (w *writer) receiptKey() (*bundle.Signer, error) {
	b, err := w.root.ReadFile(receiptKeyFile)
	if errors.Is(err, fs.ErrNotExist) {
		if b, _, err = bundle.GenerateKey(); err == nil {
			err = durable.WriteFile(w.root, receiptKeyFile, b, stateFileMode)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("receipt key: %w", err)
	}
	return bundle.ParseSigner(b)
}

// receipt is the signed receipt for a bundle that is about to be published.
func (w *writer) receipt(b *verify.Bundle) ([]byte, error) {
	key, err := w.receiptKey()
	if err != nil {
		return nil, err
	}
	m := b.Manifest()
	r := &bundle.Receipt{
		Set: m.Set, Stream: m.Stream, Sequence: m.Sequence, Root: b.Root(), State: m.State,
		Destination: m.Destination, Overrides: b.Overrides(), Imported: w.now(), Tool: w.o.Tool,
		Formats: []int{bundle.Format}, Features: bundle.Features(), Volumes: int64(len(b.Volumes())),
	}
	for _, s := range b.Signers() {
		r.Signers = append(r.Signers, s.ID)
	}
	for _, repo := range m.Repositories {
		r.Files += repo.Count
		r.Bytes += repo.Bytes
	}
	r.Checks = []bundle.CheckCount{
		{Name: "files", Count: r.Files},
		{Name: "repositories", Count: int64(len(m.Repositories))},
		{Name: "signatures", Count: int64(len(b.Signers()))},
		{Name: "volumes", Count: r.Volumes},
	}
	return bundle.SignReceipt(r, key)
}
