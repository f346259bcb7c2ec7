package apt

import (
	"errors"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/test/plantest"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/apt/deb"
	"github.com/gapbundle/gapbundle/sources/collect"
)

// said returns what a suite says of itself: "Origin Suite Codename name", with "-"
// for what is missing, and then system, notautomatic or release=NAME.
func said(text string) *loaded {
	words := strings.Fields(text)
	for i, w := range words {
		if w == "-" {
			words[i] = ""
		}
	}
	l := &loaded{entry: &entry{name: text}}
	s := &loadedSuite{suite: &suite{entry: l.entry, name: words[3]}, signed: &signed{release: &deb.Release{Origin: words[0], Suite: words[1], Codename: words[2]}}}
	for _, w := range words[4:] {
		switch w {
		case "system":
			s.system = true
		case "notautomatic":
			s.release.NotAutomatic = true
		default:
			l.options.Release = strings.TrimPrefix(w, "release=")
		}
	}
	l.suites = []*loadedSuite{s}
	return l
}

// TestReleases: which releases a set has, and which of them each suite is of.
func TestReleases(t *testing.T) {
	for name, test := range map[string]struct {
		releases string
		suites   []string // each with what it is of: "SUITE = RELEASE"
	}{
		"Debian": {"bookworm trixie", []string{
			"Debian oldstable bookworm bookworm system = bookworm", "Debian oldstable-updates bookworm-updates bookworm-updates = bookworm",
			"Debian oldstable-security bookworm-security bookworm-security system = bookworm", "Debian oldstable-backports bookworm-backports bookworm-backports system notautomatic = bookworm",
			"Debian stable trixie trixie system = trixie", "Debian experimental rc-buggy experimental system notautomatic = ",
		}},
		"old security suites": {"buster sid", []string{"Debian oldstable buster buster/updates system = buster", "Debian unstable sid sid system = sid"}},
		"Ubuntu and vendors": {"jammy noble", []string{
			"Ubuntu jammy jammy jammy system = jammy", "Ubuntu jammy-security jammy jammy-security system = jammy", "Ubuntu noble-updates noble noble-updates system = noble",
			"Canonical jammy-updates caracal jammy-updates/caracal = jammy", "Docker jammy jammy jammy = jammy", "LP-PPA-maas noble noble noble = noble",
			"apt.postgresql.org noble-pgdg noble-pgdg noble-pgdg = noble", "NVIDIA - - ./ = ", "Grafana stable stable stable = ", "Grafana beta beta beta = ", "Signal xenial xenial xenial = ",
			"Vendor - - jammy = jammy", "Vendor jammy - ./ = jammy",
			"Vendor - - jammy/ = jammy", "Vendor - - noble/mongodb-org/7.0 = noble",
		}},
		"two systems":          {"bookworm noble", []string{"Debian stable bookworm bookworm system = bookworm", "Ubuntu noble noble noble system = noble"}},
		"a system's stable":    {"bookworm noble", []string{"Debian stable bookworm stable system = bookworm", "Ubuntu noble noble noble system = noble", "Grafana stable stable stable = "}},
		"one release":          {"noble", []string{"Ubuntu noble noble noble system = noble", "Docker jammy jammy jammy = ", "Docker focal focal focal = "}},
		"by option":            {"jammy noble v1", []string{"Ubuntu jammy jammy jammy system = jammy", "Ubuntu noble noble noble system = noble", "NVIDIA - - ./ release=jammy = jammy", "Docker jammy jammy jammy release=any = ", "K8s - - ./ release=v1 = v1"}},
		"any of a system":      {"noble", []string{"Mint virginia virginia virginia system release=any = ", "Ubuntu noble noble noble system = noble"}},
		"vendors alone":        {"jammy noble", []string{"Docker jammy jammy jammy = jammy", "Docker noble noble noble = noble", "Grafana stable stable stable = ", "K8s - - ./ = "}},
		"one suite each alone": {"", []string{"Docker jammy jammy jammy = ", "Grafana stable stable stable = "}},
	} {
		var all []*loaded
		var wants []string
		for _, text := range test.suites {
			own, want, _ := strings.Cut(text+" ", " = ")
			all, wants = append(all, said(own)), append(wants, strings.TrimSpace(want))
		}
		found := releases(all)
		if got := strings.Join(found, " "); got != test.releases {
			t.Errorf("%s: releases %q, want %q", name, got, test.releases)
		}
		if len(found) < 2 {
			continue // then everything is one client's
		}
		for i, l := range all {
			if got := l.suites[0].releaseOf(found); got != wants[i] {
				t.Errorf("%s: %s: of %q, want %q", name, test.suites[i], got, wants[i])
			}
		}
	}
}

// pool returns the packages of a planned source.
func pool(t *testing.T, r *collect.Resolved, source string) string {
	t.Helper()
	var all []string
	for p := range plantest.Artifacts(t, r, source) {
		if strings.HasPrefix(p, "pool/") {
			all = append(all, strings.TrimSuffix(path.Base(p), ".deb"))
		}
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

func notes(r *collect.Resolved, source string) string {
	for _, repo := range r.Repositories {
		if repo.Name == source {
			return strings.Join(repo.Notes, "\n")
		}
	}
	return ""
}

func content(t *testing.T, a sources.Artifact) []byte {
	t.Helper()
	b, err := plantest.ReadArtifact(t, a)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// newTools returns a vendor of one flat repository, which says no release.
func (r *twoReleases) newTools(packages ...string) *archive {
	a := *r.new
	a.at, a.flat, a.byHash, a.extra, a.fields = "/tools", true, false, map[string]string{}, "Origin: Tools\nDate: Sat, 31 Oct 2026 12:00:00 UTC\n"
	a.packages = map[string][]string{"main amd64": packages}
	a.publish()
	return &a
}

func (r *twoReleases) toolsSpec(a *archive, more ...string) string {
	more = slices.DeleteFunc(more, func(line string) bool { return line == "" })
	return strings.Replace(a.spec(append(more, "suites: ./")...), "name: os", "name: tools", 1)
}

// A source that says no release is chosen from for each of them, and what is
// asked of it is there with the dependencies of each, and those of a client
// that has all sources.
func TestSourceOfEveryRelease(t *testing.T) {
	r := newTwoReleases(t, t.TempDir())
	r.new.packages["main amd64"] = append(r.new.packages["main amd64"], pkg("one", "1", "amd64", "Depends: dpkg (>= 1.22)"))
	r.old.packages["main amd64"] = append(r.old.packages["main amd64"], pkg("one", "2", "amd64", "Depends: dpkg (<< 1.22) | two"), pkg("two", "2", "all", ""))
	r.publish()
	tools := r.newTools(pkg("tool", "1", "all", "Depends: hello, one"), pkg("unused", "1", "all", ""))
	env := plantest.NewEnv(t, r.new.dir, nil)
	env.Site, _ = siteKey(t)
	resolved, err := plan(t, env, r.spec("data")+r.toolsSpec(tools, "packages: tool"))
	if err != nil {
		t.Fatal(err)
	}
	for source, want := range map[string]string{
		"os":    "data_1_all dpkg_1.22_amd64 hello_2.10_amd64 libhello_2.10_amd64 one_1_amd64",
		"old":   "data_0.8_all dpkg_1.21_amd64 hello_1.8_amd64 libold_1_amd64 one_2_amd64 two_2_all", // two: with dpkg of the new one
		"tools": "tool_1_all",
	} {
		if got := pool(t, resolved, source); got != want {
			t.Errorf("%s: %s, want %s", source, got, want)
		}
	}
	for source, want := range map[string]string{"os": "release trixie", "old": "release bookworm", "tools": "release bookworm, trixie"} {
		if got := notes(resolved, source); !strings.HasPrefix(got, "chosen for clients of "+want) {
			t.Errorf("%s: notes\n%s", source, got)
		}
	}
	if _, err := check(t.Context(), collectAll(t, resolved)); err != nil {
		t.Error(err)
	}
	for source, want := range map[string]string{"os": "data is asked for by source os", "old": "clients of all releases at once: tool is asked for by source tools; "} {
		var why []string
		for p, a := range plantest.Artifacts(t, resolved, source) {
			if strings.Contains(p, "/two_") || strings.Contains(p, "/data_") && source == "os" {
				why = append(why, a.Evidence.Reason)
			}
		}
		if len(why) != 1 || !strings.HasPrefix(why[0], want) {
			t.Errorf("%s: reasons %q", source, why)
		}
	}
}

// What a client of one release lacks is an error that names the release, also
// where another one has it; and a source that is for one says so.
func TestNoReleaseIsIncomplete(t *testing.T) {
	r := newTwoReleases(t, t.TempDir())
	tools := r.newTools(pkg("tool", "1", "all", "Depends: libhello"))
	env := plantest.NewEnv(t, r.new.dir, nil)
	env.Site, _ = siteKey(t)
	_, err := plan(t, env, r.spec("data")+r.toolsSpec(tools, "packages: tool"))
	if !errors.Is(err, bundle.ErrIncomplete) || !strings.Contains(err.Error(), "clients of release bookworm,") || !strings.Contains(err.Error(), "depends libhello: in no index") ||
		strings.Contains(err.Error(), "trixie") || strings.Contains(err.Error(), "there are") {
		t.Errorf("got %v", err)
	}
	resolved, err := plan(t, env, r.spec("data")+r.toolsSpec(tools, "packages: tool", "release: trixie"))
	if err != nil || pool(t, resolved, "os") != "data_1_all libhello_2.10_amd64" || pool(t, resolved, "tools") != "tool_1_all" {
		t.Errorf("of trixie: %v", err)
	}
	_, err = plan(t, env, r.spec("data", "libold"))
	if !errors.Is(err, bundle.ErrUsage) || !strings.Contains(err.Error(), "clients of release trixie,") || strings.Count(err.Error(), "package libold: in no index") != 1 {
		t.Errorf("got %v", err)
	}
	_, err = plan(t, env, r.new.spec("release: a b"))
	if !errors.Is(err, bundle.ErrUsage) || !strings.Contains(err.Error(), `release: "a b" is no name`) {
		t.Errorf("got %v", err)
	}
}

// One source of several releases: each has what it is asked for; what one of
// them never had is a remark, what none has an error.
func TestReleasesInOneSource(t *testing.T) {
	r := newTwoReleases(t, t.TempDir())
	r.old.at = r.new.at
	source := func(version string) string {
		return "Package: hello\nFormat: 3.0 (native)\nVersion: " + version + "\nDirectory: pool\nChecksums-Sha256:\n " + strings.Repeat("1", 64) + " 1 hello_" + version + ".dsc\nFiles:\n " + strings.Repeat("0", 32) + " 1 hello_" + version + ".dsc\n\n"
	}
	// The same source package in both, as where a release has not changed it.
	r.old.extra = map[string]string{"main/source/Sources": source("1.8") + source("2.10")}
	r.new.extra = map[string]string{"main/source/Sources": source("2.10")}
	r.old.packages["main amd64"] = []string{pkg("hello", "2.10", "amd64", "Depends: libold"), pkg("libold", "1", "amd64", "Source: hello (1.8)"), pkg("dpkg", "1.21", "amd64", "")}
	r.new.packages["main amd64"] = []string{pkg("hello", "2.10", "amd64", "Depends: libhello"), pkg("libhello", "2.10", "amd64", "Source: hello"), pkg("dpkg", "1.22", "amd64", "")}
	r.publish()
	env := plantest.NewEnv(t, r.new.dir, nil)
	env.Site, _ = siteKey(t)
	suites := "suites: [trixie, bookworm]\n  components: main"
	resolved, err := plan(t, env, r.new.spec(suites, "packages: [hello, libold]", "sources: true"))
	if err != nil {
		t.Fatal(err)
	}
	planned := plantest.Artifacts(t, resolved, "os")
	for name, want := range map[string]string{
		"dists/trixie/main/binary-amd64/Packages": "hello 2.10, libhello 2.10", "dists/bookworm/main/binary-amd64/Packages": "hello 2.10, libold 1",
		"dists/trixie/main/source/Sources": "hello 2.10", "dists/bookworm/main/source/Sources": "hello 1.8, hello 2.10",
	} {
		var got []string
		for stanza := range strings.SplitSeq(strings.TrimSpace(string(content(t, planned[name]))), "\n\n") {
			got = append(got, deb.Paragraph(stanza+"\n").Field("Package")+" "+deb.Paragraph(stanza+"\n").Field("Version"))
		}
		if strings.Join(got, ", ") != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	if got := notes(resolved, "os"); strings.Count(got, "release trixie: package libold, which is requested: in no index") != 1 {
		t.Errorf("notes\n%s", got)
	}
	_, err = plan(t, env, r.new.spec(suites, "packages: [hello, nowhere]"))
	if !errors.Is(err, bundle.ErrUsage) || strings.Count(err.Error(), "package nowhere: in no index") != 1 {
		t.Errorf("got %v", err)
	}
}

// A name that is nobody's in one release may be that of several packages for a
// client of all, which then takes none; what both clients are told is told once.
func TestMixedClientKnowsMore(t *testing.T) {
	r := newTwoReleases(t, t.TempDir())
	r.old.packages["main amd64"] = append(r.old.packages["main amd64"], pkg("strict", "1", "amd64", "Provides: virtual\nRecommends: nothing"))
	r.new.packages["main amd64"] = append(r.new.packages["main amd64"], pkg("late", "1", "amd64", "Provides: virtual"))
	r.publish()
	env := plantest.NewEnv(t, r.new.dir, nil)
	env.Site, _ = siteKey(t)
	text := strings.Replace(r.spec("hello"), "packages: [hello]\n  suites: bookworm", "packages: [virtual, strict]\n  recommends: true\n  suites: bookworm", 1)
	resolved, err := plan(t, env, text)
	if err != nil || pool(t, resolved, "old") != "strict_1_amd64" {
		t.Fatalf("got %v", err)
	}
	if got := notes(resolved, "old"); strings.Count(got, "recommends nothing, which cannot be installed") != 1 {
		t.Errorf("notes\n%s", got)
	}
}

// On a client of all releases a version that is requested of one keeps out what
// another one needs: that is told, and stops nobody.
func TestMixedClientIsTolerant(t *testing.T) {
	r := newTwoReleases(t, t.TempDir())
	r.old.packages["main amd64"] = append(r.old.packages["main amd64"], pkg("strict", "1", "amd64", "Depends: data (<< 1)"))
	r.publish()
	env := plantest.NewEnv(t, r.new.dir, nil)
	env.Site, _ = siteKey(t)
	text := strings.Replace(r.spec("hello", "data=1"), "packages: [hello, data=1]\n  suites: bookworm", "packages: [strict]\n  suites: bookworm", 1)
	resolved, err := plan(t, env, text)
	if err != nil {
		t.Fatal(err)
	}
	if got := pool(t, resolved, "old"); got != "data_0.8_all strict_1_amd64" {
		t.Errorf("old: %s", got)
	}
	want := "clients of all releases at once: strict is asked for by source old: strict:amd64 (1) depends data (<< 1): in no index"
	if got := notes(resolved, "old"); !strings.Contains(got, want) {
		t.Errorf("notes\n%s", got)
	}
}

// Two vendors' channels that say nothing look like one client's: what one of
// them loses to the other is told, and the spec can say that they are not.
func TestTakenFromElsewhere(t *testing.T) {
	r := newTwoReleases(t, t.TempDir())
	tools := r.newTools(pkg("tool", "1", "all", ""))
	later := *tools
	later.at, later.packages = "/later", map[string][]string{"main amd64": {pkg("tool", "2", "all", "")}}
	later.publish()
	env := plantest.NewEnv(t, r.new.dir, nil)
	env.Site, _ = siteKey(t)
	spec := func(release, next string) string {
		return r.toolsSpec(tools, "packages: tool", release) + strings.Replace(r.toolsSpec(&later, "packages: tool", next), "name: tools", "name: later", 1)
	}
	for _, test := range []struct{ spec, tools, note string }{
		{spec("", ""), "", "package tool, which is requested: apt takes that of source later; if clients do not have both, set release: for each, or make two sets"},
		{spec("release: v1", "release: v2"), "tool_1_all", "chosen for clients of release v1"},
	} {
		resolved, err := plan(t, env, test.spec)
		if err != nil {
			t.Fatal(err)
		}
		if got := pool(t, resolved, "tools"); got != test.tools || notes(resolved, "tools") != test.note || pool(t, resolved, "later") != "tool_2_all" {
			t.Errorf("%s: got %q, later %q, notes\n%s", test.spec, got, pool(t, resolved, "later"), notes(resolved, "tools"))
		}
	}
}

// Releases side by side that are unchanged cost one request for each suite.
func TestUnchangedReleases(t *testing.T) {
	r := newTwoReleases(t, t.TempDir())
	x := newExporter(t, r.new.dir)
	first := x.Run(r.spec("hello"))
	r.new.server.ResetCounts()
	if res := x.Run(r.spec("hello")); !res.Nothing || r.new.server.AllRequests() != 2 {
		t.Errorf("nothing new: %t, %d requests, want 2", res.Nothing, r.new.server.AllRequests())
	}
	x.Options.Full = true
	if res := x.Run(r.spec("hello")); res.Nothing || res.State != first.State || res.Files != first.Files {
		t.Errorf("full: state %s with %d files, want %s with %d", res.State, res.Files, first.State, first.Files)
	}
}
