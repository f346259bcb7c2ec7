package bundle_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
)

// TestAbout: a mark changes neither text nor class, and the innermost one counts.
func TestAbout(t *testing.T) {
	if bundle.About(bundle.AboutMirror, nil) != nil {
		t.Error("a mark makes an error of nil")
	}
	plain := fmt.Errorf("blob 7: %w", bundle.ErrCorrupt)
	marked := bundle.About(bundle.AboutMirror, plain)
	if marked.Error() != plain.Error() || !errors.Is(marked, bundle.ErrCorrupt) {
		t.Errorf("text or class changed: %v", marked)
	}
	named := &bundle.AboutError{Thing: bundle.AboutSpec, Name: "apt", Err: bundle.About(bundle.AboutSpec, plain)}
	if got, name := bundle.ThingOf(fmt.Errorf("x: %w", named)); got != bundle.AboutSpec || name != "apt" {
		t.Errorf("got %d %q, want the name of the outer mark of the same thing", got, name)
	}
	for _, c := range []struct {
		what string
		err  error
		want bundle.Thing
	}{
		{"none", plain, 0},
		{"nil", nil, 0},
		{"wrapped", fmt.Errorf("check: %w", marked), bundle.AboutMirror},
		{"the innermost counts", bundle.About(bundle.AboutBase, fmt.Errorf("x: %w", marked)), bundle.AboutMirror},
		{"one of two", fmt.Errorf("x: %w: %w", bundle.ErrUsage, marked), bundle.AboutMirror},
		{"joined", errors.Join(plain, marked), bundle.AboutMirror},
	} {
		if got, _ := bundle.ThingOf(c.err); got != c.want {
			t.Errorf("%s: got %d, want %d", c.what, got, c.want)
		}
	}
}
