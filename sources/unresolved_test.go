package sources_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources"
)

// TestUnresolved: each of several errors keeps its text and class, and what is
// missing has a hint of its own.
func TestUnresolved(t *testing.T) {
	first, second := fmt.Errorf("a needs b: %w", bundle.ErrIncomplete), fmt.Errorf("c: %w", bundle.ErrUsage)
	err := sources.Unresolved(errors.Join(errors.Join(first), second))
	if err.Error() != first.Error()+"\n"+second.Error() || !errors.Is(err, bundle.ErrIncomplete) || !errors.Is(err, bundle.ErrUsage) {
		t.Errorf("got %v", err)
	}
	var hint interface{ Hint() string }
	if !errors.As(err, &hint) || !strings.Contains(hint.Hint(), "add the repository") {
		t.Errorf("no hint: %v", err)
	}
	if err := sources.Unresolved(second); errors.As(err, &hint) {
		t.Errorf("a hint for %v", err)
	}
	if err := sources.Unresolved(nil); err != nil {
		t.Error(err)
	}
}
