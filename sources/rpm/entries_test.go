package rpm

import (
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/collect"
)

// entriesOf returns the entries of a planned source, by name, version and architecture.
func entriesOf(t testing.TB, r *collect.Resolved, source string) map[string]sources.Entry {
	t.Helper()
	all := map[string]sources.Entry{}
	for _, repo := range r.Repositories {
		if repo.Name != source {
			continue
		}
		for a, err := range repo.Artifacts() {
			if err != nil {
				t.Fatal(err)
			}
			for e := range a.Entries.All() {
				all[e.Name+" "+e.Version+" "+e.Arch] = e
			}
		}
	}
	return all
}

// TestEntriesHaveAdvisories: a package has the advisories of updateinfo that name its very
// version, its licence, its summary and its source package; in a selection, too.
func TestEntriesHaveAdvisories(t *testing.T) {
	a, chosen := selected(t)
	a.Extra["updateinfo"] = strings.Replace(updatesXML, "</updates>", `<update><id>A-0</id><pkglist><collection><package name="hello" version="2.10" release="1.el9" epoch="0" arch="x86_64"/>
  <package name="hello" version="2.10" release="1.el9" epoch="0" arch="x86_64"/></collection></pkglist></update></updates>`, 1)
	a.publish()
	for name, spec := range map[string]string{"whole": a.spec(), "chosen": chosen} {
		env := newEnv(t, a.dir, nil)
		env.Site = siteKey(t)
		all := entriesOf(t, mustPlan(t, env, spec), "epel")
		hello, lib := all["hello 2.10-1.el9 x86_64"], all["libhello 2.10-1.el9 x86_64"]
		if got := strings.Join(hello.Fixes, " "); got != "A-0 A-1" {
			t.Errorf("%s: hello fixes %q, want A-0 and A-1", name, got)
		}
		if len(lib.Fixes) > 0 {
			t.Errorf("%s: libhello fixes %q, want nothing", name, lib.Fixes)
		}
		for _, e := range []sources.Entry{hello, lib} {
			if e.Type != bundle.TypeRPM || e.Licence != "MIT" || e.Source != "hello" && e.Source != "libhello" || e.Summary == "" || e.Group != "" {
				t.Errorf("%s: %+v", name, e)
			}
		}
	}
}

// TestEntriesHaveStreams: a package of a module is of the group that its stream is.
func TestEntriesHaveStreams(t *testing.T) {
	a := newArchive(t, t.TempDir())
	a.Extra = map[string]string{"modules": `---
document: modulemd
version: 2
data:
  name: greet
  stream: "2"
  version: 1
  context: a
  arch: x86_64
  summary: greetings
  description: It is there for a test.
  license: {module: [MIT]}
  artifacts:
    rpms:
    - hello-0:2.10-1.el9.x86_64
    - gone-0:1-1.el9.x86_64
...
`}
	a.publish()
	all := entriesOf(t, mustPlan(t, newEnv(t, a.dir, nil), a.spec()), "epel")
	if got := all["hello 2.10-1.el9 x86_64"].Group; got != "greet:2" {
		t.Errorf("hello is of %q, want greet:2", got)
	}
	if got := all["libhello 2.10-1.el9 x86_64"].Group; got != "" {
		t.Errorf("libhello is of %q, want nothing", got)
	}
}

// TestAdvisoriesAreBounded: of more advisories than an entry may have the first are named,
// and what cannot be in a signed text is not.
func TestAdvisoriesAreBounded(t *testing.T) {
	a := newArchive(t, t.TempDir())
	var updates strings.Builder
	updates.WriteString("<updates>")
	for i := range 2 * bundle.MaxFixes {
		id := "A-" + strings.Repeat("x", i+1)
		if i == 0 {
			id = "A-\u202e"
		}
		updates.WriteString(`<update><id>` + id + `</id><pkglist><collection><package name="hello" version="2.10" release="1.el9" epoch="0" arch="x86_64"/></collection></pkglist></update>`)
	}
	a.Extra = map[string]string{"updateinfo": updates.String() + "</updates>"}
	a.publish()
	fixes := entriesOf(t, mustPlan(t, newEnv(t, a.dir, nil), a.spec()), "epel")["hello 2.10-1.el9 x86_64"].Fixes
	if len(fixes) != bundle.MaxFixes || fixes[0] != "A-xx" {
		t.Errorf("%d advisories, want %d: %q", len(fixes), bundle.MaxFixes, fixes)
	}
}
