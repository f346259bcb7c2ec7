package export

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources/ledger"
)

// Acknowledged is what the ledger knows of bundles that were carried.
type Acknowledged struct {
	ledger      *ledger.Ledger
	set         string
	destination string
}

// OpenAcknowledged opens the ledger of a spec for reading. With a Destination, bundles are
// judged for that one, which has to be known; without, each for its own. The caller closes it.
func OpenAcknowledged(ctx context.Context, o ReceiptOptions) (*Acknowledged, error) {
	l, err := openReceiptLedger(ctx, o, false)
	if err != nil {
		return nil, err
	}
	a := &Acknowledged{l, l.Set(), o.Destination}
	if _, known := l.Destinations()[o.Destination]; o.Destination != "" && !known {
		others := destination{l, o.Destination}.others()
		return nil, errors.Join(&NewDestinationError{o.Destination, others}, l.Close())
	}
	return a, nil
}

// Close closes the ledger.
func (a *Acknowledged) Close() error { return a.ledger.Close() }

// Of describes what the ledger knows about the bundle with this manifest and root. needless
// reports whether the destination provably has its content or newer: the ledger has the
// same root, and a receipt of the destination is for this bundle or a later one.
func (a *Acknowledged) Of(m *bundle.Manifest, root bundle.Digest) (state string, needless bool, err error) {
	if m.Set != a.set {
		return "of another set", false, nil
	}
	if m.Stream != a.ledger.Stream() {
		return "of another stream", false, nil
	}
	kept, err := a.ledger.Manifest(m.Sequence)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, bundle.ErrIncomplete) {
		return "the ledger does not keep it any more", false, nil
	}
	if err != nil {
		return "", false, err
	}
	b, err := bundle.MarshalCanonical(kept)
	if err != nil {
		return "", false, err
	}
	if bundle.DigestOf(b) != root {
		return "not the bundle of this number that was exported", false, nil
	}
	name := a.destination
	if name == "" {
		name = m.Destination
	}
	if m.Destination != "" && m.Destination != name {
		return "for " + m.Destination, false, nil
	}
	who := name
	if who == "" {
		who = "the destination without a name"
	}
	switch newest := a.ledger.Destinations()[name].Acknowledged; {
	case newest == 0:
		return "not acknowledged by " + who, false, nil
	case m.Sequence > newest:
		return fmt.Sprintf("not acknowledged by %s, which has %d", who, newest), false, nil
	case m.Sequence < newest:
		return fmt.Sprintf("%s has acknowledged %d since", who, newest), true, nil
	}
	return "acknowledged by " + who, true, nil
}
