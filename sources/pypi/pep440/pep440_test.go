package pep440

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func parse(t *testing.T, text string) Version {
	t.Helper()
	v, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestNormalForm(t *testing.T) {
	for text, want := range map[string]string{
		"1.0": "1.0", " v1.0 ": "1.0", "1.0-Alpha.1": "1.0a1", "1.0_preview2": "1.0rc2", "1.0c": "1.0rc0",
		"1-1": "1.post1", "1.0.rev4": "1.0.post4", "1.0-r": "1.0.post0", "1.0.dev": "1.0.dev0", "01.002": "1.2",
		"2!1.0+Ubuntu-1.07": "2!1.0+ubuntu.1.7", "1.0a.dev1": "1.0a0.dev1", "1.0a-": "1.0a0", "1.0rc1.post2.dev3+x": "1.0rc1.post2.dev3+x",
		"99999999999999999999999999.1": "99999999999999999999999999.1",
	} {
		if got := parse(t, text).String(); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
	for _, text := range []string{"", "a", "1.0x", "1..0", "1.", "1.0+", "1.0+a..b", "1!", "1 0", "1.0+ä", "١", strings.Repeat("1", MaxLength+1)} {
		if v, err := Parse(text); !errors.Is(err, ErrInvalid) {
			t.Errorf("%.20q: %s, %v", text, v, err)
		}
	}
}

// sorted is in ascending order, by the specification's own example and more.
var sorted = []string{
	"0.9", "1.0.dev456", "1.0a1", "1.0a2.dev456", "1.0a12.dev456", "1.0a12", "1.0b1.dev456", "1.0b2", "1.0b2.post345.dev456",
	"1.0b2.post345", "1.0rc1.dev456", "1.0rc1", "1.0", "1.0+abc", "1.0+abc.5", "1.0+abc.7", "1.0+5", "1.0.post456.dev34", "1.0.post456",
	"1.0.1", "1.1.dev1", "1.1", "1.10", "20240101000000000000000000", "1!0.1",
}

func TestOrder(t *testing.T) {
	for i, a := range sorted {
		for j, b := range sorted {
			if got, want := parse(t, a).Compare(parse(t, b)), compareInt(i, j); got != want {
				t.Errorf("%s, %s: %d, want %d", a, b, got, want)
			}
		}
	}
	if parse(t, "1.0.0").Compare(parse(t, "1")) != 0 {
		t.Error("1.0.0 and 1 are one version")
	}
}

func compareInt(a, b int) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func TestContains(t *testing.T) {
	for _, c := range []struct {
		set     string
		yes, no []string
	}{
		{"<3.1", []string{"3.0", "3.0.dev1"}, []string{"3.1", "3.1.dev0", "3.1a1"}},
		{"<3.1a2", []string{"3.1a1", "3.1.dev1"}, []string{"3.1a2"}},
		{">1.0", []string{"1.1", "1.0.1", "1.1.post1"}, []string{"1.0.post1", "1.0+x", "1.0"}},
		{">1.0.post1", []string{"1.0.post2"}, []string{"1.0.post1", "1.0.post1+x"}},
		{">=1.0,<2", []string{"1.0+cpu", "1.9"}, []string{"2.0a1", "0.9"}},
		{"==1.1", []string{"1.1.0", "1.1+cpu"}, []string{"1.1.post1", "1.1a1"}},
		{"==1.1+cpu", []string{"1.1+cpu"}, []string{"1.1", "1.1+cu12"}},
		{"==1.1.*", []string{"1.1", "1.1.5", "1.1a1", "1.1.0.post1+x"}, []string{"1.10", "2.1", "1!1.1"}},
		{"==1.0.0.*", []string{"1", "1.0.0.1"}, []string{"1.0.1"}},
		{"!=1.1.*", []string{"1.2"}, []string{"1.1.3"}},
		{"~=2.2", []string{"2.2", "2.9", "2.3a1"}, []string{"3.0", "2.1", "2.2a1"}},
		{"~=2.2.0", []string{"2.2.9"}, []string{"2.3"}},
		{"~=1.4.5a4", []string{"1.4.5", "1.4.9"}, []string{"1.5", "1.4.5a3"}},
		{"===1.0", []string{"1.0"}, []string{"1.0.0", "1"}},
		{"", []string{"1.0", "0.dev0"}, nil},
	} {
		set, err := ParseSet(c.set)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range c.yes {
			if !set.Contains(parse(t, v)) {
				t.Errorf("%s does not contain %s", c.set, v)
			}
		}
		for _, v := range c.no {
			if set.Contains(parse(t, v)) {
				t.Errorf("%s contains %s", c.set, v)
			}
		}
	}
}

func TestSpecifierRefused(t *testing.T) {
	for _, text := range []string{"1.0", "=1.0", ">=1<2", ">=1||<2", "~=1", "~=1.0+x", "<1.0+x", ">=1.*", "==1 .*", "==1.0a1.*", "==1.0+x.*", "===a b", ">=", "*", strings.Repeat(">=1,", MaxSpecifiers+1)} {
		if set, err := ParseSet(text); !errors.Is(err, ErrInvalid) {
			t.Errorf("%.20q: %s, %v", text, set, err)
		}
	}
}

func TestSetForms(t *testing.T) {
	set, err := ParseSet(" ==1.0A1 , !=2.* ,")
	if err != nil {
		t.Fatal(err)
	}
	if set.String() != "==1.0a1,!=2.*" || !set.NamesPreRelease() || !set.IsPin() {
		t.Errorf("%s, names a pre-release %t, pin %t", set, set.NamesPreRelease(), set.IsPin())
	}
	if other, _ := ParseSet("!=1.0a1"); other.NamesPreRelease() || other.IsPin() {
		t.Error("!= neither pins nor asks for a pre-release")
	}
}

func FuzzParse(f *testing.F) {
	for _, text := range append(slices.Clone(sorted), "v1.0-alpha.1", "1-1", "1.0+a_b-c", "1.0a-") {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		v, err := Parse(text)
		if err != nil {
			return
		}
		again, err := Parse(v.String())
		if err != nil || again.Compare(v) != 0 || again.String() != v.String() {
			t.Fatalf("%q: %s, again %s, %v", text, v, again, err)
		}
		if exact, err := ParseSet("==" + v.String()); err != nil || !exact.Contains(v) {
			t.Fatalf("==%s does not contain it: %v", v, err)
		}
	})
}

func FuzzParseSet(f *testing.F) {
	for _, text := range []string{">=1.0,<2", "==1.*", "===x-y", "~=1.2.3a1", "!=1+x", "<1||>2"} {
		f.Add(text)
	}
	v, _ := Parse("1.2.3")
	f.Fuzz(func(t *testing.T, text string) {
		set, err := ParseSet(text)
		if err != nil {
			return
		}
		again, err := ParseSet(set.String())
		if err != nil || again.String() != set.String() || again.Contains(v) != set.Contains(v) {
			t.Fatalf("%q: %s, again %s, %v", text, set, again, err)
		}
	})
}
