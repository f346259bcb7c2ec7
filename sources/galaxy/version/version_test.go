package version

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
)

func parse(t *testing.T, texts ...string) []Version {
	t.Helper()
	var all []Version
	for _, text := range texts {
		v, err := Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, v)
	}
	return all
}

func TestParseRefuses(t *testing.T) {
	for _, text := range []string{"", "1", "1.2", "v1.2.3", "1.2.3.4", "01.2.3", "1.2.3-", "1.2.3-01", "1.2.3 ", "../1.2.3", "1.2.3/x", "1.2.3-" + strings.Repeat("a", 200)} {
		if v, err := Parse(text); !errors.Is(err, bundle.ErrMalformed) {
			t.Errorf("%q: %v, %v", text, v, err)
		}
	}
}

// TestRangeCases has ranges as they occur in collections' MANIFEST.json. The client test runs the
// same list through ansible-core's own code.
func TestRangeCases(t *testing.T) {
	for _, c := range RangeCases() {
		r, err := ParseRange(c.Range)
		if err != nil {
			t.Errorf("%s: %v", c.Range, err)
			continue
		}
		if got := r.Has(parse(t, c.Version)[0]); got != c.Want {
			t.Errorf("%s in %s: %v", c.Version, c.Range, got)
		}
	}
}

type rangeCase struct {
	Range, Version string
	Want           bool
}

func RangeCases() []rangeCase {
	return []rangeCase{
		{"*", "0.0.1", true},
		{">=9,<11", "9.0.0", true},
		{">=9,<11", "10.99.3", true},
		{">=9,<11", "11.0.0", false},
		{">=9,<11", "11.0.0-beta.1", true},
		{">=1.0.0,<2.0.0", "2.0.0-alpha", true},
		{"1.2.3", "1.2.3", true},
		{"=1.2.3", "1.2.3", true},
		{"==1.2", "1.2.0", true},
		{"==1.2.3", "1.2.3+build.5", true},
		{"!=1.2.3", "1.2.3", false},
		{"!=1.2.3", "1.2.4", true},
		{">1.0.0-alpha", "1.0.0-alpha.1", true},
		{">1.0.0-alpha.1", "1.0.0-alpha.beta", true},
		{">1.0.0-2", "1.0.0-10", true},
		{"<1.0.0-rc.1", "1.0.0-beta.11", true},
		{">=1.02", "1.2.0", true},
		{">=0.0.0,*", "0.0.0", true},
		{"<=1.0.0", "1.0.0+x", true},
		{">=1.0.0,!=1.0.1", "1.0.1", false},
	}
}

func TestParseRangeRefuses(t *testing.T) {
	for _, text := range []string{">=", "~=1.0", "^1", "1.x", "1.2.3.4", ">=1.0.0,", "latest", strings.Repeat("=1,", 70) + "1", strings.Repeat(" ", 5000)} {
		if r, err := ParseRange(text); !errors.Is(err, bundle.ErrMalformed) {
			t.Errorf("%.40q: %v, %v", text, r, err)
		}
	}
}

func TestSelect(t *testing.T) {
	for name, c := range map[string]struct {
		all   string
		given []string
		want  string
	}{
		"newest first":                       {"1.0.0 1.10.0 1.9.0", []string{"*"}, "1.10.0 1.9.0 1.0.0"},
		"no pre-release where a release is":  {"1.0.0 2.0.0-rc.1", []string{"*"}, "1.0.0"},
		"a pinned pre-release":               {"1.0.0 2.0.0-rc.1 2.0.0-rc.2", []string{">=1", "==2.0.0-rc.1"}, "2.0.0-rc.1"},
		"pre-releases where nothing else is": {"2.0.0-rc.1 2.0.0-rc.2", []string{"*"}, "2.0.0-rc.2 2.0.0-rc.1"},
		"no pre-release by a range":          {"1.0.0 2.0.0-rc.1", []string{">=2.0.0-alpha"}, ""},
		"all ranges":                         {"1.0.0 2.0.0 3.0.0", []string{">=2", "<3"}, "2.0.0"},
	} {
		var ranges []Range
		for _, text := range c.given {
			r, err := ParseRange(text)
			if err != nil {
				t.Fatal(err)
			}
			ranges = append(ranges, r)
		}
		var got []string
		for _, v := range Select(parse(t, strings.Fields(c.all)...), ranges...) {
			got = append(got, v.String())
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: %v, want %s", name, got, c.want)
		}
	}
}

func TestCompareTags(t *testing.T) {
	tags := []string{"v1.0.0", "v1.0.0b", "v1.2.4", "v1.10.0", "v2"}
	got := slices.Clone(tags)
	slices.Reverse(got)
	slices.SortFunc(got, func(a, b string) int {
		order, err := CompareTags(a, b)
		if err != nil {
			t.Error(err)
		}
		return order
	})
	if !slices.Equal(got, tags) {
		t.Errorf("%v", got)
	}
	for _, pair := range [][2]string{{"1.0.0", "v1.0.0"}, {"1.0", "1.a"}} {
		if _, err := CompareTags(pair[0], pair[1]); err == nil {
			t.Errorf("%v were compared", pair)
		}
	}
	if order, err := CompareTags("1.010", "1.10"); order != 0 || err != nil {
		t.Errorf("%d, %v", order, err)
	}
}

func FuzzRange(f *testing.F) {
	for _, c := range RangeCases() {
		f.Add(c.Range, c.Version)
	}
	f.Fuzz(func(t *testing.T, text, number string) {
		r, err := ParseRange(text)
		if err != nil {
			return
		}
		again, err := ParseRange(r.String())
		if err != nil {
			t.Fatalf("%q: read back: %v", text, err)
		}
		v, err := Parse(number)
		if err != nil {
			return
		}
		if r.Has(v) != again.Has(v) {
			t.Errorf("%q and %q differ on %s", text, r, v)
		}
		if bundle.CheckPath("x-"+v.String()+".tar.gz") != nil {
			t.Errorf("%q cannot be part of a path", v)
		}
	})
}

func FuzzCompareTags(f *testing.F) {
	f.Add("v1.0.0", "v1.0.1")
	f.Add("", "1")
	f.Add("1.0-rc1", "1..0")
	f.Fuzz(func(t *testing.T, a, b string) {
		there, err := CompareTags(a, b)
		back, err2 := CompareTags(b, a)
		if there != -back || (err == nil) != (err2 == nil) {
			t.Errorf("%q, %q: %d and %d, %v and %v", a, b, there, back, err, err2)
		}
	})
}
