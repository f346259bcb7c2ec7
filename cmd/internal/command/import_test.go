package command

import (
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/unpack"
)

// TestOldBundlesTogether: bundles that came before are one line for each set, all others
// keep their own.
func TestOldBundlesTogether(t *testing.T) {
	result := func(name, set string, o unpack.Outcome, reason string) unpack.BundleResult {
		return unpack.BundleResult{Name: name, Set: set, Outcome: o, Reason: reason}
	}
	var out strings.Builder
	rest := bundlesToShow(&out, "", []unpack.BundleResult{
		result("one-000001", "one", unpack.AlreadyImported, ""), result("one-000002", "one", unpack.AlreadyImported, ""),
		result("one-000003", "one", unpack.AlreadyImported, ""), result("one-000004", "one", unpack.Imported, ""),
		result("two-000001", "two", unpack.AlreadyImported, ""), result("two-000002", "two", unpack.AlreadyImported, "volumes are missing"),
	})
	if want := "one-000001 to one-000003: already imported (3 bundles)\n"; out.String() != want {
		t.Errorf("printed %q, want %q", out.String(), want)
	}
	var names []string
	for _, b := range rest {
		names = append(names, b.Name)
	}
	if got := strings.Join(names, " "); got != "one-000004 two-000001 two-000002" {
		t.Errorf("with a line of their own: %s", got)
	}
}
