package unpack_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/test/bundletest"
	"github.com/gapbundle/gapbundle/unpack"
)

// TestLostRecords: a record of a generation that is cut, empty or gone is refused, and state
// rebuild restores it from its second copy. Without a copy, as in mirrors that an earlier program
// wrote, an old generation is given up, and what is served is published again.
func TestLostRecords(t *testing.T) {
	for name, lose := range map[string]func(file string) error{
		"cut":   func(file string) error { return os.Truncate(file, 40) },
		"gone":  os.Remove,
		"other": func(file string) error { return os.WriteFile(file, []byte(`{"number": 9}`), 0o600) },
	} {
		for _, c := range []struct {
			what   string
			number string
			copied bool
			says   string
		}{
			{"the served one", "000002", true, "the record of generation 2: from its second copy"},
			{"the one before", "000001", true, "the record of generation 1: from its second copy"},
			{"the served one of before", "000002", false, "the record of generation 2 is lost: site-000002 published again"},
			{"the one before of before", "000001", false, "generation 1 is given up"},
		} {
			t.Run(name+", "+c.what, func(t *testing.T) {
				if name != "cut" && c.number == "000001" {
					return // the same but for one that gc has removed
				}
				r := newIll(t)
				served := r.contents()
				file := filepath.Join(r.dir, "state/generations", c.number)
				was := readFile(t, file+".json")
				must(t, lose(file+".json"))
				if !c.copied {
					must(t, os.Remove(file+".copy"))
				}
				next := r.e.Export(t, []bundletest.Repository{apt(map[string]string{"x": "y"})}, bundletest.Options{Full: true})
				if name != "other" {
					_, err := r.Receive(t.Context(), next.Dirs, unpack.ImportOptions{})
					var state *unpack.StateError
					if !errors.As(err, &state) || !errors.Is(err, bundle.ErrUntrusted) {
						t.Fatalf("import: %v, want a StateError", err)
					}
				}
				res := r.rebuild()
				if len(res.Restored) != 1 || !strings.HasPrefix(res.Restored[0], c.says) {
					t.Errorf("restored %q, want %q", res.Restored, c.says)
				}
				if got, err := os.ReadFile(file + ".json"); c.copied && (err != nil || string(got) != was) {
					t.Errorf("the record is %q, %v; was %s", got, err, was)
				}
				r.reopen(unpack.Options{})
				if now := r.contents(); !sameJSON(t, now, served) {
					t.Errorf("served %v, was %v", now, served)
				}
				r.intact()
				r.receive(next.Dirs...)
				if _, err := r.GC(t.Context(), unpack.GCOptions{Keep: 1, Force: true}); err != nil {
					t.Error(err)
				}
				r.intact()
			})
		}
	}
}
