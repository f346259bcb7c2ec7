package state

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/bundle/durable"
	"github.com/gapbundle/gapbundle/verify"
)

func receiptFile(name string) string { return receiptDir + "/" + name + receiptSuffix }

const receiptSuffix = ".receipt.json"

// Receipt returns the signed receipt of the newest bundle that was imported of a
// set; the error matches bundle.ErrIncomplete where there is none.
func (s *State) Receipt(set string) ([]byte, error) {
	t, err := s.Ratchet(set)
	if err != nil {
		return nil, err
	}
	if t.Acknowledged == nil {
		return nil, bundle.About(bundle.AboutEmptyMirror, fmt.Errorf("set %s: nothing was imported yet: %w", set, bundle.ErrIncomplete))
	}
	return s.root.ReadFile(receiptFile(bundle.DirName(set, t.Acknowledged.Sequence)))
}

// receiptKey opens the key that signs receipts, made at the first need. It has
// no passphrase, because imports run unattended, and can do nothing else.
func receiptKey(root *os.Root) (*bundle.Signer, error) {
	b, err := root.ReadFile(ReceiptKeyFile)
	if errors.Is(err, fs.ErrNotExist) {
		if b, _, err = bundle.GenerateKey(); err == nil {
			err = durable.WriteFile(root, ReceiptKeyFile, b, privateMode)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("receipt key: %w", err)
	}
	key, err := bundle.ParseSigner(b)
	if err != nil {
		return nil, err
	}
	return key, writePublicKey(root, key)
}

// writePublicKey keeps the public half of the key of receipts next to it.
func writePublicKey(root *os.Root, key *bundle.Signer) error {
	want := key.PublicPEM()
	if have, err := root.ReadFile(receiptPublicFile); err == nil && bytes.Equal(have, want) {
		return nil
	}
	if err := WriteFile(root, receiptPublicFile, want); err != nil {
		return fmt.Errorf("receipt key: %w", err)
	}
	return nil
}

// publishReceiptKey keeps the public half of the key of receipts, if there is a key.
func publishReceiptKey(root *os.Root) error {
	if _, err := root.Lstat(ReceiptKeyFile); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	_, err := receiptKey(root)
	return err
}

// SignReceipt returns the signed receipt for a bundle that is about to be
// published. more are counts that it has besides its own.
func (w *Writer) SignReceipt(b *verify.Bundle, more ...bundle.CheckCount) ([]byte, error) {
	key, err := receiptKey(w.root)
	if err != nil {
		return nil, err
	}
	m := b.Manifest()
	r := &bundle.Receipt{
		Set: m.Set, Stream: m.Stream, Sequence: m.Sequence, Root: b.Root(), State: m.State,
		Destination: m.Destination, Overrides: b.Overrides(), Imported: w.Now(), Tool: w.o.Tool,
		Formats: []int{bundle.Format}, Features: bundle.Features(), Volumes: int64(len(b.Volumes())),
	}
	if r.Journal, err = w.head(); err != nil {
		return nil, err
	}
	for _, signer := range b.Signers() {
		r.Signers = append(r.Signers, signer.ID)
	}
	var unpinned int64
	for _, repo := range m.Repositories {
		r.Files += repo.Count
		r.Bytes += repo.Bytes
		unpinned += repo.Unpinned
	}
	r.Checks = append([]bundle.CheckCount{
		{Name: "files", Count: r.Files},
		{Name: "files not pinned", Count: unpinned},
		{Name: "repositories", Count: int64(len(m.Repositories))},
		{Name: "signatures", Count: int64(len(b.Signers()))},
		{Name: "volumes", Count: r.Volumes},
	}, more...)
	slices.SortFunc(r.Checks, func(a, b bundle.CheckCount) int { return strings.Compare(a.Name, b.Name) })
	return bundle.SignReceipt(r, key)
}

func requestFile(set string) string { return requestDir + "/" + set + ".repair.json" }

// WriteRequest signs a repair request with the key of receipts and writes it in the place
// of the one before of its set. It returns its name, relative to the mirror.
func (w *Writer) WriteRequest(q *bundle.RepairRequest) (name string, err error) {
	key, err := receiptKey(w.root)
	if err != nil {
		return "", err
	}
	content, err := bundle.SignRequest(q, key)
	if err != nil {
		return "", err
	}
	if err := makeDir(w.root, requestDir); err != nil {
		return "", err
	}
	return requestFile(q.Set), WriteFile(w.root, requestFile(q.Set), content)
}

// SweepRequests removes the repair requests of sets that keep does not report.
func (w *Writer) SweepRequests(keep func(set string) bool) error {
	entries, err := fs.ReadDir(w.root.FS(), requestDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		set, _, _ := strings.Cut(e.Name(), ".")
		if keep(set) {
			continue
		}
		if err := durable.Remove(w.root, requestDir+"/"+e.Name()); err != nil {
			return err
		}
	}
	return nil
}

// ReceiptKeyID identifies the key that signs receipts here, zero before the
// first receipt. A user who may not read the private key reads the public half.
func (s *State) ReceiptKeyID() (bundle.Digest, error) {
	b, err := s.root.ReadFile(ReceiptKeyFile)
	if errors.Is(err, fs.ErrNotExist) {
		return bundle.Digest{}, nil
	}
	if errors.Is(err, fs.ErrPermission) {
		if public, perr := s.root.ReadFile(receiptPublicFile); perr == nil {
			_, id, err := bundle.ParsePublicKey(public)
			return id, err
		}
	}
	if err != nil {
		return bundle.Digest{}, err
	}
	key, err := bundle.ParseSigner(b)
	if err != nil {
		return bundle.Digest{}, err
	}
	return key.KeyID(), nil
}

// ReceiptPath returns the absolute path of the receipt for the bundle of this
// name, and reports whether it is there.
func (s *State) ReceiptPath(name string) (path string, there bool) {
	_, err := s.root.Lstat(receiptFile(name))
	return filepath.Join(s.dir, filepath.FromSlash(receiptFile(name))), err == nil
}
