package promises

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

// P14: over random histories of a folder (files added, changed, renamed,
// removed, added again) base and deltas publish what one full bundle does,
// byte for byte, and what the folder has; some bundles are lost on the way.
func TestRandomHistories(t *testing.T) {
	for seed := range uint64(3) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 14))
			s := newSite(t, map[string]string{"kept": "kept"})
			s.mirror("chain")
			base := "" // what the mirror has for certain
			for step := range 6 {
				for range 1 + r.IntN(4) {
					s.change(r)
				}
				args := []string{"export", "--quiet", "--to", "usb"}
				if base != "" {
					args = append(args, "--base", base)
				}
				bundle := s.ok(args...).stdout
				if bundle == "" {
					continue // nothing new
				}
				bundle = bundle[:len(bundle)-1]
				if step > 0 && r.IntN(4) == 0 {
					continue // lost on the way
				}
				s.ok("import", bundle, "--to", "chain")
				s.publishes("chain", "data")
				base = s.path(bundle)
				switch r.IntN(4) {
				case 0:
					s.ok("gc", "chain", "--keep", "1")
				case 1:
					if r := s.run("rollback", "chain"); r.code != 0 && r.code != 2 && r.code != 5 {
						t.Errorf("rollback: exit %d\n%s", r.code, r.stderr)
					}
				}
			}
			s.write("data/last", "last")
			s.ok("import", s.export("usb", "--base", base), "--to", "chain")
			whole := s.export("usb", "--full")
			s.mirror("whole")
			s.ok("import", whole, "--to", "whole")
			if diff := difference(s.contents("chain/current/files"), s.contents("whole/current/files")); len(diff) > 0 {
				t.Errorf("base and deltas differ from full: %q", diff)
			}
			s.publishes("chain", "data")
			s.ok("check", "chain", "--data")
		})
	}
}

// change does one thing to the folder data.
func (s *site) change(r *rand.Rand) {
	s.t.Helper()
	name := func() string { return fmt.Sprintf("data/d%d/f%d", r.IntN(3), r.IntN(4)) }
	found, err := filepath.Glob(s.path("data/d*/f*"))
	s.check(err)
	what := r.IntN(4)
	if len(found) == 0 {
		what = 0
	}
	switch what {
	case 0, 1: // from a small pool: what was there before comes again
		s.write(name(), noise(uint64(r.IntN(6)), []int{0, 1, 700, 40000}[r.IntN(4)]))
	case 2:
		to := s.path(name())
		s.check(os.MkdirAll(filepath.Dir(to), 0o755))
		s.check(os.Rename(found[r.IntN(len(found))], to))
	case 3:
		s.check(os.Remove(found[r.IntN(len(found))]))
	}
}
