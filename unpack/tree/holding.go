package tree

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/unpack/state"
)

// Holding is what one bundle describes, of which everything has to be in the stores.
type Holding struct {
	Set          string
	Sequence     int64
	Repositories []bundle.Repository
}

// Holdings returns what the kept generations publish and what the next deltas leave out, by set
// and number, each once.
func (t *Trees) Holdings(of *state.State) ([]Holding, error) {
	generations, err := t.Generations()
	if err != nil {
		return nil, err
	}
	var all []Holding
	for _, g := range generations {
		for _, s := range g.Sets {
			h := Holding{Set: s.Set, Sequence: s.Sequence}
			for _, r := range s.Repositories {
				h.Repositories = append(h.Repositories, r.Repository)
			}
			all = append(all, h)
		}
	}
	ratchets, err := of.Ratchets()
	if err != nil {
		return nil, err
	}
	for _, r := range ratchets {
		for _, c := range []*state.Content{r.Newest, r.Acknowledged} {
			if c != nil {
				all = append(all, Holding{r.Set, c.Sequence, c.Repositories})
			}
		}
	}
	order := func(a, b Holding) int {
		return cmp.Or(strings.Compare(a.Set, b.Set), cmp.Compare(a.Sequence, b.Sequence))
	}
	slices.SortStableFunc(all, order)
	return slices.CompactFunc(all, func(a, b Holding) bool {
		return order(a, b) == 0 && bundle.StateDigest(a.Repositories) == bundle.StateDigest(b.Repositories)
	}), nil
}

// DamagedError: what is published is not as it was published. It matches
// bundle.ErrCorrupt.
type DamagedError struct {
	// Generation is 0 where it is not about one alone.
	Generation int
	Count      int64
	First      Damage
}

// NewDamagedError returns the error about count things, of which first is the first.
func NewDamagedError(generation int, count int64, first Damage) *DamagedError {
	return &DamagedError{generation, count, first}
}

func (e *DamagedError) Error() string {
	what := fmt.Sprintf("%s damaged, the first: %s: %s", bundle.Count(e.Count, "thing"), e.First.Path, e.First.Problem)
	if e.Generation == 0 {
		return what
	}
	return fmt.Sprintf("generation %d: %s", e.Generation, what)
}

// Is makes it bundle.ErrCorrupt.
func (e *DamagedError) Is(target error) bool { return target == bundle.ErrCorrupt }

// MadeAgain reports whether publishing the same sets again would put some of the damage
// right: it is about what a publish makes itself.
func MadeAgain(all []Damage) bool {
	return slices.ContainsFunc(all, func(d Damage) bool { return d.Problem != stranger && d.Problem != strangeFolder })
}
