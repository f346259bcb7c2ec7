package closure

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/sources/rpm/rpmmd"
)

// index makes packages of lines "name; field: value; ...". What they need and
// refuse is by name, or rich.
func index(text string) Index {
	x := Index{Source: "s"}
	for line := range strings.Lines(text) {
		name, fields, _ := strings.Cut(strings.TrimSpace(line), ";")
		p := &rpmmd.Package{Name: name, Arch: "x86_64", EVR: rpmmd.EVR{Version: "1", Release: "1"}}
		p.Provides = []*rpmmd.Relation{{Name: name, Op: rpmmd.EQ, EVR: p.EVR}}
		lists := map[string]*[]*rpmmd.Relation{"requires": &p.Requires, "provides": &p.Provides, "conflicts": &p.Conflicts}
		for field := range strings.SplitSeq(fields, ";") {
			if field, value, ok := strings.Cut(strings.TrimSpace(field), ": "); ok {
				*lists[field] = append(*lists[field], &rpmmd.Relation{Name: value})
			}
		}
		x.Packages = append(x.Packages, p)
	}
	return x
}

// wide returns a rich dependency of too many clauses, turned round.
func wide() string {
	var pairs []string
	for i := range 12 {
		pairs = append(pairs, fmt.Sprintf("(c%d or d%d)", i, i))
	}
	return "(" + strings.Join(pairs, " and ") + ")"
}

// TestEnsure: where only first choices are reached, as if nothing had widened
// them, ensure adds what is needed so that what was requested can be
// installed, and no more. No world is known in which widen leaves it anything
// to do, so widen does not run here.
func TestEnsure(t *testing.T) {
	for _, test := range []struct{ name, text, ask, want, apart string }{
		{
			"one name", "a; requires: cap; requires: b\nb\nx; provides: cap; conflicts: b\ny; provides: cap; requires: deep\nz; provides: cap\ndeep",
			"a", "a b deep x y", "",
		},
		{
			"first choices that go together", "a; requires: cap; requires: b\nb; conflicts: y\nx; provides: cap\ny; provides: cap",
			"a", "a b x", "",
		},
		{
			"what it can already", "a; requires: cap\nx; provides: cap; requires: (p or q)\np; conflicts: a\nq\nb; requires: q",
			"a b", "a b p q x", "",
		},
		{
			"two names", "a; requires: cap\nb\nx; provides: cap; conflicts: b\ny; provides: cap\nz; provides: cap",
			"a b", "a b x y", "",
		},
		{
			"three names", "a; requires: cap\nb\nc\nx; provides: cap; conflicts: b\ny; provides: cap; conflicts: c\nz; provides: cap\nzz; provides: cap",
			"a b c", "a b c x y z", "",
		},
		{
			"two of three", "a; requires: cap\nb\nc; conflicts: b\nx; provides: cap; conflicts: b\ny; provides: cap; conflicts: c\nz; provides: cap",
			"a b c", "a b c x y", "c",
		},
		{
			"what another thing brought that is given up", "a; requires: cap; requires: b\nb\nx; provides: cap; conflicts: b\ny; provides: cap\nbad; requires: y; requires: e; conflicts: e\ne",
			"a bad", "a b x y", "",
		},
		{
			"an alternative that nobody can read", "a; requires: cap; requires: b\nb\nx; provides: cap; conflicts: b\nxx; provides: cap; conflicts: " + wide() + "\ny; provides: cap",
			"a b", "a b x y", "",
		},
		{
			"a condition", "a; requires: (late if b); requires: cap\nb\nx; provides: cap; conflicts: late\ny; provides: cap\nlate",
			"a b", "a b late x y", "",
		},
		{
			"what lifts a conflict", "a; requires: cap; conflicts: (x unless lift)\nx; provides: cap\nlift",
			"a", "a lift x", "",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := Request{Source: "s", Packages: strings.Fields(test.ask), Architectures: []string{"x86_64"}}
			u, err := newUniverse("x86_64", []Index{index(test.text)}, []Request{r})
			if err != nil {
				t.Fatal(err)
			}
			s := newSolver(u)
			s.request(&r, map[string]bool{})
			for changed := true; changed; {
				s.settle()
				if changed, err = s.ensure(); err != nil {
					t.Fatal(err)
				}
			}
			var got []string
			for _, n := range s.reach() {
				if n.entry != nil {
					got = append(got, n.pkg.Name)
				}
			}
			slices.Sort(got)
			if got := strings.Join(got, " "); got != test.want {
				t.Errorf("%s, want %s", got, test.want)
			}
			if apart := strings.Join(s.apart, "\n"); !strings.HasPrefix(apart, test.apart) || apart != "" && test.apart == "" {
				t.Errorf("apart: %q, want %q", apart, test.apart)
			}
		})
	}
}
