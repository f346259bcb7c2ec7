package ledger

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
)

// StateCodeSize is the number of hexadecimal digits of a state digest that
// `status` prints and --base takes: short enough for the telephone, and long
// enough not to meet twice among the states of one set.
const StateCodeSize = 10

// StateCode returns the short form of a state digest.
func StateCode(state bundle.Digest) string { return state.Hex()[:StateCodeSize] }

// Base is the state that a delta builds on.
type Base struct {
	Manifest *bundle.Manifest
	// Acknowledged means that a receipt of the destination named this state;
	// otherwise the delta assumes that the bundle arrived.
	Acknowledged bool
}

// Base returns the base of the next delta for destination: the last acknowledged
// state, or, as long as no receipt ever came, the last exported one. nil: none.
func (l *Ledger) Base(destination string) (*Base, error) {
	d := l.state.Destinations[destination]
	n := d.base()
	if n == 0 {
		return nil, nil
	}
	m, err := l.Manifest(n)
	if err != nil {
		return nil, err
	}
	return &Base{Manifest: m, Acknowledged: d.Acknowledged == n}, nil
}

// Select finds a base by what a person enters: a sequence number or a state
// code. Errors match bundle.ErrUsage and list what could be given.
func (l *Ledger) Select(destination, what string) (*Base, error) {
	acknowledged := l.state.Destinations[destination].Acknowledged
	if n, err := strconv.ParseInt(what, 10, 64); err == nil && slices.Contains(l.state.States, n) {
		m, err := l.Manifest(n)
		if err != nil {
			return nil, err
		}
		return &Base{Manifest: m, Acknowledged: n == acknowledged}, nil
	}
	var have []string
	for _, n := range l.state.States {
		m, err := l.Manifest(n)
		if err != nil {
			return nil, err
		}
		if isHex(what) && len(what) >= StateCodeSize && strings.HasPrefix(m.State.Hex(), strings.ToLower(what)) {
			return &Base{Manifest: m, Acknowledged: n == acknowledged}, nil
		}
		have = append(have, fmt.Sprintf("%d (%s)", n, StateCode(m.State)))
	}
	known := "none"
	if len(have) > 0 {
		known = strings.Join(have, ", ")
	}
	return nil, fmt.Errorf("base %q: no such file or folder, and not a state that the ledger holds; it holds %s: %w", what, known, bundle.ErrUsage)
}

func isHex(s string) bool {
	_, err := hex.DecodeString(s + strings.Repeat("0", len(s)%2))
	return err == nil
}

// States returns the sequences of the kept states, ascending.
func (l *Ledger) States() []int64 { return slices.Clone(l.state.States) }

// NotKeptError: the ledger does not have a state that a delta is to build on, because the
// ledger was lost, or the state is too old. It matches bundle.ErrIncomplete.
type NotKeptError struct {
	Sequence int64
	// Kept are the sequences of the states that the ledger has, ascending.
	Kept []int64
}

func (e *NotKeptError) Error() string {
	return fmt.Sprintf("state %d: not kept in the ledger", e.Sequence)
}

// Is makes it bundle.ErrIncomplete.
func (e *NotKeptError) Is(target error) bool { return target == bundle.ErrIncomplete }

// Manifest returns the root of a kept state; one that is not kept is a *NotKeptError.
func (l *Ledger) Manifest(n int64) (*bundle.Manifest, error) {
	if !slices.Contains(l.state.States, n) {
		return nil, &NotKeptError{n, l.States()}
	}
	return readRoot(l.root, n)
}
