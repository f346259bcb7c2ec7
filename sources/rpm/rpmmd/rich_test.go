package rpmmd_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources/rpm/rpmmd"
)

func TestParseRich(t *testing.T) {
	for text, want := range map[string]string{
		"(a or b)":                              "(a or b)",
		"( a  or,b )":                           "(a or b)",
		"(a)":                                   "a",
		"((a))":                                 "a",
		"(a >= 1:2-3 and b)":                    "(a >= 1:2-3 and b)",
		"(a or b or c)":                         "(a or b or c)",
		"(a with b with c)":                     "(a with b with c)",
		"(a if b else c)":                       "(a if b else c)",
		"(a unless b else c)":                   "(a unless b else c)",
		"(a without b)":                         "(a without b)",
		"((a and b) if (c or d))":               "((a and b) if (c or d))",
		"(lib.so.1()(64bit) or perl(X::Y) = 1)": "(lib.so.1()(64bit) or perl(X::Y) = 1)",
		"(if or if)":                            "(if or if)",
	} {
		rich, err := rpmmd.ParseRich(text)
		if err != nil || rich.String() != want {
			t.Errorf("%s: %v, %v", text, rich, err)
		}
	}
	for text, cause := range map[string]string{
		"":                        "parenthesis",
		"a":                       "parenthesis",
		"()":                      "name is missing",
		"(a":                      "operator",
		"(a or":                   "name is missing",
		"(a or)":                  "name is missing",
		"(a b)":                   "operator",
		"(a or b and c)":          "and after or",
		"(a if b if c)":           "if after if",
		"(a without b without c)": "without after without",
		"(a or b else c)":         "else without",
		"(a else b)":              "else without",
		"(a if b else c else d)":  "else without",
		"(a or b) c":              "after its end",
		"(a >> 1 or b)":           "operator",
		"(a >= )":                 "version is missing",
		"(a = 0: if b)":           "version is missing",
		"(a(b or c)":              "other half",
		"(a(b or c) )":            "other half",
		"(a = 99999999999:1)":     "epoch",
		strings.Repeat("(", 40) + "a or b" + strings.Repeat(")", 40): "deeper",
		"(a" + strings.Repeat(" or a", 4096) + ")":                   "more than",
		"(" + strings.Repeat("a", 64<<10) + ")":                      "bytes",
	} {
		rich, err := rpmmd.ParseRich(text)
		if !errors.Is(err, bundle.ErrMalformed) || !strings.Contains(err.Error(), cause) {
			t.Errorf("%.60s: %v, %v, want an error of %s", text, rich, err, cause)
		}
	}
}

// FuzzParseRich: what can be read is written as what is read again, the same.
func FuzzParseRich(f *testing.F) {
	for _, text := range []string{"(a or b)", "(a >= 1:2-3 if (b with c < 4~x) else d(e)(64bit))", "((a and b) unless c)", "(((", "(a without b)"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		rich, err := rpmmd.ParseRich(text)
		if err != nil {
			if !errors.Is(err, bundle.ErrMalformed) {
				t.Fatal(err)
			}
			return
		}
		if rich.Op == rpmmd.Leaf {
			return // written without parentheses
		}
		again, err := rpmmd.ParseRich(rich.String())
		if err != nil || again.String() != rich.String() {
			t.Fatalf("%q: %s, %v, %v", text, rich, again, err)
		}
	})
}

// FuzzCompareVersions: turned round, the answer is turned round.
func FuzzCompareVersions(f *testing.F) {
	f.Add("1.0~rc1", "1.0^git")
	f.Fuzz(func(t *testing.T, a, b string) {
		if x, y := rpmmd.CompareVersions(a, b), rpmmd.CompareVersions(b, a); x != -y {
			t.Fatalf("%q, %q: %d and %d", a, b, x, y)
		}
		if rpmmd.CompareVersions(a, a+".") != 0 {
			t.Fatalf("%q: a separator behind it counts", a)
		}
	})
}
