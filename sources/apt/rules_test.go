package apt

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/test/plantest"
)

// publishSuite publishes a suite with one package next to those that are there.
func (a *archive) publishSuite(suite, date, fields, version string) {
	a.suite = suite
	a.fields = "Suite: " + suite + "\nCodename: " + suite + "\nDate: " + date + "\n" + fields
	a.packages, a.extra = map[string][]string{"main amd64": {pkg("tool", version, "amd64", "")}}, map[string]string{"main/i18n/Translation-en": ""}
	a.publish()
}

// What archives say of themselves decides as it does in apt: a version that is
// not automatic, or only for upgrades, is not taken although it is higher.
func TestNotAutomatic(t *testing.T) {
	const day = "Sat, 31 Oct 2026 12:00:00 UTC"
	for want, suites := range map[string]string{
		"tool_1_amd64.deb": "[stable, backports, experimental]",
		"tool_2_amd64.deb": "[backports, experimental]",
		"tool_3_amd64.deb": "[experimental]",
	} {
		a := newArchive(t, t.TempDir())
		a.publishSuite("stable", day, "", "1")
		a.publishSuite("backports", day, "NotAutomatic: yes\nButAutomaticUpgrades: yes\n", "2")
		a.publishSuite("experimental", day, "NotAutomatic: yes\n", "3")
		env := plantest.NewEnv(t, a.dir, nil)
		env.Site, _ = siteKey(t)
		r, err := plan(t, env, a.spec("suites: "+suites, "packages: tool"))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for p := range plantest.Artifacts(t, r, "os") {
			if strings.HasSuffix(p, ".deb") {
				got = append(got, filepath.Base(p))
			}
		}
		if !slices.Equal(got, []string{want}) {
			t.Errorf("of %s: %v, want %s", suites, got, want)
		}
	}
}

// Every rebuilt index has the newest date among those that it was made from,
// in whatever order the suites are named.
func TestDateIsTheNewest(t *testing.T) {
	for _, suites := range []string{"[older, newer]", "[newer, older]"} {
		a := newArchive(t, t.TempDir())
		a.publishSuite("older", "Thu, 29 Oct 2026 12:00:00 UTC", "", "1")
		a.publishSuite("newer", "Fri, 30 Oct 2026 12:00:00 UTC", "", "2")
		env := plantest.NewEnv(t, a.dir, nil)
		env.Site, _ = siteKey(t)
		r, err := plan(t, env, a.spec("suites: "+suites, "packages: tool"))
		if err != nil {
			t.Fatal(err)
		}
		tr := collectAll(t, r)
		for _, suite := range []string{"older", "newer"} {
			if text := string(tr.content["os"]["dists/"+suite+"/Release"]); !strings.Contains(text, "Date: Fri, 30 Oct 2026 12:00:00 UTC\n") {
				t.Errorf("%s:\n%s", suite, text)
			}
		}
	}
}

// The client file pins what was chosen, languages too.
func TestClientLanguages(t *testing.T) {
	a := newArchive(t, t.TempDir())
	a.publish()
	r, err := plan(t, plantest.NewEnv(t, a.dir, nil), a.spec("languages: [en]"))
	if err != nil {
		t.Fatal(err)
	}
	files, err := clients(t.Context(), []bundle.Repository{{Name: "os", Mount: "apt/os", Annotations: r.Repositories[0].Annotations}}, nil)
	if err != nil || !strings.Contains(string(files[0].Content), "\nLanguages: en\n") {
		t.Errorf("%v\n%s", err, files[0].Content)
	}
}

// A Release that lists Packages only compressed: apt finds no package there
// and says nothing, so check does.
func TestCheckOfPlainForm(t *testing.T) {
	const at = "dists/stable/InRelease"
	a := newArchive(t, t.TempDir())
	a.publish()
	r, err := plan(t, plantest.NewEnv(t, a.dir, nil), a.spec())
	if err != nil {
		t.Fatal(err)
	}
	tr := collectAll(t, r)
	var kept []string
	for line := range strings.Lines(string(a.indexes())) {
		if !strings.HasSuffix(line, " main/binary-amd64/Packages\n") {
			kept = append(kept, line)
		}
	}
	tr.content["os"][at] = plantest.ClearSign(t, []byte(strings.Join(kept, "")), a.signer)
	if _, err := check(t.Context(), tr); !errors.Is(err, bundle.ErrIncomplete) || !strings.Contains(err.Error(), "main/binary-amd64/Packages: Release lists it only compressed") {
		t.Errorf("got %v", err)
	}
}
