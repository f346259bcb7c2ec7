package export

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/sigstore/sigstore/pkg/cryptoutils"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources/config"
	"github.com/gapbundle/gapbundle/sources/ledger"
)

// ReceiptOptions are what AddReceipt and Receipts need.
type ReceiptOptions struct {
	SpecPath, StateDir string
	// File is the receipt, Destination the mirror it came from.
	File, Destination string
	// Confirm is asked whether the mirror's receipt key, shown by its
	// fingerprint, is right, when it is the first of the destination; nil: no.
	Confirm   func(fingerprint string) (bool, error)
	RetryLock time.Duration
	DryRun    bool
}

// OtherMirrorError is a receipt that the key of the destination's mirror did
// not sign.
type OtherMirrorError struct {
	File, Destination string
	Err               error
}

func (e *OtherMirrorError) Error() string {
	return fmt.Sprintf("%s: not signed by the mirror known as destination %q: %v", e.File, e.Destination, e.Err)
}
func (e *OtherMirrorError) Unwrap() error { return e.Err }

// AddReceipt records that a destination holds the state that a receipt names.
// The first receipt of a destination pins its key.
func AddReceipt(ctx context.Context, o ReceiptOptions) (*bundle.Receipt, error) {
	l, err := openReceiptLedger(ctx, o, !o.DryRun)
	if err != nil {
		return nil, err
	}
	r, err := addReceipt(l, o)
	return r, errors.Join(bundle.About(bundle.AboutReceipt, err), l.Close())
}

func addReceipt(l *ledger.Ledger, o ReceiptOptions) (*bundle.Receipt, error) {
	pinned := l.Destinations()[o.Destination].ReceiptKey
	signed, err := parseReceiptFile(o.File)
	if err != nil {
		return nil, err
	}
	key := []byte(pinned)
	if pinned == "" {
		if key, err = confirmedKey(signed, o.Confirm); err != nil {
			return nil, fmt.Errorf("destination %q: %w", o.Destination, err)
		}
	}
	r, err := verifyReceipt(signed, key)
	if err != nil && pinned != "" {
		return nil, &OtherMirrorError{o.File, o.Destination, err}
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", o.File, err)
	}
	if r.Stream != l.Stream() {
		return nil, fmt.Errorf("%s: stream %s, this ledger is stream %s: %w", o.File, r.Stream, l.Stream(), bundle.ErrUsage)
	}
	if m, err := l.Manifest(r.Sequence); err == nil && m.State != r.State {
		return nil, fmt.Errorf("%s: state %s of bundle %d, the ledger has %s: %w",
			o.File, r.State.Short(), r.Sequence, m.State.Short(), bundle.ErrUntrusted)
	}
	if o.DryRun {
		return r, nil
	}
	return r, l.Acknowledge(o.Destination, r.Sequence, string(key), r.Features)
}

// DestinationState is one line of what the ledger knows.
type DestinationState struct {
	Name         string `json:"name"`
	Exported     int64  `json:"exported"`
	Acknowledged int64  `json:"acknowledged"`
	ReceiptKey   string `json:"receiptKey,omitempty"`
}

// Receipts lists the destinations of a set, by name.
func Receipts(ctx context.Context, o ReceiptOptions) ([]DestinationState, error) {
	l, err := openReceiptLedger(ctx, o, false)
	if err != nil {
		return nil, err
	}
	var out []DestinationState
	known := l.Destinations()
	for _, name := range slices.Sorted(maps.Keys(known)) {
		d := known[name]
		s := DestinationState{Name: name, Exported: d.Exported, Acknowledged: d.Acknowledged}
		if d.ReceiptKey != "" {
			_, id, err := bundle.ParsePublicKey([]byte(d.ReceiptKey))
			if err != nil {
				return nil, errors.Join(err, l.Close())
			}
			s.ReceiptKey = id.String()
		}
		out = append(out, s)
	}
	return out, l.Close()
}

func openReceiptLedger(ctx context.Context, o ReceiptOptions, write bool) (*ledger.Ledger, error) {
	spec, err := config.Load(o.SpecPath)
	if err != nil {
		return nil, err
	}
	dir := (&Options{StateDir: o.StateDir}).stateDir(spec.Dir, spec.Set)
	if !write {
		return ledger.OpenReadOnly(dir, spec.Set)
	}
	return ledger.Open(ctx, dir, spec.Set, o.RetryLock)
}

func parseReceiptFile(path string) (*bundle.SignedReceipt, error) {
	b, err := bundle.ReadNamed(path, bundle.MaxReceiptSize)
	if err != nil {
		return nil, err
	}
	signed, err := bundle.ParseReceipt(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return signed, nil
}

func verifyReceipt(signed *bundle.SignedReceipt, key []byte) (*bundle.Receipt, error) {
	public, _, err := bundle.ParsePublicKey(key)
	if err != nil {
		return nil, err
	}
	return signed.Verify(public)
}

// readReceipt reads a receipt that the operator names as a base or to adopt. It verifies the
// receipt by the pinned key, or by the receipt's own key after confirm has confirmed its
// fingerprint. A receipt whose key nobody has compared proves nothing, because anybody can
// sign one with a key of their own.
func readReceipt(path, pinned string, confirm func(fingerprint string) (bool, error)) (*bundle.Receipt, error) {
	signed, err := parseReceiptFile(path)
	if err != nil {
		return nil, err
	}
	key := []byte(pinned)
	if pinned == "" {
		if key, err = confirmedKey(signed, confirm); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	r, err := verifyReceipt(signed, key)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return r, nil
}

// confirmedKey returns the key that a receipt brings along, in PEM, once confirm said yes to
// its fingerprint. nil: no.
func confirmedKey(signed interface {
	Key() (crypto.PublicKey, bundle.Digest, error)
}, confirm func(fingerprint string) (bool, error)) ([]byte, error) {
	public, id, err := signed.Key()
	if err != nil {
		return nil, err
	}
	ok := false
	if confirm != nil {
		if ok, err = confirm(id.String()); err != nil {
			return nil, err
		}
	}
	if !ok {
		return nil, fmt.Errorf("receipt key %s: not confirmed: %w", id, bundle.ErrUntrusted)
	}
	return cryptoutils.MarshalPublicKeyToPEM(public)
}
