package ledger

import (
	"fmt"
	"maps"
	"slices"

	"github.com/gapbundle/gapbundle/bundle"
)

// Destinations returns the known destinations by name, a copy.
func (l *Ledger) Destinations() map[string]Destination { return maps.Clone(l.state.Destinations) }

// Acknowledge records that destination holds the state of sequence, according to
// a receipt that the caller has verified with receiptKey (PEM). The key of the
// first receipt is pinned. A receipt older than the newest changes nothing.
func (l *Ledger) Acknowledge(destination string, sequence int64, receiptKey string, features []string) error {
	d := l.state.Destinations[destination]
	if d.ReceiptKey != "" && d.ReceiptKey != receiptKey {
		return fmt.Errorf("receipt for destination %q: signed by another key than the pinned one: %w", destination, bundle.ErrUntrusted)
	}
	if sequence >= l.state.Next {
		return fmt.Errorf("receipt for destination %q: sequence %d, this ledger has given out %d: %w",
			destination, sequence, l.state.Next-1, bundle.ErrUntrusted)
	}
	d.ReceiptKey = receiptKey
	if sequence >= d.Acknowledged {
		d.Acknowledged = sequence
		d.Features = slices.Clone(features)
	}
	l.state.setDestination(destination, d)
	return l.save()
}

// MaxJump is how far ahead of what a ledger has given out a number may be that is
// adopted: as far as importers let a bundle be ahead.
const MaxJump = 1_000_000

// Adopt sets stream and number of a ledger that was lost, from a receipt or a
// bundle that the caller has verified. A ledger that already has a stream
// takes the number of the same stream only, and never a lower one.
func (l *Ledger) Adopt(stream string, sequence int64) error {
	if l.state.Stream != "" && l.state.Stream != stream {
		return fmt.Errorf("adopt: this ledger has stream %s, the receipt or bundle has stream %s: %w", l.state.Stream, stream, bundle.ErrUsage)
	}
	if sequence < 1 || sequence >= bundle.MaxInteger {
		return fmt.Errorf("adopt: sequence %d: %w", sequence, bundle.ErrMalformed)
	}
	// As on import: whoever gets a forged number in here would use up all numbers, and no
	// mirror would take what is exported next.
	if given := l.state.Next - 1; sequence-given > MaxJump {
		return fmt.Errorf("adopt: sequence %d, this ledger has given out %d: a jump of more than %d: %w", sequence, given, int64(MaxJump), bundle.ErrUntrusted)
	}
	l.state.Stream = stream
	l.state.Next = max(l.state.Next, sequence+1)
	return l.save()
}

// KeepState makes a state selectable as a base that another ledger exported:
// its root, whose lists have been kept by Lists.Keep, and the documents whose
// content has been kept by Documents.Keep. It was exported to the destination that it
// names, so the next delta for that one builds on it.
func (l *Ledger) KeepState(m *bundle.Manifest, documents []Document) error {
	if err := l.record(m, documents); err != nil {
		return err
	}
	d := l.state.Destinations[m.Destination]
	d.Exported = max(d.Exported, m.Sequence)
	l.state.setDestination(m.Destination, d)
	return l.save()
}
