package apt

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/test/plantest"
	"github.com/gapbundle/gapbundle/sources/sourcetest"
)

// newExporter exports a spec again and again, with one ledger.
func newExporter(t *testing.T, dir string) *sourcetest.Exporter {
	t.Helper()
	return sourcetest.NewExporter(t, dir, Kind(), now)
}

// beside returns a second source of the same archive.
func beside(a *archive, more ...string) string {
	return strings.Replace(a.spec(more...), "name: os", "name: beside", 1)
}

// An export whose upstream is unchanged asks for each InRelease and nothing
// else: the ledger has what the plan needs, whatever the modes of the sources
// are. A full one has to make again what was made, and makes the same.
func TestUnchangedThroughExport(t *testing.T) {
	for name, test := range map[string]struct {
		spec     func(a *archive) string
		requests int
	}{
		"verbatim":           {func(a *archive) string { return a.spec() }, 1},
		"rebuilt":            {func(a *archive) string { return a.spec("packages: [hello]", "valid-for: 30d") }, 1},
		"one beside other":   {func(a *archive) string { return a.spec("packages: [hello]") + beside(a) }, 2},
		"with a status file": {func(a *archive) string { return a.spec("packages: [hello]", "installed: status") }, 1},
	} {
		t.Run(name, func(t *testing.T) {
			a := newArchive(t, t.TempDir())
			a.publish()
			x := newExporter(t, a.dir)
			x.Write("status", []byte(pkg("data", "1", "all", "Status: install ok installed")))
			spec := test.spec(a)
			first := x.Run(spec)
			for range 2 {
				a.server.ResetCounts()
				if res := x.Run(spec); !res.Nothing || a.server.AllRequests() != test.requests {
					t.Fatalf("nothing new: %t, %d requests, want %d", res.Nothing, a.server.AllRequests(), test.requests)
				}
			}
			x.Options.Full = true
			if res := x.Run(spec); res.Nothing || res.State != first.State || res.Files != first.Files {
				t.Errorf("full: state %s with %d files, want %s with %d", res.State, res.Files, first.State, first.Files)
			}
		})
	}
}

// Whatever the choice is a function of leads to another one.
func TestChangedIsReadAgain(t *testing.T) {
	const rebuilt = "packages: [hello]"
	for name, test := range map[string]struct {
		change func(x *sourcetest.Exporter, a *archive) string
		same   bool // the result, after all was read
	}{
		"packages": {func(_ *sourcetest.Exporter, a *archive) string {
			return a.spec("packages: [hello, other]", "installed: status") + beside(a)
		}, false},
		"a status file": {func(x *sourcetest.Exporter, a *archive) string {
			x.Write("status", []byte(pkg("libhello", "2.10-3", "amd64", "Status: install ok installed")))
			return a.spec(rebuilt, "installed: status") + beside(a)
		}, false},
		"the site's key": {func(x *sourcetest.Exporter, a *archive) string {
			x.NewSite()
			return a.spec(rebuilt, "installed: status") + beside(a)
		}, false},
		"the program": {func(x *sourcetest.Exporter, a *archive) string {
			x.Options.Tool = "another"
			return a.spec(rebuilt, "installed: status") + beside(a)
		}, true},
		"validity": {func(_ *sourcetest.Exporter, a *archive) string {
			return a.spec(rebuilt, "installed: status", "valid-for: 30d") + beside(a)
		}, false},
		"another source goes": {func(_ *sourcetest.Exporter, a *archive) string { return a.spec(rebuilt, "installed: status") }, false},
		"upstream of another source": {func(_ *sourcetest.Exporter, a *archive) string {
			b := newArchive(a.t, a.dir)
			b.packages["main amd64"] = append(b.packages["main amd64"], pkg("new", "1", "amd64", ""))
			b.signer, b.server = a.signer, a.server
			plantest.WriteKeys(a.t, filepath.Join(a.dir, "archive.asc"), a.signer)
			b.at = a.at
			b.publish()
			return a.spec(rebuilt, "installed: status") + beside(a)
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			a := newArchive(t, t.TempDir())
			a.publish()
			x := newExporter(t, a.dir)
			x.Write("status", []byte(pkg("data", "1", "all", "Status: install ok installed")))
			x.Run(a.spec(rebuilt, "installed: status") + beside(a))
			spec := test.change(x, a)
			a.server.ResetCounts()
			res := x.Run(spec)
			if res.Nothing != test.same || a.server.AllRequests() <= a.server.Requests(a.base()+"InRelease") {
				t.Errorf("nothing new: %t, want %t; %d requests", res.Nothing, test.same, a.server.AllRequests())
			}
		})
	}
}

// What is valid for some time is made again each day: the client gets the whole
// of it with every export. Packages are not fetched again for it.
func TestValidityRenews(t *testing.T) {
	a := newArchive(t, t.TempDir())
	a.publish()
	x := newExporter(t, a.dir)
	spec := a.spec("packages: [hello]", "valid-for: 30d")
	x.Run(spec)
	x.Options.Now = now.Add(24 * time.Hour)
	res := x.Run(spec)
	if res.Nothing {
		t.Fatal("a day later: nothing new")
	}
	if n := a.server.Requests(a.at + "/" + a.pool("main", "hello", "2.10-3", "amd64")); n != 1 {
		t.Errorf("hello was fetched %d times", n)
	}
}

// A plan lists what the base has, a made index opens to what it was.
func TestReplayedOpens(t *testing.T) {
	a := newArchive(t, t.TempDir())
	a.publish()
	env := plantest.NewEnv(t, a.dir, nil)
	open, closed := siteKey(t)
	env.Site = open
	first, err := plan(t, env, a.spec("packages: [hello]"))
	if err != nil {
		t.Fatal(err)
	}
	again := plantest.NewEnv(t, a.dir, plantest.Record(t, first))
	again.Site = closed
	a.server.ResetCounts()
	second, err := plan(t, again, a.spec("packages: [hello]"))
	if err != nil {
		t.Fatal(err)
	}
	if n := a.server.AllRequests(); n != 1 {
		t.Errorf("%d requests, want one", n)
	}
	one, two := plantest.Artifacts(t, first, "os"), plantest.Artifacts(t, second, "os")
	if len(one) != len(two) {
		t.Errorf("%d files, want %d", len(two), len(one))
	}
	for p, want := range one {
		got := two[p]
		if got.File.Digest != want.File.Digest || got.File.Size != want.File.Size || got.Evidence.Reason != want.Evidence.Reason || got.Evidence.Origin != want.Evidence.Origin || got.Evidence.Vouched != want.Evidence.Vouched {
			t.Errorf("%s: got %+v %+v, want %+v %+v", p, got.File, got.Evidence, want.File, want.Evidence)
		}
	}
	again.Tool = "another"
	a.server.ResetCounts()
	if _, err := plan(t, again, a.spec("packages: [hello]")); err != nil || a.server.AllRequests() < 2 {
		t.Errorf("another program took over what was made: %v, %d requests", err, a.server.AllRequests())
	}
	again.Tool, again.Site = "", open
	third, err := plan(t, again, a.spec("packages: [hello]"))
	if err != nil {
		t.Fatal(err)
	}
	was, is := collectAll(t, first), collectAll(t, third)
	for p, want := range was.content["os"] {
		if !bytes.Equal(is.content["os"][p], want) {
			t.Errorf("%s: opens to something else", p)
		}
	}
	a.fields += "Description: another\n"
	a.publish()
	a.server.ResetCounts()
	if _, err := plan(t, again, a.spec("packages: [hello]")); err != nil || a.server.AllRequests() < 2 {
		t.Errorf("what was made of another Release was taken over: %v, %d requests", err, a.server.AllRequests())
	}
	if r := third.Repositories[0]; r.Mode != modeRebuilt || len(r.Keys) != 1 || r.Keys[0].Role != "site" || bundle.CheckAnnotations(r.Annotations) != nil {
		t.Errorf("repository %+v", r)
	}
}

// Where packages are chosen, what is chosen in one source depends on every
// other: one that changed means that all are read.
func TestAllOrNone(t *testing.T) {
	a := newArchive(t, t.TempDir())
	a.publish()
	b := newArchive(t, a.dir)
	b.signer = a.signer
	plantest.WriteKeys(t, filepath.Join(a.dir, "archive.asc"), a.signer)
	b.packages = map[string][]string{"main amd64": {pkg("vendor", "1", "amd64", "")}}
	b.publish()
	text := a.spec("packages: [other]") + strings.Replace(b.spec(), "name: os", "name: vendor", 1)
	env := plantest.NewEnv(t, a.dir, nil)
	env.Site, _ = siteKey(t)
	r, err := plan(t, env, text)
	if err != nil {
		t.Fatal(err)
	}
	env.Base = plantest.Record(t, r)
	a.packages["main amd64"] = append(a.packages["main amd64"], pkg("other", "2", "amd64", "Depends: vendor"))
	a.publish()
	b.server.ResetCounts()
	if _, err = plan(t, env, text); err != nil {
		t.Fatal(err)
	}
	if n := b.server.AllRequests(); n < 2 {
		t.Errorf("%d requests to the one that did not change: its packages were not looked at", n)
	}
}

// A source that is held back is not looked at, and the other one is checked.
func TestHeldBack(t *testing.T) {
	a := newArchive(t, t.TempDir())
	a.publish()
	b := newArchive(t, a.dir)
	b.signer = a.signer
	plantest.WriteKeys(t, filepath.Join(a.dir, "archive.asc"), a.signer)
	b.publish()
	x := newExporter(t, a.dir)
	text := a.spec() + strings.Replace(b.spec(), "name: os", "name: other", 1)
	x.Run(text)
	b.packages["main amd64"] = append(b.packages["main amd64"], pkg("new", "1", "amd64", ""))
	b.publish()
	a.server.ResetCounts()
	x.Options.Only = []string{"other"}
	if res := x.Run(text); res.Nothing || res.Full || a.server.AllRequests() > 0 {
		t.Errorf("%d requests to what is held back: %+v", a.server.AllRequests(), res)
	}
}
