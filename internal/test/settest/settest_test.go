package settest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/unpack"
)

// TestWorld: what both sets honestly have is taken, twice, and is intact.
func TestWorld(t *testing.T) {
	w := New(t)
	for _, set := range []string{Alpha, Beta} {
		c := w.Content(set)
		c.Put("debs", "pool/main/b.deb", "another package of "+set)
		if _, err := w.Import(w.Export(c).Dirs...); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(filepath.Join(w.Dir, "current/apt", set+"-debs/pool/main/b.deb"))
		if err != nil || !strings.HasSuffix(string(b), set) {
			t.Errorf("%q, %v", b, err)
		}
	}
	if res, err := w.Check(t.Context(), unpack.CheckOptions{Data: 1}); err != nil {
		t.Errorf("%v: %+v", err, res)
	}
	if g, err := w.Current(); err != nil || g.Number != 4 || len(g.Sets) != 2 {
		t.Errorf("%+v, %v", g, err)
	}
}
