package apt

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/test/plantest"
	"github.com/gapbundle/gapbundle/sources/rebuild"
)

// mustPlan plans, and returns the paths, the remarks and the client's file of the source os.
func mustPlan(t *testing.T, a *archive, site bool, more ...string) (paths map[string]bool, notes, client string) {
	t.Helper()
	env := plantest.NewEnv(t, a.dir, nil)
	if site {
		env.Site, _ = siteKey(t)
	}
	r, err := plan(t, env, a.spec(more...))
	if err != nil {
		t.Fatal(err)
	}
	paths = map[string]bool{}
	for p := range plantest.Artifacts(t, r, "os") {
		paths[p] = true
	}
	repo := r.Repositories[0]
	files, err := clients(t.Context(), []bundle.Repository{{Name: "os", Mount: "apt/os", Annotations: repo.Annotations}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return paths, strings.Join(repo.Notes, "\n"), string(files[0].Content)
}

// madeRelease returns the Release that was made for a rebuilt source.
func madeRelease(t *testing.T, a *archive, more ...string) string {
	t.Helper()
	env := plantest.NewEnv(t, a.dir, nil)
	env.Site, _ = siteKey(t)
	r, err := plan(t, env, a.spec(more...))
	if err != nil {
		t.Fatal(err)
	}
	return string(content(t, plantest.Artifacts(t, r, "os")["dists/stable/Release"]))
}

// refused plans and wants an error of that class with all those words.
func refused(t *testing.T, a *archive, site bool, class error, words []string, more ...string) {
	t.Helper()
	env := plantest.NewEnv(t, a.dir, nil)
	if site {
		env.Site, _ = siteKey(t)
	}
	_, err := plan(t, env, a.spec(more...))
	if !errors.Is(err, class) {
		t.Errorf("got %v, want %v", err, class)
		return
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("got %v, want it to say %s", err, word)
		}
	}
}

// Hosted repositories of Nexus have a slash in front of each Filename.
func TestRootedFilename(t *testing.T) {
	for _, more := range []string{"newest: 1", "components: main"} {
		a := newArchive(t, t.TempDir())
		a.publish()
		for i, stanza := range a.packages["main amd64"] {
			a.packages["main amd64"][i] = strings.Replace(a.stanza("main", stanza), "Filename: ", "Filename: //", 1)
		}
		a.publish()
		if paths, _, _ := mustPlan(t, a, true, more); !paths["pool/main/hello/hello_2.10-3_amd64.deb"] {
			t.Errorf("%s: got %v", more, paths)
		}
	}
}

// apt warns of a Date that it cannot read, and goes on.
func TestDatesThatAptWarnsOf(t *testing.T) {
	const field = "Date: Sat, 31 Oct 2026 12:00:00 UTC"
	for with, test := range map[string]struct{ note, made string }{
		"Date: Sat, 31 Oct 2026 12:00:00 +0200": {`"Sat, 31 Oct 2026 12:00:00 +0200"`, "Sat, 31 Oct 2026 10:00:00 UTC"},
		"Date: Sat, 31 Oct 2026 12:00:00 CEST":  {`"Sat, 31 Oct 2026 12:00:00 CEST"`, "Sun, 01 Nov 2026 00:00:00 UTC"},
		"X-Date: none":                          {"no Date", "Sun, 01 Nov 2026 00:00:00 UTC"},
	} {
		a := newArchive(t, t.TempDir())
		a.fields = strings.Replace(a.fields, field, with, 1)
		a.publish()
		if _, notes, _ := mustPlan(t, a, false); !strings.Contains(notes, test.note) || !strings.Contains(notes, "apt warns") {
			t.Errorf("%s: remarks %q", with, notes)
		}
		if _, notes, _ := mustPlan(t, a, true, "packages: data"); !strings.Contains(notes, test.note) || strings.Contains(notes, "apt warns") {
			t.Errorf("%s, rebuilt: remarks %q", with, notes)
		}
		if text := madeRelease(t, a, "packages: data"); !strings.Contains(text, "Date: "+test.made+"\n") {
			t.Errorf("%s, rebuilt: want Date %s in\n%s", with, test.made, text)
		}
	}
}

// apt refuses a Valid-Until that it cannot read, and one that is over.
func TestAllowExpired(t *testing.T) {
	over := "Valid-Until: Sat, 31 Oct 2026 20:00:00 UTC\n"
	for name, test := range map[string]struct {
		field   string
		class   error
		rebuilt bool // refused there too
		note    string
	}{
		"over":           {over, fetch.ErrRefused, true, "Valid-Until 2026-10-31T20:00:00Z is over"},
		"in a zone":      {"Valid-Until: Tue, 03 Nov 2026 20:00:00 +0200\n", fetch.ErrUpstream, false, ""},
		"in no language": {"Valid-Until: soon\n", fetch.ErrUpstream, true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			a := newArchive(t, t.TempDir())
			a.fields += test.field
			a.publish()
			refused(t, a, false, test.class, []string{"Valid-Until", "allow-expired", a.server.URL(a.base() + "InRelease")})
			if test.rebuilt {
				refused(t, a, true, test.class, []string{"Valid-Until", "allow-expired"}, "packages: data")
			} else {
				mustPlan(t, a, true, "packages: data")
			}
			_, notes, client := mustPlan(t, a, false, "allow-expired: true")
			if !strings.Contains(notes, test.note) || strings.Count(client, "\nCheck-Valid-Until: no\n") != 1 {
				t.Errorf("remarks %q, client file\n%s", notes, client)
			}
			if test.field == over && !strings.Contains(client, "2026-10-31T20:00:00Z") {
				t.Errorf("the date is not in the client's file\n%s", client)
			}
			if _, _, client := mustPlan(t, a, true, "allow-expired: true", "packages: data"); strings.Contains(client, "Check-Valid-Until") {
				t.Errorf("rebuilt: client file\n%s", client)
			}
		})
	}
	a := newArchive(t, t.TempDir())
	a.fields += over
	a.publish()
	r, err := plan(t, plantest.NewEnv(t, a.dir, nil), a.spec("allow-expired: true"))
	if err != nil || r.Repositories[0].Expires != nil {
		t.Errorf("got %v, %v: its clients do not ask", r, err)
	}
}

// A suite's name that stands for a release from time to time is a remark, as in apt; any
// other name has to be allowed by name.
func TestSuiteOfAnotherName(t *testing.T) {
	publish := func(suite, release string) *archive {
		a := newArchive(t, t.TempDir())
		a.suite, a.fields = suite, fmt.Sprintf("Suite: %s\nCodename: %s\nDate: Sat, 31 Oct 2026 12:00:00 UTC\n", release, release)
		a.publish()
		return a
	}
	for suite, odd := range map[string]bool{"devel": true, "stable-updates": true, "resolute/product/8.0": false, "resolute/updates": false} {
		_, notes, client := mustPlan(t, publish(suite, "resolute"), false, "suites: "+suite)
		if got := strings.Contains(notes, "Conflicting distribution") && strings.Contains(notes, "resolute"); got != odd || !strings.Contains(client, "Suites: "+suite+"\n") {
			t.Errorf("%s: remarks %q, client\n%s", suite, notes, client)
		}
	}
	for _, names := range [][2]string{{"noble", "resolute"}, {"stable", "oldstable"}, {"devel", "testing"}} {
		a := publish(names[0], names[1])
		refused(t, a, false, fetch.ErrRefused, []string{names[0], names[1], "release-is: " + names[1]}, "suites: "+names[0])
		refused(t, a, false, fetch.ErrRefused, []string{"release-is: " + names[1]}, "suites: "+names[0], "release-is: another")
		if _, notes, _ := mustPlan(t, a, false, "suites: "+names[0], "release-is: "+names[1]); !strings.Contains(notes, "Conflicting distribution") {
			t.Errorf("%s: remarks %q", names, notes)
		}
	}
}

// apt does not look at the field Components: all of them are those that have indexes.
func TestComponentsOfPaths(t *testing.T) {
	const field = "Components: contrib main\n"
	for with, note := range map[string]string{
		field:                            "",
		"Component: contrib main\n":      `Components is ""`,
		"Components: mian\n":             `Components is "mian"`,
		"Components: main\n":             `Components is "main"`,
		"Components: main main nosuch\n": `Components is "main main nosuch"`,
	} {
		a := newArchive(t, t.TempDir())
		a.extra["main/debian-installer/binary-amd64/Packages"] = ""
		a.extra["ports/binary-riscv64/Packages"] = ""
		a.change = func(release string) string { return strings.Replace(release, field, with, 1) }
		a.publish()
		paths, notes, client := mustPlan(t, a, false)
		want := "\nComponents: main contrib\n"
		if with == field {
			want = "\nComponents: contrib main\n"
		} else if !strings.Contains(with, "main ") && !strings.HasSuffix(with, ": main\n") || strings.HasPrefix(with, "Component:") {
			want = "\nComponents: contrib main\n"
		}
		if !paths["pool/contrib/extra/extra_1.0~rc1+b1_amd64.deb"] || !paths["pool/main/hello/hello_2.10-3_amd64.deb"] || !strings.Contains(client, want) {
			t.Errorf("%q: %d files, client\n%s", with, len(paths), client)
		}
		if note == "" && strings.Contains(notes, "Components") || !strings.Contains(notes, note) {
			t.Errorf("%q: remarks %q", with, notes)
		}
	}
	a := newArchive(t, t.TempDir())
	a.packages, a.extra = nil, map[string]string{"main/i18n/Translation-en": ""}
	a.publish()
	refused(t, a, false, fetch.ErrUpstream, []string{"lists no index of packages", "amd64"})
	refused(t, a, true, fetch.ErrUpstream, []string{"lists no index of packages"}, "newest: 1")
}

// A field of a list that apt ignores is a remark with its place.
func TestRemarksOnLists(t *testing.T) {
	a := newArchive(t, t.TempDir())
	a.publish()
	text := fmt.Sprintf("\nDescription: ours\nTypes: deb\nURIs: %s\nSuites: stable\n", a.server.URL(a.at))
	if err := os.WriteFile(filepath.Join(a.dir, "x.sources"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	r, err := plan(t, plantest.NewEnv(t, a.dir, nil), "- {name: os, kind: apt, sources-file: x.sources, architectures: [amd64], keyring: archive.asc}\n")
	if err != nil {
		t.Fatal(err)
	}
	if notes := strings.Join(r.Repositories[0].Notes, "\n"); !strings.Contains(notes, `x.sources:2:1: "Description" is no option`) {
		t.Errorf("remarks %q", notes)
	}
}

// A sources.list is read as apt reads it: by the end of its name.
func TestSourcesList(t *testing.T) {
	a := newArchive(t, t.TempDir())
	a.publish()
	read := func(text string) error {
		t.Helper()
		if err := os.WriteFile(filepath.Join(a.dir, "x.list"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := plan(t, plantest.NewEnv(t, a.dir, nil), "- {name: os, kind: apt, sources-file: x.list, architectures: [amd64], keyring: archive.asc}\n")
		return err
	}
	if err := read("# ours\n\n   # and more\ndeb\t[ trusted=no arch=amd64 ]\t" + a.server.URL(a.at) + "\tstable  main # the copy\r\n"); err != nil {
		t.Error(err)
	}
	for text, words := range map[string]string{
		"":            "x.list: want an entry",
		"# deb\n":     "x.list: want an entry",
		"\nrpm a b\n": "x.list:2:1: \"rpm a b\": want deb or deb-src first",
		"deb [trusted=yes] " + a.server.URL(a.at) + " stable main\n": "x.list:1:1: ",
	} {
		if err := read(text); !errors.Is(err, bundle.ErrUsage) || !strings.Contains(err.Error(), words) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// What a choice names has to be there, and something has to be left.
func TestChoicesThatMatchNothing(t *testing.T) {
	a := newArchive(t, t.TempDir())
	for i, section := range []string{"net", "universe/libs", "doc", "doc"} {
		a.packages["main amd64"][i] = strings.Replace(a.packages["main amd64"][i], "Description:", "Section: "+section+"\nDescription:", 1)
	}
	a.publish()
	for choice, words := range map[string][]string{
		"packages: [helo]":                        {"package helo", "in no index, there are hello"},
		"sections: [nett]":                        {"section nett", "matches no package", "there are net"},
		"sections: [net, nosuch]":                 {"section nosuch", "universe/libs"},
		"exclude: [helo]":                         {"exclude helo", "there are hello"},
		"exclude: [hello, 'x*']":                  {"exclude x*", "matches no package"},
		"exclude: [hello=9]":                      {"exclude hello=9", "there are hello of version 2.10-3"},
		"exclude: ['hello:arm64']":                {"exclude hello:arm64"},
		"exclude: ['hello=']":                     {"exclude", "hello="},
		"exclude: ['*']":                          {"nothing is left of 5 for amd64", "exclude is *"},
		"{sections: doc, exclude: data}":          nil,
		"{sections: doc, exclude: [data, other]}": {"nothing is left of 5", "data, other"},
		"packages: [nosuch]":                      {"package nosuch", "in no index"},
		"languages: [xx]":                         {"languages: xx", "there are de, en"},
		"languages: [en, xx]":                     {"languages: xx"},
		"languages: [none]":                       nil,
		"{newest: 1, exclude: ['hello=2.10-3']}":  nil,
	} {
		t.Run(choice, func(t *testing.T) {
			lines := strings.Split(strings.Trim(choice, "{}"), ", ")
			if !strings.HasPrefix(choice, "{") {
				lines = []string{choice}
			} else if strings.Contains(choice, "[data, other]") {
				lines = []string{"sections: doc", "exclude: [data, other]"}
			}
			if words == nil {
				mustPlan(t, a, true, lines...)
				return
			}
			refused(t, a, true, bundle.ErrUsage, words, lines...)
		})
	}
	a.extra = map[string]string{}
	a.publish()
	if _, notes, _ := mustPlan(t, a, false, "languages: [xx]"); !strings.Contains(notes, "no translations") {
		t.Errorf("remarks %q", notes)
	}
}

// One version of a package can be left out, and what depends on it says so.
func TestExcludeVersion(t *testing.T) {
	a := newArchive(t, t.TempDir())
	a.packages["main amd64"] = append(a.packages["main amd64"], pkg("libhello", "2.11", "amd64", ""), pkg("libhello", "3.0", "amd64", ""))
	a.publish()
	const path = "pool/main/libhello/libhello_%s_amd64.deb"
	for exclude, want := range map[string]string{"libhello=3.0": "2.11", "libhello:amd64=3.0": "2.11", "libhello=3*": "2.11", "libh*=2.11": "3.0", "libhello=0:3.0": "2.11"} {
		paths, _, _ := mustPlan(t, a, true, "packages: hello", "exclude: ['"+exclude+"']")
		for _, v := range []string{"2.10-3", "2.11", "3.0"} {
			if paths[fmt.Sprintf(path, v)] != (v == want) {
				t.Errorf("%s: version %s: in the plan %v", exclude, v, v != want)
			}
		}
	}
	paths, _, _ := mustPlan(t, a, true, "exclude: ['libhello=2.11']")
	if paths[fmt.Sprintf(path, "2.11")] || !paths[fmt.Sprintf(path, "2.10-3")] || !paths[fmt.Sprintf(path, "3.0")] {
		t.Errorf("got %v", paths)
	}
	refused(t, a, true, bundle.ErrIncomplete, []string{"libhello", "excluded"}, "packages: hello", "exclude: ['libhello=2*', 'libhello=3.0']")
}

// An index that apt gives up is upstream's fault, and so is a package of it that is chosen.
func TestIndexesThatAptGivesUp(t *testing.T) {
	for bad, class := range map[string]error{"libhello [amd64]": fetch.ErrUpstream, "libhello, , data": fetch.ErrUpstream, "libhello (>1)": fetch.ErrUpstream} {
		a := newArchive(t, t.TempDir())
		a.packages["main amd64"][0] = pkg("hello", "2.10-3", "amd64", "Depends: "+bad)
		a.publish()
		refused(t, a, false, class, []string{"hello:amd64 (2.10-3)", "Depends", a.server.URL(a.base() + "main/binary-amd64/Packages.gz")})
		refused(t, a, true, class, []string{"hello"}, "packages: [hello]")
		if paths, _, _ := mustPlan(t, a, true, "packages: [data]"); !paths["pool/main/data/data_1_all.deb"] {
			t.Errorf("%s: got %v", bad, paths)
		}
		paths, notes, _ := mustPlan(t, a, true, "newest: 1", "absent: skip", "exclude: [extra]")
		if paths["pool/main/hello/hello_2.10-3_amd64.deb"] || !paths["pool/main/other/other_1_amd64.deb"] || !strings.Contains(notes, "left out: package hello:amd64 (2.10-3)") {
			t.Errorf("%s: got %v, remarks %q", bad, paths, notes)
		}
		refused(t, a, true, bundle.ErrUsage, []string{"package hello", "left out: package hello:amd64 (2.10-3)"}, "packages: [hello]", "absent: skip")
	}
	// A relation that apt cannot read may ask for what nobody has.
	b := newArchive(t, t.TempDir())
	b.packages["main amd64"][0] = pkg("hello", "2.10-3", "amd64", "Depends: nobody [amd64]")
	b.publish()
	refused(t, b, true, fetch.ErrUpstream, []string{"depends nobody", "source os: package hello:amd64 (2.10-3): field Depends", rebuild.SkipHint}, "packages: [hello]")
	// A package whose name is only a part of a word of the error has no part in it.
	c := newArchive(t, t.TempDir())
	c.packages["main amd64"] = append(c.packages["main amd64"], pkg("such", "1", "amd64", "Depends: nobody [amd64]"))
	c.publish()
	env := plantest.NewEnv(t, c.dir, nil)
	env.Site, _ = siteKey(t)
	if _, err := plan(t, env, c.spec("packages: [nosuch]")); !errors.Is(err, bundle.ErrUsage) || errors.Is(err, fetch.ErrUpstream) || strings.Contains(err.Error(), "package such") {
		t.Errorf("a name that is part of a word: %v", err)
	}
	a := newArchive(t, t.TempDir())
	a.packages["main amd64"][0] = "\n\n" + a.packages["main amd64"][0]
	a.publish()
	refused(t, a, false, fetch.ErrUpstream, []string{"line 2: empty lines"})
	mustPlan(t, a, true, "packages: [hello]")
	refused(t, a, false, bundle.ErrUsage, []string{"absent"}, "absent: skip")
	refused(t, a, true, bundle.ErrUsage, []string{"want skip"}, "newest: 1", "absent: fail")
}
