package export

import (
	"crypto"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources/ledger"
)

// base is the state that a delta builds on. A nil *base is an empty one.
type base struct {
	manifest     *bundle.Manifest
	acknowledged bool
	openList     func(d bundle.Digest) (io.ReadCloser, error)
}

// blobs are all blobs of the base with their sizes, without those that a mirror asks for.
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

// lists are the digests of all lists that the base has.
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

// chooseBase sets the base: what was asked for, or what the ledger says.
func (s *session) chooseBase() error {
	if s.o.Repair != "" {
		if err := s.readRequest(); err != nil {
			return bundle.About(bundle.AboutReceipt, err)
		}
	}
	if s.o.Full {
		if s.o.Base != "" {
			return fmt.Errorf("--full and --base: give one of them: %w", bundle.ErrUsage)
		}
		return nil
	}
	var b *ledger.Base
	var err error
	switch info, statErr := os.Stat(s.o.Base); {
	case s.asked != nil:
		b, err = s.requestBase()
	case s.o.Base == "":
		b, err = s.ledger.Base(s.o.Destination)
	case statErr == nil && info.IsDir():
		return s.baseFromBundle(s.o.Base)
	case statErr == nil:
		b, err = s.baseFromReceipt(s.o.Base)
	default:
		b, err = s.ledger.Select(s.o.Destination, s.o.Base)
	}
	if err != nil || b == nil {
		return err
	}
	s.base = &base{manifest: b.Manifest, acknowledged: b.Acknowledged, openList: s.ledger.OpenList}
	return nil
}

func (s *session) baseFromReceipt(path string) (*ledger.Base, error) {
	r, err := readReceipt(path, s.ledger.Destinations()[s.o.Destination].ReceiptKey, s.o.ConfirmReceipt)
	if err != nil {
		return nil, err
	}
	if r.Set != s.spec.Set || r.Stream != s.ledger.Stream() {
		return nil, fmt.Errorf("receipt %s: for set %s, stream %s; this is set %s, stream %s: %w",
			path, r.Set, r.Stream, s.spec.Set, s.ledger.Stream(), bundle.ErrUsage)
	}
	m, err := s.ledger.Manifest(r.Sequence)
	if err != nil {
		return nil, fmt.Errorf("receipt %s: %w", path, err)
	}
	if m.State != r.State {
		return nil, fmt.Errorf("receipt %s: state %s of bundle %d, the ledger has %s: %w",
			path, r.State.Short(), r.Sequence, m.State.Short(), bundle.ErrUntrusted)
	}
	return &ledger.Base{Manifest: m, Acknowledged: true}, nil
}

// baseFromBundle takes an earlier bundle, of this exporter, as the base. What
// importers accept does not depend on it: a wrong base costs an import that
// is refused as incomplete.
func (s *session) baseFromBundle(path string) error {
	r, m, err := s.openOwnBundle(path)
	if err != nil {
		return err
	}
	s.closers = append(s.closers, r.Close)
	if m.Set != s.spec.Set {
		return fmt.Errorf("base %s: of set %s, the spec is set %s: %w", path, m.Set, s.spec.Set, bundle.ErrUsage)
	}
	catalog, err := openCatalog(r, m)
	if err != nil {
		return err
	}
	s.base = &base{manifest: m, openList: func(d bundle.Digest) (io.ReadCloser, error) {
		if ok, err := s.ledger.HasList(d); ok || err != nil {
			return s.ledger.OpenList(d)
		}
		for i, repo := range m.Repositories {
			if string(repo.Files.Digest) == d.String() {
				return catalog.Files(i)
			}
			if string(repo.Evidence.Digest) == d.String() {
				return catalog.Evidence(i)
			}
			if repo.Contents != nil && string(repo.Contents.Digest) == d.String() {
				return catalog.Contents(i)
			}
		}
		return nil, fmt.Errorf("list %s: in no repository of %s: %w", d, path, bundle.ErrIncomplete)
	}}
	return nil
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

// openOwnBundle opens one bundle and, when keys are at hand (an export, not a
// plan), requires that one of them signed it.
func (s *session) openOwnBundle(path string) (*bundle.Reader, *bundle.Manifest, error) {
	readers, err := bundle.Discover([]string{path})
	if err != nil {
		return nil, nil, err
	}
	var errs []error
	for _, r := range readers[1:] {
		errs = append(errs, r.Close())
	}
	r := readers[0]
	if len(readers) > 1 {
		errs = append(errs, fmt.Errorf("%s: holds %s, name one of them: %w", path, bundle.Count(len(readers), "bundle"), bundle.ErrUsage))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, nil, errors.Join(err, r.Close())
	}
	m, err := s.ownManifest(r)
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("%s: %w", path, err), r.Close())
	}
	return r, m, nil
}

func (s *session) ownManifest(r *bundle.Reader) (*bundle.Manifest, error) {
	root, err := r.Root()
	if err != nil {
		return nil, err
	}
	if len(s.signers) > 0 {
		if err := s.signedByUs(r, bundle.DigestOf(root)); err != nil {
			return nil, err
		}
	}
	return bundle.ParseKept(root)
}

func (s *session) signedByUs(r *bundle.Reader, root bundle.Digest) error {
	files, err := r.Signatures()
	if err != nil {
		return err
	}
	for _, f := range files {
		sig, err := bundle.ParseSignature(f.Data)
		if err != nil {
			continue // a bad signature does no harm next to a good one
		}
		for _, signer := range s.signers {
			public, _, err := bundle.ParsePublicKey(signer.PublicPEM())
			if err != nil {
				return err
			}
			if signs(sig, public, root) {
				return nil
			}
		}
	}
	return fmt.Errorf("not signed by a key of this export: %w", bundle.ErrUntrusted)
}

func signs(sig *bundle.Signature, public crypto.PublicKey, root bundle.Digest) bool {
	st, err := sig.Verify(public)
	return err == nil && st.PredicateType == bundle.PredicateBundle && st.Subject == root
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
