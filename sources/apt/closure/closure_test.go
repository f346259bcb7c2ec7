package closure_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources/apt/closure"
	"github.com/gapbundle/gapbundle/sources/apt/deb"
)

// parse makes packages of lines "name[:arch] version[; Field: value]...", of
// amd64 unless they say otherwise.
func parse(text string) []*deb.Package {
	var all []*deb.Package
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		head, fields, _ := strings.Cut(line, ";")
		id, version, _ := strings.Cut(strings.TrimSpace(head), " ")
		name, arch, ok := strings.Cut(id, ":")
		if !ok {
			arch = "amd64"
		}
		var b strings.Builder
		fmt.Fprintf(&b, "Package: %s\nVersion: %s\nArchitecture: %s\nFilename: pool/%s_%s_%s.deb\nSize: 1\n", name, version, arch, name, version, arch)
		for field := range strings.SplitSeq(fields, ";") {
			if field = strings.TrimSpace(field); field != "" {
				b.WriteString(field + "\n")
			}
		}
		p, err := deb.ParsePackage(deb.Paragraph(b.String()))
		if err != nil {
			panic(err)
		}
		all = append(all, p)
	}
	return all
}

func index(text string) closure.Index { return closure.Index{Source: "s", Packages: parse(text)} }

// ask returns a request for amd64, by names.
func ask(names ...string) closure.Request {
	return closure.Request{Source: "s", Packages: names, Architectures: []string{"amd64"}}
}

// ids returns the choices as "name version", with the architecture if it is not
// amd64, sorted.
func ids(s *closure.Selection) string {
	var all []string
	for _, c := range s.Choices {
		id := c.Package.Name + " " + c.Package.Version
		if c.Package.Architecture != "amd64" {
			id += " " + c.Package.Architecture
		}
		all = append(all, id)
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

// archive is what most tests choose from. What apt 2.6 makes of it was tried
// with apt itself.
const archive = `
	cons 1; Depends: virt
	zeta 1; Provides: virt
	alpha 1; Provides: virt
	either 1; Depends: aa | bb
	aa 1; Conflicts: dd
	bb 1
	dd 1
	deepfail 1; Depends: qq | bb
	qq 1; Depends: deep
	deep 1; Depends: missing
	old 2
	old 1
	wantold 1; Depends: old (= 1)
	wantoldor 1; Depends: old (= 1) | bb
	versioned 1; Depends: vv (>= 2)
	w1 1; Provides: vv
	w2 1; Provides: vv (= 3)
	real 1; Depends: vreal
	vreal 1
	pvreal 1; Provides: vreal; Essential: yes
	prio 1; Depends: pp
	p1 1; Provides: pp; Priority: required
	p2 1; Provides: pp; Priority: optional
	noprio 1; Depends: np
	n1 1; Provides: np
	n2 1; Provides: np; Priority: required
	badprio 1; Depends: bp
	b1 1; Provides: bp; Priority: optional
	b2 1; Provides: bp; Priority: whatever
	ess 1; Depends: ee
	e1 1; Provides: ee; Essential: yes
	e2 1; Provides: ee; Priority: required
	self 1; Depends: me; Provides: me
	other 1; Provides: me
	loop 1; Depends: pool
	pool 1; Pre-Depends: loop
	rec 1; Recommends: bb, missing, aa | dd
	lib 1.10; Section: universe/libs
	lib 1.9; Section: libs
	tool 1; Section: libs; Depends: missing; Priority: standard
`

// foreign is of several architectures.
const foreign = `
	app 1; Depends: data, tool, python:any, lib
	app:arm64 1; Depends: data, tool, python:any, lib
	data:all 1; Depends: font
	font 1
	font:arm64 1
	tool:all 1; Multi-Arch: foreign
	python 1; Multi-Arch: allowed
	python:arm64 1; Multi-Arch: allowed
	lib 1; Multi-Arch: same
	lib:arm64 1; Multi-Arch: same
	wine:i386 1; Depends: lib, tool, perl
	lib:i386 1
	perl:i386 1; Multi-Arch: foreign
	perl 1; Multi-Arch: foreign
	cons:i386 1; Depends: virt
	pa 1; Provides: virt; Multi-Arch: foreign
	pi:i386 1; Provides: virt; Priority: required
	only:arm64 1
	notallowed 1; Depends: lib:any
	explicit 1; Depends: lib:i386
	native:arm64 1; Depends: perl:native
`

func TestSelect(t *testing.T) {
	for _, test := range []struct {
		name string
		r    closure.Request
		want string
	}{
		{"equal providers: the last that apt meets", ask("cons"), "alpha 1, cons 1"},
		{"first alternative", ask("either"), "aa 1, either 1"},
		{"conflict with something asked for: the next one too", ask("either", "dd"), "aa 1, bb 1, dd 1, either 1"},
		{"first alternative that can be installed", ask("deepfail"), "bb 1, deepfail 1"},
		{"not the candidate, if nothing else will do", ask("wantold"), "old 1, wantold 1"},
		{"another candidate before an old version", ask("wantoldor"), "bb 1, wantoldor 1"},
		{"versioned provides", ask("versioned"), "versioned 1, w2 1"},
		{"real before virtual", ask("real"), "real 1, vreal 1"},
		{"higher priority", ask("prio"), "p1 1, prio 1"},
		{"no priority before any", ask("noprio"), "n1 1, noprio 1"},
		{"unknown priority behind all", ask("badprio"), "b1 1, badprio 1"},
		{"essential before priority", ask("ess"), "e1 1, ess 1"},
		{"provides its own need", ask("self"), "self 1"},
		{"loop", ask("loop"), "loop 1, pool 1"},
		{"recommends off", ask("rec"), "rec 1"},
		{"recommends on", closure.Request{Source: "s", Packages: []string{"rec"}, Recommends: true, Architectures: []string{"amd64"}}, "aa 1, bb 1, rec 1"},
		{"highest version", ask("lib"), "lib 1.10"},
		{"version asked for", ask("lib=1.9"), "lib 1.9"},
		{"newest two", closure.Request{Source: "s", Packages: []string{"lib"}, Newest: 2, Architectures: []string{"amd64"}}, "lib 1.10, lib 1.9"},
		{"pattern", ask("w*"), "bb 1, old 1, w1 1, w2 1, wantold 1, wantoldor 1"},
		{"a name that one alone provides", ask("vv"), ""},
		{"section", closure.Request{Source: "s", Sections: []string{"libs"}, Architectures: []string{"amd64"}}, "lib 1.10, lib 1.9, tool 1"},
		{"section, newest", closure.Request{Source: "s", Sections: []string{"universe/libs", "libs"}, Newest: 1, Architectures: []string{"amd64"}}, "lib 1.10, tool 1"},
		{"priority", closure.Request{Source: "s", Priorities: []string{"required"}, Architectures: []string{"amd64"}}, "e2 1, n2 1, p1 1"},
		{"bootstrap", closure.Request{Source: "s", Bootstrap: &closure.Bootstrap{}, Architectures: []string{"amd64"}}, "e1 1, pvreal 1"},
		{"bootstrap with names and priorities", closure.Request{Source: "s", Bootstrap: &closure.Bootstrap{Priorities: []string{"required"}, With: []string{"lib", "nobody"}}, Architectures: []string{"amd64"}}, "e1 1, e2 1, lib 1.10, n2 1, p1 1, pvreal 1"},
		{"excluded", closure.Request{Source: "s", Packages: []string{"either"}, Exclude: []string{"a*"}, Architectures: []string{"amd64"}}, "bb 1, either 1"},
		{"installed meets it", closure.Request{Source: "s", Packages: []string{"either"}, Installed: parse("bb 1"), Architectures: []string{"amd64"}}, "either 1"},
		{"installed provides it", closure.Request{Source: "s", Packages: []string{"cons"}, Installed: parse("local 1; Provides: virt"), Architectures: []string{"amd64"}}, "cons 1"},
		{"installed is too old", closure.Request{Source: "s", Packages: []string{"versioned"}, Installed: parse("local 1; Provides: vv (= 1)"), Architectures: []string{"amd64"}}, "versioned 1, w2 1"},
		{"installed is asked for", closure.Request{Source: "s", Packages: []string{"lib", "bb"}, Installed: parse("lib 1.9\nbb 1"), Architectures: []string{"amd64"}}, "lib 1.10"},
		{"reproduce", closure.Request{Source: "s", Reproduce: parse("lib 1.9\nold 1\nlocal 1"), Exclude: []string{"local"}, Architectures: []string{"amd64"}}, "lib 1.9, old 1"},
	} {
		s, err := closure.Select([]closure.Index{index(archive)}, []closure.Request{test.r})
		if test.want == "" {
			if !errors.Is(err, bundle.ErrUsage) {
				t.Errorf("%s: got %v, %v", test.name, s, err)
			}
			continue
		}
		if err != nil || ids(s) != test.want {
			t.Errorf("%s: got %v, want %s, %v", test.name, s, test.want, err)
		}
	}
}

func TestSelectRefuses(t *testing.T) {
	for _, test := range []struct {
		name  string
		r     closure.Request
		class error
		text  []string
	}{
		{"unknown", ask("nobody", "aa", "noone"), bundle.ErrUsage, []string{"source s: package nobody: in no index", "package noone"}},
		{"unknown version", ask("lib=3"), bundle.ErrUsage, []string{"package lib=3: in no index"}},
		{"virtual of several", ask("virt"), bundle.ErrUsage, []string{"package virt: in no index, provided by zeta, alpha"}},
		{"chain", ask("qq", "bb"), bundle.ErrIncomplete, []string{"qq is asked for by source s: qq:amd64 (1) depends deep; deep:amd64 (1) depends missing: in no index"}},
		{"excluded", closure.Request{Source: "s", Packages: []string{"prio"}, Exclude: []string{"p1", "p2"}, Architectures: []string{"amd64"}}, bundle.ErrIncomplete, []string{"depends pp: in no index"}},
		{"excluded by name", closure.Request{Source: "s", Packages: []string{"loop"}, Exclude: []string{"pool"}, Architectures: []string{"amd64"}}, bundle.ErrIncomplete, []string{"depends pool: in no index, excluded"}},
		{"a pin that does not suit", ask("wantold", "old=2"), bundle.ErrIncomplete, []string{"depends old (= 1): in no index, there are 2 amd64"}},
		{"pattern", ask("[a"), bundle.ErrUsage, []string{"[a"}},
		{"reproduce", closure.Request{Source: "s", Reproduce: parse("lib 1.8\nbb 1"), Architectures: []string{"amd64"}}, bundle.ErrUsage, []string{"package lib:amd64 (1.8) of the status file: in no index"}},
	} {
		s, err := closure.Select([]closure.Index{index(archive)}, []closure.Request{test.r})
		if !errors.Is(err, test.class) {
			t.Errorf("%s: got %v, %v", test.name, s, err)
			continue
		}
		for _, text := range test.text {
			if !strings.Contains(err.Error(), text) {
				t.Errorf("%s: want %q, got %v", test.name, text, err)
			}
		}
	}
}

func TestWhyAndNotes(t *testing.T) {
	r := ask("wantold", "deepfail", "rec")
	r.Recommends, r.Sections = true, []string{"libs"}
	s, err := closure.Select([]closure.Index{index(archive)}, []closure.Request{r})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range s.Choices {
		want := ""
		switch c.Package.Name {
		case "deepfail":
			want = "deepfail is asked for by source s"
		case "old":
			want = "wantold is asked for by source s; wantold:amd64 (1) depends old (= 1)"
		case "lib":
			want = "lib is asked for by source s's selection"
		default:
			continue
		}
		if got := strings.Join(c.Reason.Why(), "; "); got != want {
			t.Errorf("%s: %q, want %q", c.Package.ID(), got, want)
		}
	}
	notes := strings.Join(s.Notes, "\n")
	for _, want := range []string{
		"rec:amd64 (1) recommends missing, which cannot be installed",
		"wantold:amd64 (1) depends old (= 1): carried is old:amd64 (1), which is not the newest",
		"tool is asked for by source s's selection: tool:amd64 (1) depends missing: in no index",
	} {
		if !strings.Contains(notes, want) {
			t.Errorf("want %q in notes:\n%s", want, notes)
		}
	}
}

// TestSeveralSources: all apt sources of a set together.
func TestSeveralSources(t *testing.T) {
	indexes := []closure.Index{
		{Source: "ubuntu", Packages: parse("libc 1\ntool 1; Depends: libc\nkernel 1; Depends: tool")},
		{Source: "ubuntu", Packages: parse("libc 2\ntool 1; Depends: libc")},
		{Source: "backports", Priority: 100, Packages: parse("libc 3\nonly 1; Depends: libc (>= 3)")},
		{Source: "vendor", Packages: parse("driver 1; Depends: kernel")},
	}
	s, err := closure.Select(indexes, []closure.Request{
		{Source: "vendor", Packages: []string{"driver"}, Architectures: []string{"amd64"}},
	})
	if err != nil || ids(s) != "driver 1, kernel 1, libc 2, tool 1" {
		t.Fatalf("got %v, %v", s, err)
	}
	for i, want := range []int{0, 0, 1, 3} {
		if s.Choices[i].Index != want {
			t.Errorf("%s is of index %d, want %d", s.Choices[i].Package.ID(), s.Choices[i].Index, want)
		}
	}
	s, err = closure.Select(indexes, []closure.Request{{Source: "backports", Packages: []string{"only"}, Architectures: []string{"amd64"}}})
	if err != nil || ids(s) != "libc 3, only 1" {
		t.Errorf("got %v, %v", s, err)
	}
}

// TestNewestCountsVersions: one that is in two suites is one.
func TestNewestCountsVersions(t *testing.T) {
	indexes := []closure.Index{index("tool 1\ntool 2\ntool 3"), index("tool 3\ntool 4"), index("tool 4")}
	r := ask("tool")
	r.Newest = 3
	s, err := closure.Select(indexes, []closure.Request{r})
	if want := "tool 2, tool 3, tool 4"; err != nil || ids(s) != want || s.Choices[2].Index != 1 {
		t.Errorf("got %v, want %s, %v", s, want, err)
	}
}

func TestArchitectures(t *testing.T) {
	x := index(foreign)
	for _, test := range []struct {
		architectures, packages, want string
	}{
		{"amd64", "app", "app 1, data 1 all, font 1, lib 1, python 1, tool 1 all"},
		{"amd64 arm64", "app", "app 1, app 1 arm64, data 1 all, font 1, font 1 arm64, lib 1, lib 1 arm64, python 1, python 1 arm64, tool 1 all"},
		{"amd64 arm64", "app:arm64", "app 1 arm64, data 1 all, font 1 arm64, lib 1 arm64, python 1 arm64, tool 1 all"},
		{"amd64 arm64", "only", "only 1 arm64"},
		{"amd64", "only", ""},
		{"amd64 i386", "wine:i386", "lib 1 i386, perl 1, perl 1 i386, tool 1 all, wine 1 i386"},
		{"amd64", "wine:i386", "lib 1 i386, perl 1, tool 1 all, wine 1 i386"},
		{"amd64", "cons:i386", "cons 1 i386, pa 1"},
		{"amd64", "notallowed", ""},
		{"amd64", "explicit", "explicit 1, lib 1 i386"},
		{"arm64", "native", ""},
	} {
		r := closure.Request{Source: "s", Packages: strings.Fields(test.packages), Architectures: strings.Fields(test.architectures)}
		s, err := closure.Select([]closure.Index{x}, []closure.Request{r})
		if test.want == "" {
			if err == nil {
				t.Errorf("%s for %s: got %s", test.packages, test.architectures, ids(s))
			}
			continue
		}
		if err != nil || ids(s) != test.want {
			t.Errorf("%s for %s: got %v, want %s, %v", test.packages, test.architectures, s, test.want, err)
		}
	}
}

// TestUpgrades: what a choice would break among what is installed comes along.
func TestUpgrades(t *testing.T) {
	x := index(`
		libc 2; Breaks: libc-dev (<< 2)
		libc-dev 2; Depends: libc (= 2)
		libc-bin 2; Depends: libc (= 2)
		locales 2; Depends: libc-bin (= 2)
		app 1; Depends: libc (>= 2)
		free 2
		sibling 2; Source: libc
		stranger 2; Source: libc (3)
	`)
	r := ask("app")
	r.Installed = parse("libc 1\nlibc-dev 1\nlibc-bin 1; Depends: libc (= 1)\nlocales 1; Depends: libc-bin (= 1)\nfree 1; Depends: libc\nsibling 1; Source: libc\nstranger 1; Source: libc\nbroken 1; Depends: nothing")
	s, err := closure.Select([]closure.Index{x}, []closure.Request{r})
	if want := "app 1, libc 2, libc-bin 2, libc-dev 2, locales 2, sibling 2"; err != nil || ids(s) != want {
		t.Errorf("got %v, want %s, %v", s, want, err)
	}
}

func TestSources(t *testing.T) {
	source := func(name, version string) *deb.Source {
		s, err := deb.ParseSource(deb.Paragraph(fmt.Sprintf("Package: %s\nVersion: %s\nFiles:\n %032x 1 %s.dsc\n", name, version, 1, name)))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	x := index("a 1+b1; Source: src (1)\nb 1; Source: src\nc 1")
	s, err := closure.Select([]closure.Index{x, {Source: "other", Packages: parse("d 1")}}, []closure.Request{ask("a", "b", "c", "d")})
	if err != nil {
		t.Fatal(err)
	}
	indexes := []closure.Index{x, {Source: "other"}}
	got, err := closure.Sources(indexes, s.Choices, []closure.SourceIndex{{Source: "s", Packages: []*deb.Source{source("c", "1"), source("c", "2"), source("src", "1")}}})
	if err != nil || len(got) != 2 || got[0].Package.Name != "c" || got[0].Package.Version != "1" || got[1].Package.Name != "src" {
		t.Errorf("got %v, %v", got, err)
	}
	_, err = closure.Sources(indexes, s.Choices, []closure.SourceIndex{{Source: "s", Packages: []*deb.Source{source("c", "2")}}})
	if !errors.Is(err, bundle.ErrIncomplete) || !strings.Contains(err.Error(), "package a:amd64 (1+b1): its source package src (1)") || !strings.Contains(err.Error(), "package c:amd64 (1)") {
		t.Errorf("got %v", err)
	}
}

// FuzzSelect: whatever an index says, there is a selection in which the same
// lists give the same, or an error of a class that callers know.
func FuzzSelect(f *testing.F) {
	f.Add(archive, "either dd w*", "lib 1.9")
	f.Add("a:all 1; Depends: b:any | c, d (= 2); Conflicts: c\nb 1; Multi-Arch: allowed; Depends: a\nc 1; Provides: d (= 2)", "a", "c 0; Depends: d")
	f.Fuzz(func(t *testing.T, text, names, installed string) {
		there, ok := tryParse(text)
		host, ok2 := tryParse(installed)
		if !ok || !ok2 {
			return
		}
		x := closure.Index{Source: "s", Packages: there}
		r := closure.Request{Source: "s", Packages: strings.Fields(names), Sections: []string{"libs"}, Installed: host, Recommends: true, Architectures: []string{"amd64", "i386"}}
		s, err := closure.Select([]closure.Index{x}, []closure.Request{r})
		if err != nil {
			if !errors.Is(err, bundle.ErrUsage) && !errors.Is(err, bundle.ErrIncomplete) && !errors.Is(err, bundle.ErrMalformed) {
				t.Error(err)
			}
			return
		}
		again, err := closure.Select([]closure.Index{x}, []closure.Request{r})
		if err != nil || ids(again) != ids(s) || !slices.Equal(again.Notes, s.Notes) {
			t.Errorf("first %s, then %s, %v", ids(s), ids(again), err)
		}
		for _, c := range s.Choices {
			if len(c.Reason.Why()) == 0 || len(c.Reason.Why()) > 50 {
				t.Errorf("%s: why %s", c.Package.ID(), c.Reason.Why())
			}
		}
	})
}

// tryParse returns parse of what may be no packages.
func tryParse(text string) (all []*deb.Package, ok bool) {
	defer func() { ok = recover() == nil }()
	return parse(text), true
}

// TestLongChains: what an enemy's index may hold takes its time and no more.
func TestLongChains(t *testing.T) {
	var text strings.Builder
	const n = 20000
	for i := range n {
		fmt.Fprintf(&text, "p%d 1; Depends: p%d | q\n", i, i+1)
	}
	x := index(text.String())
	if _, err := closure.Select([]closure.Index{x}, []closure.Request{ask("p0")}); !errors.Is(err, bundle.ErrIncomplete) || len(err.Error()) > 4<<10 {
		t.Errorf("got %.200v", err)
	}
	x.Packages = append(x.Packages, parse("q 1")...)
	s, err := closure.Select([]closure.Index{x}, []closure.Request{ask("p0")})
	if err != nil || len(s.Choices) != n+1 {
		t.Fatalf("%d choices, %v", len(s.Choices), err)
	}
	for _, c := range s.Choices {
		if why := c.Reason.Why(); len(why) > 50 || why[0] != "p0 is asked for by source s" {
			t.Fatalf("%s: why %s", c.Package.ID(), why)
		}
	}
}
