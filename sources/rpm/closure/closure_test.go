package closure_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources/rpm/closure"
	"github.com/gapbundle/gapbundle/sources/rpm/rpmmd"
)

// archive is what most tests choose from.
const archive = `
	app-1-1; requires: lib >= 2, virt, /usr/bin/tool, /usr/share/data
	lib-1-1
	lib-2-1
	lib-10-1
	zeta-1-1; provides: virt
	alpha-1-1; provides: virt
	tool-1-1; file: /usr/bin/tool
	data-1-1.noarch; file: /usr/share/data
	exact-1-1; requires: lib = 2-1
	below-1-1; requires: lib < 10
	self-1-1; requires: me; provides: me
	versioned-1-1; requires: vv >= 2
	v1-1-1; provides: vv = 1
	v3-1-1; provides: vv = 3
	loop-1-1; requires: pool
	pool-1-1; requires: loop, rpmlib(Any) <= 3
	nopick-1-1; requires: missing
	broken-1-1; requires: nopick
	around-1-1; requires: cap
	a-1-1; provides: cap; requires: missing
	b-1-1; provides: cap
	both-1-1; requires: (tool and zeta)
	either-1-1; requires: (absent or zeta)
	ifnot-1-1; requires: (zeta if tool)
	ifyes-1-1; requires: (zeta if tool), tool
	ifelse-1-1; requires: (zeta if absent else tool)
	with-1-1; requires: (x with y)
	x-1-1; provides: x
	xy-1-1; provides: x, y
	less-1-1; requires: (y2 without x2)
	y2-1-1; provides: y2, x2
	y3-1-1; provides: y2
	old-1-1
	new-1-1; obsoletes: old < 2; provides: old = 2
	needold-1-1; requires: old
	first-1-1; provides: ob
	second-1-1; provides: ob; obsoletes: first
	needob-1-1; requires: ob
	weak-1-1; recommends: tool
	plus-1-1; supplements: weak
	fight-1-1; requires: zeta; conflicts: zeta
	needfight-1-1; requires: fight
	peer-1-1; conflicts: zeta
	twover-1-1; requires: lib = 1-1, lib = 2-1
	kern-1-1; provides: installonlypkg(kernel)
	kern-2-1; provides: installonlypkg(kernel)
	bothkern-1-1; requires: kern = 1-1, kern = 2-1
	ex1-1-1; provides: excl; conflicts: excl
	ex2-1-1; provides: excl
	ey1-1-1; provides: eycl
	ey2-1-1; provides: eycl; conflicts: eycl
	needex-1-1; requires: ex1, ex2
	needey-1-1; requires: ey1, ey2
	clash-1-1; conflicts: hosted < 2
	hosted-2-1; requires: deep
	older2-1-1; conflicts: hosted > 2
	needzeta-1-1; requires: zeta
	older-1-1; requires: inner; requires: (lost if deep)
	inner-1-1
	inner-2-1; requires: deep
	deep-1-1
	turn-1-1; requires: (duel if p1 else p2)
	p1-1-1
	p2-1-1
	duel-1-1; requires: second; conflicts: second
	multi-1-1; requires: both-arch
	both-arch-1-1.x86_64
	both-arch-1-1.i686
	want32-1-1; requires: both-arch(x86-32)
	only32-1-1.i686
	arm-1-1.aarch64
	tool-1-1.src
`

func TestSelect(t *testing.T) {
	for _, test := range []struct{ name, ask, want string }{
		{"versioned, virtual, files", "app", "alpha-1-1 app-1-1 data-1-1.noarch lib-10-1 tool-1-1"},
		{"a certain version", "exact", "exact-1-1 lib-2-1"},
		{"an older version", "below", "below-1-1 lib-2-1"},
		{"what it provides itself", "self", "self-1-1"},
		{"the newest of the provides", "versioned", "v3-1-1 versioned-1-1"},
		{"a circle, a feature of rpm", "loop", "loop-1-1 pool-1-1"},
		{"not who cannot be installed", "around", "around-1-1 b-1-1"},
		{"and", "both", "both-1-1 tool-1-1 zeta-1-1"},
		{"or", "either", "either-1-1 zeta-1-1"},
		{"if, without", "ifnot", "ifnot-1-1"},
		{"if, with", "ifyes", "ifyes-1-1 tool-1-1 zeta-1-1"},
		{"else", "ifelse", "ifelse-1-1 tool-1-1"},
		{"with", "with", "with-1-1 xy-1-1"},
		{"without", "less", "less-1-1 y3-1-1"},
		{"obsoleted, by name", "old", "new-1-1 old-1-1"},
		{"obsoleted, required", "needold", "needold-1-1 new-1-1"},
		{"obsoleted by another choice", "needob", "needob-1-1 second-1-1"},
		{"weak, off", "weak", "weak-1-1"},
		{"the better architecture", "multi", "both-arch-1-1 multi-1-1"},
		{"the other architecture, beside the better", "want32", "both-arch-1-1 both-arch-1-1.i686 want32-1-1"},
		{"the other architecture alone", "only32", "only32-1-1.i686"},
		{"by architecture", "both-arch.i686", "both-arch-1-1 both-arch-1-1.i686"},
		{"by version", "lib-2", "lib-2-1"},
		{"by version and release", "lib-1-1", "lib-1-1"},
		{"by epoch", "lib-0:2-1.x86_64", "lib-2-1"},
		{"not what leads to a need that nobody meets", "older", "deep-1-1 inner-1-1 inner-2-1 older-1-1"},
		{"not what leads to a package that excludes itself", "turn", "p1-1-1 p2-1-1 turn-1-1"},
		{"two kernels", "bothkern", "bothkern-1-1 kern-1-1 kern-2-1"},
		{"by pattern", "v?", "v1-1-1 v3-1-1"},
		{"by path", "/usr/share/data", "data-1-1.noarch"},
		{"by provide", "vv", "v3-1-1"},
		{"by provide with version", "vv < 2", "v1-1-1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := ids(mustSelect(t, []closure.Index{parse(archive)}, ask(test.ask))); got != test.want {
				t.Errorf("%s\nwant %s", got, test.want)
			}
		})
	}
}

func TestOptions(t *testing.T) {
	for _, test := range []struct {
		name string
		ask  string
		set  func(*closure.Request)
		want string
	}{
		{"recommends", "weak", func(r *closure.Request) { r.Recommends = true }, "plus-1-1 tool-1-1 weak-1-1"},
		{"newest", "lib", func(r *closure.Request) { r.Newest = 2 }, "lib-10-1 lib-2-1"},
		{"exclude", "app", func(r *closure.Request) { r.Exclude = []string{"alpha", "lib-10*"} }, "app-1-1 data-1-1.noarch lib-2-1 tool-1-1 zeta-1-1"},
		{"sources", "tool", func(r *closure.Request) { r.Sources = true }, "tool-1-1 tool-1-1.src"},
		{"installed", "app", func(r *closure.Request) {
			r.Installed = parse("zeta-1-1; provides: virt\nlib-2-1\ntool-1-1; file: /usr/bin/tool").Packages
		}, "app-1-1 data-1-1.noarch"},
		{"installed and newer", "tool", func(r *closure.Request) { r.Installed = parse("tool-2-1").Packages }, ""},
		{"installed and in the way", "clash", func(r *closure.Request) { r.Installed = parse("hosted-1-1").Packages }, "clash-1-1 deep-1-1 hosted-2-1"},
		{"installed, in the way and older is not", "older2", func(r *closure.Request) { r.Installed = parse("hosted-3-1").Packages }, "deep-1-1 hosted-2-1 older2-1-1"},
		{"installed and not in the way", "clash", func(r *closure.Request) { r.Installed = parse("hosted-2-1").Packages }, "clash-1-1"},
		{"another architecture", "arm", func(r *closure.Request) { r.Architectures = []string{"aarch64"} }, "arm-1-1.aarch64"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := ask(test.ask)
			test.set(&r)
			if got := ids(mustSelect(t, []closure.Index{parse(archive)}, r)); got != test.want {
				t.Errorf("%s\nwant %s", got, test.want)
			}
		})
	}
}

// TestPriority: the repository of the better priority wins, whatever the
// versions.
func TestPriority(t *testing.T) {
	near, far := parse("lib-1-1"), parse("app-1-1; requires: lib\nlib-2-1")
	far.Source = "t"
	near.Priority = 50
	if got := ids(mustSelect(t, []closure.Index{near, far}, ask("app"))); got != "app-1-1 lib-1-1" {
		t.Error(got)
	}
	near.Priority = 0
	if got := ids(mustSelect(t, []closure.Index{near, far}, ask("app"))); got != "app-1-1 lib-2-1" {
		t.Error(got)
	}
}

func TestErrors(t *testing.T) {
	for _, test := range []struct {
		ask  string
		is   error
		text []string
	}{
		{"broken", bundle.ErrIncomplete, []string{"broken is asked for by source s", "broken-1-1.x86_64 requires nopick", "nopick-1-1.x86_64 requires missing: in no index"}},
		{"arm", bundle.ErrUsage, []string{"package arm: in no index for x86_64, there are arm-1-1.aarch64"}},
		{"fight", bundle.ErrIncomplete, []string{"fight is asked for by source s: no choice of packages meets all of these: fight-1-1.x86_64 requires zeta; fight-1-1.x86_64 conflicts with zeta"}},
		{"twover", bundle.ErrIncomplete, []string{"twover-1-1.x86_64 requires lib = 1-1; twover-1-1.x86_64 requires lib = 2-1"}},
		{"needex", bundle.ErrIncomplete, []string{"ex1-1-1.x86_64 conflicts with excl"}},
		{"needey", bundle.ErrIncomplete, []string{"ey2-1-1.x86_64 conflicts with eycl"}},
		{"needfight", bundle.ErrIncomplete, []string{"needfight is asked for by source s: needfight-1-1.x86_64 requires fight; no choice of packages meets all of these: fight-1-1.x86_64 requires zeta"}},
		{"nosuch", bundle.ErrUsage, []string{"package nosuch: in no index for x86_64, there are nopick-1-1"}},
	} {
		_, err := closure.Select([]closure.Index{parse(archive)}, []closure.Request{ask(test.ask)})
		if !errors.Is(err, test.is) {
			t.Errorf("%s: %v", test.ask, err)
			continue
		}
		for _, text := range test.text {
			if !strings.Contains(err.Error(), text) {
				t.Errorf("%s: %v\nlacks %s", test.ask, err, text)
			}
		}
	}
	_, err := closure.Select([]closure.Index{parse(archive)}, []closure.Request{ask("broken", "nosuch")})
	if !errors.Is(err, bundle.ErrIncomplete) || !errors.Is(err, bundle.ErrUsage) {
		t.Errorf("not all are reported: %v", err)
	}
}

// TestArchitecturesMissing: a selection for no architecture says so, whatever there is.
func TestArchitecturesMissing(t *testing.T) {
	_, err := closure.Select([]closure.Index{parse("top-2-1.x86_64")}, []closure.Request{{Source: "s", Packages: []string{"top"}}})
	if !errors.Is(err, bundle.ErrUsage) || !strings.Contains(err.Error(), "source s: package top: architectures is missing") || strings.Contains(err.Error(), "in no index") {
		t.Errorf("got %v", err)
	}
}

// TestCarriedAllTheSame: what a pattern or a whole source asks for is carried
// also if it needs what no source of the set has, with everything that is there.
func TestCarriedAllTheSame(t *testing.T) {
	x := parse("a-1-1; requires: libc\na-2-1; requires: libc, c\nb-1-1; requires: a\nc-1-1\nc-2-1; requires: libc\nd-1-1; requires: e; conflicts: e\ne-1-1\nold-1-1; requires: c < 2")
	for _, test := range []struct {
		name string
		r    closure.Request
		want string
	}{
		{"all", closure.Request{Source: "s", All: true, Newest: 1, Architectures: []string{"x86_64"}}, "a-2-1 b-1-1 c-1-1 c-2-1 d-1-1 e-1-1 old-1-1"},
		{"a pattern", ask("[b]"), "a-2-1 b-1-1 c-1-1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := mustSelect(t, []closure.Index{x}, test.r)
			if got := ids(s); got != test.want {
				t.Errorf("%s\nwant %s\n%s", got, test.want, strings.Join(s.Notes, "\n"))
			}
		})
	}
	s := mustSelect(t, []closure.Index{x}, closure.Request{Source: "s", All: true, Newest: 1, Architectures: []string{"x86_64"}})
	all := strings.Join(s.Notes, "\n")
	for _, want := range []string{"b-1-1.x86_64 requires a; a-2-1.x86_64 requires libc: in no index; carried all the same", "d is asked for by source s's selection: no choice of packages meets all relations that come with it"} {
		if !strings.Contains(all, want) {
			t.Errorf("%s\nlacks %s", all, want)
		}
	}
}

// TestInstalledStays: what cannot be next to something that is installed, and
// that nothing replaces, cannot be installed.
func TestInstalledStays(t *testing.T) {
	r := ask("clash")
	r.Installed = parse("hosted-1-1").Packages
	x := parse("clash-1-1; conflicts: hosted < 2")
	if _, err := closure.Select([]closure.Index{x}, []closure.Request{r}); !errors.Is(err, bundle.ErrIncomplete) {
		t.Error(err)
	}
}

// TestUnmetAreCounted: of many packages whose needs are elsewhere some are named.
func TestUnmetAreCounted(t *testing.T) {
	var b strings.Builder
	for i := range 50 {
		fmt.Fprintf(&b, "p%d-1-1; requires: libc\n", i)
	}
	s := mustSelect(t, []closure.Index{parse(b.String())}, closure.Request{Source: "s", All: true, Architectures: []string{"x86_64"}})
	if len(s.Choices) != 50 || len(s.Notes) != 21 || !strings.Contains(strings.Join(s.Notes, "\n"), "30 more packages") {
		t.Errorf("%d packages, %d notes: %s", len(s.Choices), len(s.Notes), s.Notes)
	}
}

// TestMalformedRelation: one that nobody can read is an error of what is
// chosen, and of nothing else.
func TestMalformedRelation(t *testing.T) {
	x := parse("good-1-1; requires: cap\nbad-1-1; provides: cap; requires: (a or\nall-1-1; provides: cap")
	if got := ids(mustSelect(t, []closure.Index{x}, ask("good"))); got != "all-1-1 good-1-1" {
		t.Error(got)
	}
	if _, err := closure.Select([]closure.Index{x}, []closure.Request{ask("bad")}); !errors.Is(err, bundle.ErrMalformed) {
		t.Error(err)
	}
	var pairs []string
	for i := range 12 {
		pairs = append(pairs, fmt.Sprintf("(a%d or b%d)", i, i))
	}
	x = parse("wide-1-1; conflicts: (" + strings.Join(pairs, " and ") + ")")
	if _, err := closure.Select([]closure.Index{x}, []closure.Request{ask("wide")}); !errors.Is(err, bundle.ErrMalformed) || !strings.Contains(err.Error(), "package wide-1-1.x86_64: conflicts") {
		t.Errorf("a conflict of 4096 clauses: %v", err)
	}
}

func TestNotesAndWhy(t *testing.T) {
	s := mustSelect(t, []closure.Index{parse(archive)}, ask("app", "needzeta", "peer"))
	all := strings.Join(s.Notes, "\n")
	for _, want := range []string{
		"peer-1-1.x86_64 conflicts with zeta-1-1.x86_64: both are carried",
		"peer is asked for by source s, and cannot be installed together with everything else that is",
	} {
		if !strings.Contains(all, want) {
			t.Errorf("%s\nlacks %s", all, want)
		}
	}
	for _, c := range s.Choices {
		if c.Package.Name != "lib" {
			continue
		}
		if why := fmt.Sprint(c.Why()); why != "[app is asked for by source s app-1-1.x86_64 requires lib >= 2]" {
			t.Error(why)
		}
	}
}

// TestDeterminism: neither runs nor the order of the lists change what is
// chosen.
func TestDeterminism(t *testing.T) {
	lines := strings.Split(strings.TrimSpace(archive), "\n")
	want := ""
	for seed := range uint64(20) {
		random := rand.New(rand.NewPCG(seed, 1))
		if seed > 0 {
			random.Shuffle(len(lines), func(i, j int) { lines[i], lines[j] = lines[j], lines[i] })
		}
		s := mustSelect(t, []closure.Index{parse(strings.Join(lines, "\n"))}, ask("app", "weak", "peer", "needzeta", "older", "turn", "needold", "with", "v?", "multi", "want32"))
		got := ids(s) + strings.Join(s.Notes, "\n")
		if seed == 0 {
			want = got
		}
		if got != want {
			t.Fatalf("%s\nwant %s", got, want)
		}
	}
}

// FuzzSelect: small worlds out of a seed, with a relation out of the input in
// the middle: no panic, and twice the same.
func FuzzSelect(f *testing.F) {
	f.Add(uint64(1), byte(9), "(p001 if cap1)")
	f.Add(uint64(2), byte(30), "((p001 or cap1) unless (p003 and p004) else p005)")
	f.Add(uint64(3), byte(60), "(((a with b) without c) if (d or (e if f else g)))")
	f.Fuzz(func(t *testing.T, seed uint64, names byte, text string) {
		w := &world{random: rand.New(rand.NewPCG(seed, 2)), names: int(names)%80 + 2}
		x := parse(strings.Join(w.lines(), "\n"))
		r := &rpmmd.Relation{Name: text}
		for i, p := range x.Packages {
			switch (int(seed%7) + i) % 7 {
			case 0:
				p.Requires = append(p.Requires, r)
			case 1:
				p.Conflicts = append(p.Conflicts, r)
			case 2:
				p.Supplements = append(p.Supplements, r)
			}
		}
		a := ask("p000", "p001", "p*", text)
		a.Recommends, a.Newest = seed%2 == 0, int(seed%3)
		one, errOne := closure.Select([]closure.Index{x}, []closure.Request{a})
		two, errTwo := closure.Select([]closure.Index{x}, []closure.Request{a})
		if fmt.Sprint(errOne) != fmt.Sprint(errTwo) {
			t.Fatalf("%v, and then %v", errOne, errTwo)
		}
		if errOne == nil && (!slices.Equal(nevras(one), nevras(two)) || !slices.Equal(one.Notes, two.Notes)) {
			t.Fatalf("%s, and then %s", nevras(one), nevras(two))
		}
	})
}

// BenchmarkSelect chooses from 60,000 packages.
func BenchmarkSelect(b *testing.B) {
	w := &world{random: rand.New(rand.NewPCG(1, 3)), names: 37_000}
	x := parse(strings.Join(w.lines(), "\n"))
	b.Logf("%d packages", len(x.Packages))
	names := []string{"p*"}
	var before, after runtime.MemStats
	for b.Loop() {
		runtime.GC()
		runtime.ReadMemStats(&before)
		s := mustSelect(b, []closure.Index{x}, ask(names...))
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(len(s.Choices)), "chosen")
		b.ReportMetric(float64(after.TotalAlloc-before.TotalAlloc)/(1<<20), "MB")
	}
}
