package export

import (
	"context"
	"maps"
	"slices"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources/ledger"
)

// restoreDocuments reads from the volumes of an adopted bundle the content of those
// documents that it carries. Content on a medium that is not at hand is not
// restored: a plan does once more what it would have spared.
func restoreDocuments(ctx context.Context, l *ledger.Ledger, r *bundle.Reader, catalog *bundle.Catalog, all []ledger.Document) error {
	wanted := map[bundle.Digest]int64{}
	for _, d := range all {
		if !l.Documents().Has(d.Digest, d.Size) {
			wanted[d.Digest] = d.Size
		}
	}
	if len(wanted) == 0 {
		return nil
	}
	parts := map[bundle.Digest][]byte{}
	for v, err := range catalog.Volumes(ctx) {
		if err != nil {
			return err
		}
		if err := catalog.ReadSmall(r, v, wanted, parts); err != nil {
			return err
		}
	}
	for _, d := range slices.SortedFunc(maps.Keys(parts), func(a, b bundle.Digest) int { return slices.Compare(a[:], b[:]) }) {
		if content := parts[d]; int64(len(content)) == wanted[d] && bundle.DigestOf(content) == d {
			if err := l.Documents().Keep(content); err != nil {
				return err
			}
		}
	}
	return nil
}
