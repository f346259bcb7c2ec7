package promises

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// beforeEnv names the commit or the tag of the earlier program. If it is not set, the program is
// built from frozenSource.
const beforeEnv = "GAPBUNDLE_BEFORE"

// trips are the programs that export and import on a bundle's trip, one after the other: the first
// carries a full bundle, and the others deltas on its receipts.
type trips [][2]string

// TestProgramOfBefore: this program and one of before import each other's bundles, and each goes on with
// the exporter's state and the mirror that the other has left. "task compatible" runs it with
// the program of any commit.
func TestProgramOfBefore(t *testing.T) {
	const this, before = "this", "before"
	programs := map[string]string{this: program(), before: newCheckout(t, os.Getenv(beforeEnv)).build()}
	all := map[string]trips{
		"this exports, before imports": {{this, before}, {this, before}, {this, before}},
		"before exports, this imports": {{before, this}, {before, this}, {before, this}},
		"they take turns":              {{this, before}, {before, this}, {this, before}, {before, this}},
		"this goes on, and back":       {{before, before}, {this, this}, {before, before}},
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, map[string]string{
				"one": "1", "large": noise(2, 3<<20), "gone": "soon", "empty": "", "folder/copy of one": "1", "folder/.hidden": "h", "ä/λ": "letters",
			})
			var last string
			for i, c := range all[name] {
				s.carry(programs[c[0]], programs[c[1]], i)
				last = programs[c[1]]
			}
			s.t.Setenv(programEnv, last)
			s.ok("rollback", "mirror")
			s.ok("gc", "mirror")
			s.ok("check", "mirror", "--data")
		})
	}
}

// carry makes a trip: the newest receipt goes out, then a bundle goes in. The first trip has neither
// a receipt nor a mirror yet.
func (s *site) carry(exporter, importer string, trip int) {
	s.t.Helper()
	flags, full := []string{"--volume-size", "1MiB"}, trip == 0
	if !full {
		receipts, err := filepath.Glob(s.path("mirror/state/receipts/*.json"))
		s.check(err)
		s.t.Setenv(programEnv, exporter)
		s.ok("receipts", "add", receipts[len(receipts)-1], "--destination", "inside", "--yes")
		flags = append(flags, "--destination", "inside")
		s.write("data/one", noise(uint64(trip), 100))
		s.write("data/new", noise(uint64(trip), 2<<20))
		s.check(os.RemoveAll(s.path("data/gone")))
	}
	s.t.Setenv(programEnv, exporter)
	bundle := s.export("usb", flags...)
	if root := s.read(bundle + "/bundle.json"); strings.Contains(root, `"full":false`) == full {
		s.t.Errorf("%s: full is not %v", bundle, full)
	}
	s.t.Setenv(programEnv, importer)
	if full {
		s.mirror("mirror")
	}
	s.ok("verify", bundle, "--mirror", "mirror")
	s.ok("import", bundle, "--to", "mirror")
	s.publishes("mirror", "data")
	s.ok("check", "mirror", "--data")
}
