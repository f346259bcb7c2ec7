package export

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources/ledger"
)

// adoption restores a lost ledger from what Options.Adopt names.
type adoption struct {
	o      Options
	set    string
	ledger *ledger.Ledger
	own    ownKeys
}

// restore restores stream and number, and from a bundle also the state, when all its lists
// are in the bundle or in bundles of the stream next to it. A bundle names the destination
// where the operator does not.
func (a adoption) restore(ctx context.Context, to destination) (*Adopted, destination, error) {
	info, err := os.Stat(a.o.Adopt)
	if err != nil {
		return nil, to, err
	}
	if !info.IsDir() {
		adopted, err := a.fromReceipt(to)
		if err != nil {
			err = &bundle.AboutError{Thing: bundle.AboutReceipt, Name: FileAdopted, Err: err}
		}
		return adopted, to, err
	}
	r, m, err := a.own.openBundle(a.o.Adopt)
	if err != nil {
		return nil, to, err
	}
	defer func() { _ = r.Close() }() // read-only
	if m.Set != a.set {
		return nil, to, fmt.Errorf("bundle %s: of set %s, the spec is set %s: %w", a.o.Adopt, m.Set, a.set, bundle.ErrUsage)
	}
	if err := a.ledger.Adopt(m.Stream, m.Sequence); err != nil {
		return nil, to, err
	}
	if to.name == "" {
		to.name = m.Destination
	}
	whole, err := a.state(ctx, r, m)
	return &Adopted{Stream: m.Stream, Sequence: m.Sequence, State: whole}, to, err
}

func (a adoption) fromReceipt(to destination) (*Adopted, error) {
	r, err := readReceipt(a.o.Adopt, to.known().ReceiptKey, a.o.ConfirmReceipt)
	if err != nil {
		return nil, err
	}
	if r.Set != a.set {
		return nil, fmt.Errorf("receipt %s: for set %s, the spec is set %s: %w", a.o.Adopt, r.Set, a.set, bundle.ErrUsage)
	}
	return &Adopted{Stream: r.Stream, Sequence: r.Sequence}, a.ledger.Adopt(r.Stream, r.Sequence)
}

// Adopted is what an export took over from a bundle or a receipt, because the ledger was
// lost.
type Adopted struct {
	Stream   string `json:"stream"`
	Sequence int64  `json:"sequence"`
	// State means that the lists were taken over too: the next delta builds on them.
	// A receipt has none, and a delta has only those that changed.
	State bool `json:"state"`
}

// state keeps the lists and documents of a bundle. Without all its lists the state is not
// kept, and the next export is a full one.
func (a adoption) state(ctx context.Context, r *bundle.Reader, m *bundle.Manifest) (whole bool, err error) {
	if err := keepLists(a.ledger, r, m); err != nil {
		return false, err
	}
	if whole, err = hasLists(a.ledger, m); err == nil && !whole {
		whole, err = a.keepNeighbours(m)
	}
	if err != nil || !whole {
		return false, err
	}
	documents, err := listedDocuments(m, a.ledger.Lists().Open)
	if err != nil {
		return false, err
	}
	catalog, err := openCatalog(r, m)
	if err != nil {
		return false, err
	}
	if err := restoreDocuments(ctx, a.ledger, r, catalog, documents); err != nil {
		return false, err
	}
	return true, a.ledger.KeepState(m, documents)
}

// keepLists keeps the lists that a bundle carries.
func keepLists(l *ledger.Ledger, r *bundle.Reader, m *bundle.Manifest) error {
	catalog, err := openCatalog(r, m)
	if err != nil {
		return err
	}
	for i, repo := range m.Repositories {
		for _, c := range repo.Carried {
			open := catalog.Files
			switch c {
			case bundle.CarriedEvidence:
				open = catalog.Evidence
			case bundle.CarriedContents:
				open = catalog.Contents
			}
			list, err := open(i)
			if err != nil {
				return err
			}
			if err := errors.Join(l.Lists().Keep(list), list.Close()); err != nil {
				return err
			}
		}
	}
	return nil
}

// hasLists reports whether a ledger has every list of a bundle.
func hasLists(l *ledger.Ledger, m *bundle.Manifest) (bool, error) {
	for _, repo := range m.Repositories {
		for _, list := range repo.Lists() {
			d, err := bundle.ParseDigest(string(list.Digest))
			if err != nil {
				return false, err
			}
			if there, err := l.Lists().Has(d); err != nil || !there {
				return false, err
			}
		}
	}
	return true, nil
}

// keepNeighbours keeps the lists of earlier bundles of the same stream in the folder of the
// adopted one, the newest first, until every list that m names is there. A delta leaves out
// the lists that its base has, and the bundles before it are often on the same medium.
func (a adoption) keepNeighbours(m *bundle.Manifest) (whole bool, err error) {
	folder := filepath.Dir(filepath.Clean(a.o.Adopt))
	entries, err := os.ReadDir(folder)
	if err != nil {
		return false, err
	}
	for _, e := range slices.Backward(entries) {
		set, n, partial, ok := bundle.SplitDirName(e.Name())
		if !ok || partial || set != m.Set || n >= m.Sequence {
			continue
		}
		if err := a.keepNeighbour(filepath.Join(folder, e.Name()), m.Stream); err != nil {
			a.o.Log.Warn(fmt.Sprintf("%s: not used for the lists that %s leaves out: %v", e.Name(), bundle.DirName(m.Set, m.Sequence), err))
			continue
		}
		if whole, err := hasLists(a.ledger, m); err != nil || whole {
			return whole, err
		}
	}
	return false, nil
}

func (a adoption) keepNeighbour(path, stream string) error {
	r, m, err := a.own.openBundle(path)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }() // read-only
	if m.Stream != stream {
		return fmt.Errorf("of another stream: %w", bundle.ErrUsage)
	}
	return keepLists(a.ledger, r, m)
}
