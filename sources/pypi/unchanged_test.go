package pypi

import (
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/sources/pypi/piptest"
)

// An export of what did not change asks for each page whether it is the same, and
// for nothing else.
func TestUnchanged(t *testing.T) {
	w := newWorld(t).add(
		piptest.Wheel{Name: "app", Version: "1.0", Requires: []string{"lib", "ranged"}}, piptest.Wheel{Name: "lib", Version: "1.0"}, piptest.Wheel{Name: "lib", Version: "2.0"},
	)
	ranged := piptest.Wheel{Name: "ranged", Version: "1.0"}.Build(t)
	ranged.NoMetadata = true
	w.Projects["ranged"] = []*piptest.File{ranged}
	w.Put()
	other := newWorld(t).add(piptest.Wheel{Name: "extra", Version: "1.0"})
	s := newSite(t)
	s.write("r.txt", "app\n")
	spec := "kind: pypi\nindex: " + w.URL() + "\nextra-indexes: \"" + other.URL() + "\"\nrequirements: r.txt\npackages: extra\n" + two
	first := s.must(spec)
	s.exported(first)
	w.Server.ResetCounts()
	other.Server.ResetCounts()
	second := s.must(spec)
	if n := w.Server.AllRequests() + other.Server.AllRequests(); n != 8 {
		t.Errorf("%d requests, want one for each of 4 names on 2 indexes", n)
	}
	for _, name := range []string{"app", "lib", "ranged"} {
		if sent := w.Server.Bytes(piptest.Page(name)); sent != 0 {
			t.Errorf("%d bytes of the page of %s", sent, name)
		}
	}
	if len(first.files) != len(second.files) {
		t.Errorf("%d files, before %d", len(second.files), len(first.files))
	}
	for at, a := range first.files {
		if have := second.files[at]; have.File.Digest != a.File.Digest || have.Evidence.Origin != a.Evidence.Origin || have.Keep != a.Keep {
			t.Errorf("%s: %+v, before %+v", at, have, a)
		}
		if second.read(at) != first.read(at) {
			t.Errorf("%s reads differently", at)
		}
	}
	if notes := strings.Join(second.repo.Notes, "\n"); !strings.Contains(notes, "nothing changed") || !strings.Contains(notes, "nothing but the connection") {
		t.Error(notes)
	}
	s.write("r.txt", "app\nlib<2\n")
	if third := s.must(spec); !strings.Contains(third.names(), "lib-1.0") {
		t.Error("another requirement:", third.names())
	}
	s.write("r.txt", "app\n")
	other.add(piptest.Wheel{Name: "lib", Version: "3.0"})
	if _, err := s.plan(spec); err == nil || !strings.Contains(err.Error(), "two indexes have it") {
		t.Error("a name that another index has now:", err)
	}
}
