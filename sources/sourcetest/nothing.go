package sourcetest

import (
	"errors"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
)

// Nothing is a choice of a kind that matches nothing which its upstream has.
type Nothing struct {
	// Sources are those of the spec, with that choice.
	Sources string
	// Names are the filter as the spec has it, and what there is instead.
	Names []string
}

// matchesNothing: a filter or a pattern that nothing matches is refused before anything is
// written, by its name and with what there is. Nobody asks for nothing.
func matchesNothing(t *testing.T, s Suite) {
	r := newRig(t, s)
	if s.NoChoice {
		if len(r.up.Nothing) != 0 {
			t.Fatal("a kind without a choice has one that matches nothing")
		}
		return
	}
	if len(r.up.Nothing) == 0 {
		t.Fatal("want a choice of the kind that matches nothing")
	}
	for _, n := range r.up.Nothing {
		r.spec(n.Sources)
		_, err := r.export(t.Context())
		if !errors.Is(err, bundle.ErrUsage) {
			t.Errorf("%s: got %v, want an error that matches %q", n.Names[0], err, bundle.ErrUsage)
			continue
		}
		for _, name := range n.Names {
			if !strings.Contains(err.Error(), name) {
				t.Errorf("%v: does not name %s", err, name)
			}
		}
	}
}
