package rpmmd_test

import (
	"errors"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources/rpm/rpmmd"
)

// ordered are versions, each newer than the one before it; those in one row
// are equal. TestVersionsLikeRpm asks rpm about the same.
var ordered = [][]string{
	{"", "."},
	{"^git1", ".^git1"},
	{"a", "a."},
	{"b", "_b"},
	{"1~~"},
	{"1~rc1"},
	{"1~rc1^git1"},
	{"1~rc2"},
	{"1", "01", "1.", "1-"},
	{"1^"},
	{"1^git1~pre"},
	{"1^git1"},
	{"1a"},
	{"1.0", "1_0", "1.00", "1..0"},
	{"1.0.a"},
	{"1.0.1"},
	{"1.2"},
	{"1.10"},
	{"2"},
	{"20250101"},
	{"18446744073709551616"},
}

func TestCompareVersions(t *testing.T) {
	for i, row := range ordered {
		for j, other := range ordered {
			for _, a := range row {
				for _, b := range other {
					want := 0
					if i < j {
						want = -1
					} else if i > j {
						want = 1
					}
					if got := rpmmd.CompareVersions(a, b); got != want {
						t.Errorf("%q against %q: %d, want %d", a, b, got, want)
					}
				}
			}
		}
	}
}

func TestEVR(t *testing.T) {
	for _, test := range []struct {
		text, want, long string
	}{
		{"1.2-3.el9", "1.2-3.el9", "0:1.2-3.el9"},
		{"0:1.2-3", "1.2-3", "0:1.2-3"},
		{"4:1.2", "4:1.2", "4:1.2"},
		{":1", "1", "0:1"},
		{"1-2-3", "1-2-3", "0:1-2-3"},
		{"a:1", "0:a:1", "0:a:1"},
		{"0:2:3", "0:2:3", "0:2:3"},
	} {
		e, err := rpmmd.ParseEVR(test.text)
		if err != nil || e.String() != test.want || e.WithEpoch() != test.long {
			t.Errorf("%s: %s, %s, %v, want %s, %s", test.text, e, e.WithEpoch(), err, test.want, test.long)
		}
	}
	for _, bad := range [][3]string{{"x", "1", "1"}, {"-1", "1", "1"}, {"4294967296", "1", "1"}, {"0", "1 2", "1"}, {"0", "1", "1\x7f"}, {"0", string(make([]byte, 513)), "1"}} {
		if e, err := rpmmd.NewEVR(bad[0], bad[1], bad[2]); !errors.Is(err, bundle.ErrMalformed) {
			t.Errorf("%.20q: %v, %v", bad, e, err)
		}
	}
}

// TestMeets: what libsolv's pool_intersect_evrs says.
func TestMeets(t *testing.T) {
	for _, test := range []struct {
		wants, provides string
		want            bool
	}{
		{"v", "v", true},
		{"v >= 2", "v", true},
		{"v", "v = 1", true},
		{"v = 1-2", "v = 1-2", true},
		{"v = 1-2", "v = 1-3", false},
		{"v = 1", "v = 1-3", true},
		{"v > 1", "v = 1-3", false},
		{"v < 1", "v = 1-3", false},
		{"v >= 1", "v = 1-3", true},
		{"v <= 1", "v = 1-3", true},
		{"v = 1-3", "v = 1", true},
		{"v > 1-3", "v = 1", true},
		{"v < 1-3", "v = 1", true},
		{"v > 1-3", "v < 1", false},
		{"v > 1", "v = 1:0.5", true},
		{"v < 2", "v = 1~rc1", true},
		{"v < 1", "v = 1~rc1", true},
		{"v >= 2", "v < 3", true},
		{"v >= 3", "v < 3", false},
		{"v >= 3", "v <= 3", true},
		{"v < 5", "v < 3", true},
		{"v < 3", "v < 3", true},
		{"v > 3", "v > 3", true},
		{"v < 3", "v > 3", false},
		{"v > 5", "v >= 3", true},
	} {
		if got := relation(t, test.wants).Meets(relation(t, test.provides)); got != test.want {
			t.Errorf("%s by %s: %v", test.wants, test.provides, got)
		}
	}
}

func relation(t *testing.T, text string) *rpmmd.Relation {
	t.Helper()
	rich, err := rpmmd.ParseRich("(" + text + ")")
	if err != nil || rich.Relation == nil {
		t.Fatal(text, err)
	}
	return rich.Relation
}
