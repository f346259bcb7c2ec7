package export

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources/config"
	"github.com/gapbundle/gapbundle/sources/ledger"
)

// FileRequest and FileAdopted are the names of a bundle.AboutReceipt that is not the file of
// receipts add: the request of --repair, and what --adopt names.
const (
	FileRequest = "request"
	FileAdopted = "adopted"
)

// choice is what the choice of a base depends on.
type choice struct {
	o      Options
	spec   *config.Spec
	ledger *ledger.Ledger
	to     destination
	own    ownKeys
}

// base returns the base that was requested, or the ledger's, nil for a full bundle; and
// what a mirror asks for, where there is a request.
func (c choice) base() (*base, *asked, error) {
	request, err := c.readRequest()
	if err != nil {
		return nil, nil, &bundle.AboutError{Thing: bundle.AboutReceipt, Name: FileRequest, Err: err}
	}
	if c.o.Full {
		if c.o.Base != "" {
			return nil, nil, fmt.Errorf("--full and --base: give one of them: %w", bundle.ErrUsage)
		}
		return nil, nil, nil
	}
	var b *ledger.Base
	switch info, statErr := os.Stat(c.o.Base); {
	case request != nil:
		b, err = c.ofRequest(request.request)
	case c.o.Base == "":
		b, err = c.ledger.Base(c.to.name)
	case statErr == nil && info.IsDir():
		b, err := c.ofBundle(c.o.Base)
		return b, nil, err
	case statErr == nil:
		b, err = c.ofReceipt(c.o.Base)
	case !errors.Is(statErr, fs.ErrNotExist):
		return nil, nil, statErr
	default:
		b, err = c.ledger.Select(c.to.name, c.o.Base)
	}
	if err != nil || b == nil {
		return nil, request, err
	}
	return &base{manifest: b.Manifest, acknowledged: b.Acknowledged, openList: c.ledger.Lists().Open}, request, nil
}

func (c choice) ofReceipt(path string) (*ledger.Base, error) {
	r, err := readReceipt(path, c.to.known().ReceiptKey, c.o.ConfirmReceipt)
	if err != nil {
		return nil, err
	}
	if r.Set != c.spec.Set || r.Stream != c.ledger.Stream() {
		return nil, fmt.Errorf("receipt %s: for set %s, stream %s; this is set %s, stream %s: %w",
			path, r.Set, r.Stream, c.spec.Set, c.ledger.Stream(), bundle.ErrUsage)
	}
	m, err := c.ledger.Manifest(r.Sequence)
	if err != nil {
		return nil, fmt.Errorf("receipt %s: %w", path, err)
	}
	if m.State != r.State {
		return nil, fmt.Errorf("receipt %s: state %s of bundle %d, the ledger has %s: %w",
			path, r.State.Short(), r.Sequence, m.State.Short(), bundle.ErrUntrusted)
	}
	return &ledger.Base{Manifest: m, Acknowledged: true}, nil
}

// ofBundle takes an earlier bundle, of this exporter, as the base. Importers
// do not rely on it: a wrong base costs an import that
// is refused as incomplete.
func (c choice) ofBundle(path string) (*base, error) {
	r, m, err := c.own.openBundle(path)
	if err != nil {
		return nil, err
	}
	if m.Set != c.spec.Set {
		err := fmt.Errorf("base %s: of set %s, the spec is set %s: %w", path, m.Set, c.spec.Set, bundle.ErrUsage)
		return nil, errors.Join(err, r.Close())
	}
	catalog, err := openCatalog(r, m)
	if err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return &base{manifest: m, close: r.Close, openList: func(d bundle.Digest) (io.ReadCloser, error) {
		if ok, err := c.ledger.Lists().Has(d); ok || err != nil {
			return c.ledger.Lists().Open(d)
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
	}}, nil
}

// readRequest reads and verifies a repair request, by the key of the destination's
// receipts. nil: there is none.
func (c choice) readRequest() (*asked, error) {
	path := c.o.Repair
	if path == "" {
		return nil, nil
	}
	if c.o.Full || c.o.Base != "" || len(c.o.Only)+len(c.o.Hold) > 0 {
		return nil, fmt.Errorf("--repair: the request determines the base: use it without --full, --base, --only and --hold: %w", bundle.ErrUsage)
	}
	b, err := bundle.ReadNamed(path, bundle.MaxRequestSize)
	if err != nil {
		return nil, err
	}
	signed, err := bundle.ParseRequest(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	key := []byte(c.to.known().ReceiptKey)
	pinned := len(key) > 0
	if !pinned {
		if key, err = confirmedKey(signed, c.o.ConfirmReceipt); err != nil {
			return nil, fmt.Errorf("%s: destination %q: %w", path, c.to.name, err)
		}
	}
	public, _, err := bundle.ParsePublicKey(key)
	if err != nil {
		return nil, err
	}
	r, err := signed.Verify(public)
	if err != nil && pinned {
		return nil, &OtherMirrorError{path, c.to.name, err}
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if r.Set != c.spec.Set || r.Stream != c.ledger.Stream() {
		return nil, fmt.Errorf("%s: for set %s, stream %s; this is set %s, stream %s: %w", path, r.Set, r.Stream, c.spec.Set, c.ledger.Stream(), bundle.ErrUsage)
	}
	return newAsked(r), nil
}

// ofRequest returns the state that the mirror has according to its repair request.
func (c choice) ofRequest(r *bundle.RepairRequest) (*ledger.Base, error) {
	m, err := c.ledger.Manifest(r.Sequence)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, bundle.ErrIncomplete) {
		return nil, fmt.Errorf("%s: builds on bundle %d, which the ledger does not keep any more: a full bundle helps, --full: %w", c.o.Repair, r.Sequence, bundle.ErrIncomplete)
	}
	if err != nil {
		return nil, err
	}
	if m.State != r.State {
		return nil, fmt.Errorf("%s: state %s of bundle %d, the ledger has %s: %w", c.o.Repair, r.State.Short(), r.Sequence, m.State.Short(), bundle.ErrUntrusted)
	}
	return &ledger.Base{Manifest: m, Acknowledged: true}, nil
}
