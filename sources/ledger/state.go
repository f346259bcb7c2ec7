package ledger

import (
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/gapbundle/gapbundle/bundle"
)

// state is state.json. Every field that can be empty is omitted, because
// canonical JSON of this project has no null.
type state struct {
	Destinations map[string]Destination `json:"destinations,omitempty"`
	Format       int                    `json:"format"`
	Next         int64                  `json:"next"`
	Pending      *Pending               `json:"pending,omitempty"`
	Set          string                 `json:"set"`
	// States are the sequences whose root and lists are kept, ascending.
	States []int64 `json:"states,omitempty"`
	Stream string  `json:"stream,omitempty"`
}

// Destination is what is known of one receiving mirror.
type Destination struct {
	// Acknowledged is the sequence of the newest receipt; 0: none ever came.
	Acknowledged int64 `json:"acknowledged,omitempty"`
	// Exported is the newest sequence made for it.
	Exported int64 `json:"exported,omitempty"`
	// Features are what its importer reads beyond the format, from receipts.
	Features []string `json:"features,omitempty"`
	// ReceiptKey is the pinned public key (PEM) of the mirror.
	ReceiptKey string `json:"receiptKey,omitempty"`
}

// base returns the sequence a delta for d builds on; 0: none.
func (d Destination) base() int64 {
	if d.Acknowledged > 0 {
		return d.Acknowledged
	}
	return d.Exported
}

// Pending is an export that has taken its number and is not finished.
type Pending struct {
	// Created is the time the bundle will bear, so that an export that is
	// finished in two goes has one root.
	Created time.Time `json:"created"`
	// Mounted are those of the targets, as absolute paths, that were not on the file system
	// that the machine runs from.
	Mounted []string `json:"mounted,omitempty"`
	// Request is a digest over everything that decides what the bundle will
	// hold and where; only the same request continues.
	Request  bundle.Digest `json:"request"`
	Sequence int64         `json:"sequence"`
	// Targets are the directories given, for the message about what is left.
	Targets []string `json:"targets"`
	// VolumeSize is that of the bundle, in bytes; 0: bundle.DefaultVolumeSize.
	VolumeSize int64 `json:"volumeSize,omitempty"`
}

func emptyState(set string) state { return state{Format: stateFormat, Set: set, Next: 1} }

// add makes a state one that is kept.
func (s *state) add(n int64) {
	if !slices.Contains(s.States, n) {
		s.States = append(s.States, n)
		slices.Sort(s.States)
	}
}

func (s *state) setDestination(name string, d Destination) {
	if s.Destinations == nil {
		s.Destinations = make(map[string]Destination)
	}
	s.Destinations[name] = d
}

// dropOld forgets states that no destination can need: older than the
// base of every destination and not among the newest keepStates.
func (s *state) dropOld() {
	oldest := int64(bundle.MaxInteger)
	for _, d := range s.Destinations {
		oldest = min(oldest, d.base())
	}
	kept := s.States
	for len(kept) > keepStates && kept[0] < oldest {
		kept = kept[1:]
	}
	s.States = slices.Clone(kept)
}

func rootName(n int64) string { return fmt.Sprintf("%s/%06d.json", rootsDir, n) }

// readRoot reads the root of a state.
func readRoot(root *os.Root, n int64) (*bundle.Manifest, error) {
	f, err := root.Open(rootName(n))
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // read-only
	b, err := bundle.ReadAllBounded(f, rootName(n), bundle.MaxRootSize)
	if err != nil {
		return nil, err
	}
	m, err := bundle.ParseKept(b)
	if err != nil {
		return nil, fmt.Errorf("ledger, %s: %w", rootName(n), err)
	}
	return m, nil
}
