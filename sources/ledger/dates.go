package ledger

import (
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/bundle/durable"
)

const (
	// datesName has the dates that upstreams gave the newest state that was exported.
	datesName = "dates.json"
	maxDates  = 16 << 20 // bytes; an entry has about 60
)

// Dates returns the dates that upstreams gave the newest state that was exported, by
// source and by what bears them; nothing if the export was made by a program that kept
// none, or if the ledger was adopted from a bundle.
func (u Upstream) Dates() (map[string]map[string]time.Time, error) {
	if u.root == nil {
		return nil, nil
	}
	f, err := u.root.Open(datesName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // read-only
	b, err := bundle.ReadAllBounded(f, datesName, maxDates)
	if err != nil {
		return nil, err
	}
	var dates map[string]map[string]time.Time
	if err := bundle.UnmarshalCanonical(b, &dates); err != nil {
		return nil, fmt.Errorf("ledger, %s: %w", datesName, err)
	}
	return dates, nil
}

// KeepDates replaces what Dates returns. An export does it before it writes the root of
// its bundle, so that no crash leaves a bundle whose dates are not known.
func (u Upstream) KeepDates(dates map[string]map[string]time.Time) error {
	b, err := bundle.MarshalCanonical(dates)
	if err != nil {
		return err
	}
	if len(b) > maxDates {
		return fmt.Errorf("ledger, %s: %s, at most %d: %w", datesName, bundle.Count(len(b), "byte"), maxDates, bundle.ErrUsage)
	}
	return durable.WriteFile(u.root, datesName, b, 0o600)
}
