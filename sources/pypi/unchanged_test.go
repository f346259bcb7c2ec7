package pypi

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/test/upstreamtest"
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

// A new version of one project adds its files, and changes its pages, the locks and the
// record, and nothing else. Metadata is asked for once.
func TestDelta(t *testing.T) {
	w := newWorld(t).add(piptest.Wheel{Name: "app", Version: "1.0", Requires: []string{"lib"}}, piptest.Wheel{Name: "lib", Version: "1.0"}, piptest.Wheel{Name: "other", Version: "1.0"})
	s := newSite(t)
	spec := "kind: pypi\nindex: " + w.URL() + "\npackages: [app, other]\n" + two
	first := s.must(spec)
	s.exported(first)
	w.add(piptest.Wheel{Name: "lib", Version: "2.0"})
	w.Server.ResetCounts()
	second := s.must(spec)
	wheel := w.Projects["lib"][1]
	var changed []string
	for _, at := range sortedKeys(second.files) {
		if before, ok := first.files[at]; !ok || before.File.Digest != second.files[at].File.Digest {
			changed = append(changed, at)
		}
	}
	folder := "files/" + wheel.Digest()[:2] + "/" + wheel.Digest() + "/"
	want := []string{
		folder + wheel.Name, folder + wheel.Name + ".metadata", "locks/cp312-manylinux_2_28_x86_64.txt", "locks/cp39-manylinux2014_aarch64.txt", "locks/cp39-musllinux_1_2_x86_64.txt",
		"simple/lib/index.html", "simple/lib/index.v1_json", "sources.json",
	}
	if !slices.Equal(changed, want) {
		t.Errorf("%v\nwant %v", changed, want)
	}
	for name, files := range w.Projects {
		for _, f := range files {
			if n := w.Server.Requests("/files/" + f.Name + ".metadata"); n > 1 {
				t.Errorf("%s: metadata of %s was asked for %d times", name, f.Name, n)
			}
		}
	}
}

// What an index says of a project as a whole is passed on; of one in quarantine it offers
// no files.
func TestProjectStatus(t *testing.T) {
	w := newWorld(t).add(piptest.Wheel{Name: "old", Version: "1.0"}, piptest.Wheel{Name: "bad", Version: "1.0"})
	status := func(name, status string) {
		page := strings.Replace(string(piptest.JSON(name, w.Projects[name])), `"meta":{`, `"project-status":{"status":"`+status+`","reason":"nobody looks after it"},"meta":{`, 1)
		w.Server.PutFile(piptest.Page(name), upstreamtest.File{Content: []byte(page), Type: piptest.JSONType})
	}
	status("old", "archived")
	status("bad", "quarantined")
	base := "kind: pypi\nindex: " + w.URL() + "\n" + for312
	if notes := strings.Join(newSite(t).must(base+"packages: old\n").repo.Notes, "\n"); !strings.Contains(notes, "old: "+w.URL()+" has it as archived nobody looks after it") {
		t.Error(notes)
	}
	if _, err := newSite(t).plan(base + "packages: bad\n"); !errors.Is(err, bundle.ErrUsage) || !strings.Contains(err.Error(), "bad") {
		t.Error(err)
	}
}
