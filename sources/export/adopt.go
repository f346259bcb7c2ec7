package export

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/gapbundle/gapbundle/bundle"
)

// adopt restores stream and number of a lost ledger, and from a bundle also
// the state, when all its lists are in the bundle or in bundles of the stream next to it.
func (s *session) adopt(ctx context.Context) error {
	info, err := os.Stat(s.o.Adopt)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		r, err := readReceipt(s.o.Adopt, s.ledger.Destinations()[s.o.Destination].ReceiptKey, s.o.ConfirmReceipt)
		if err != nil {
			return err
		}
		if r.Set != s.spec.Set {
			return fmt.Errorf("receipt %s: for set %s, the spec is set %s: %w", s.o.Adopt, r.Set, s.spec.Set, bundle.ErrUsage)
		}
		s.adopted = &Adopted{Stream: r.Stream, Sequence: r.Sequence}
		return s.ledger.Adopt(r.Stream, r.Sequence)
	}
	r, m, err := s.openOwnBundle(s.o.Adopt)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }() // read-only
	if m.Set != s.spec.Set {
		return fmt.Errorf("bundle %s: of set %s, the spec is set %s: %w", s.o.Adopt, m.Set, s.spec.Set, bundle.ErrUsage)
	}
	if err := s.ledger.Adopt(m.Stream, m.Sequence); err != nil {
		return err
	}
	s.adopted = &Adopted{Stream: m.Stream, Sequence: m.Sequence}
	if s.o.Destination == "" {
		s.o.Destination = m.Destination
	}
	return s.adoptState(ctx, r, m)
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

func (s *session) adoptState(ctx context.Context, r *bundle.Reader, m *bundle.Manifest) error {
	if err := s.keepLists(r, m); err != nil {
		return err
	}
	if whole, err := s.hasLists(m); err != nil {
		return err
	} else if !whole {
		if whole, err = s.keepNeighbours(m); err != nil || !whole {
			return err // not all lists are at hand: the next export is a full one
		}
	}
	documents, err := listedDocuments(m, s.ledger.OpenList)
	if err != nil {
		return err
	}
	catalog, err := openCatalog(r, m)
	if err != nil {
		return err
	}
	if err := s.restoreDocuments(ctx, r, catalog, documents); err != nil {
		return err
	}
	s.adopted.State = true
	return s.ledger.KeepState(m, documents)
}

// keepLists keeps the lists that a bundle carries.
func (s *session) keepLists(r *bundle.Reader, m *bundle.Manifest) error {
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
			if err := errors.Join(s.ledger.KeepList(list), list.Close()); err != nil {
				return err
			}
		}
	}
	return nil
}

// hasLists reports whether the ledger has every list of a bundle.
func (s *session) hasLists(m *bundle.Manifest) (bool, error) {
	for _, repo := range m.Repositories {
		for _, list := range repo.Lists() {
			d, err := bundle.ParseDigest(string(list.Digest))
			if err != nil {
				return false, err
			}
			if there, err := s.ledger.HasList(d); err != nil || !there {
				return false, err
			}
		}
	}
	return true, nil
}

// keepNeighbours keeps the lists of earlier bundles of the same stream in the folder of the
// adopted one, the newest first, until every list that m names is there. A delta leaves out
// the lists that its base has, and the bundles before it are often on the same medium.
func (s *session) keepNeighbours(m *bundle.Manifest) (whole bool, err error) {
	folder := filepath.Dir(filepath.Clean(s.o.Adopt))
	entries, err := os.ReadDir(folder)
	if err != nil {
		return false, err
	}
	for _, e := range slices.Backward(entries) {
		set, n, partial, ok := bundle.SplitDirName(e.Name())
		if !ok || partial || set != m.Set || n >= m.Sequence {
			continue
		}
		if err := s.keepNeighbour(filepath.Join(folder, e.Name()), m.Stream); err != nil {
			s.o.Log.Warn(fmt.Sprintf("%s: not used for the lists that %s leaves out: %v", e.Name(), bundle.DirName(m.Set, m.Sequence), err))
			continue
		}
		if whole, err := s.hasLists(m); err != nil || whole {
			return whole, err
		}
	}
	return false, nil
}

func (s *session) keepNeighbour(path, stream string) error {
	r, m, err := s.openOwnBundle(path)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }() // read-only
	if m.Stream != stream {
		return fmt.Errorf("of another stream: %w", bundle.ErrUsage)
	}
	return s.keepLists(r, m)
}
