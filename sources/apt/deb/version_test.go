package deb_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources/apt/deb"
)

func TestCompareVersions(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want int
	}{
		{"1.0", "1.0", 0}, {"1.0", "1.00", 0}, {"0:1.0", "1.0", 0}, {"1.0-0", "1.0", 0}, {"1.0", "1.1", -1},
		{"1.9", "1.10", -1}, {"1:0.1", "2.0", 1}, {"1.0~rc1", "1.0", -1}, {"1.0~rc1", "1.0~rc1~x", 1},
		{"1.0", "1.0+b1", -1}, {"1.0a", "1.0+", -1}, {"1.0-1", "1.0-1ubuntu1", -1}, {"1.0-1", "1.0-1~bpo", 1},
		{"1.0.", "1.0a", 1}, {"1.0-1-2", "1.0-1-10", -1}, {"2.36-9+deb12u14", "2.36-9+deb12u7", 1},
		{"18446744073709551616", "18446744073709551615", 1}, {"a", "1", 1}, {"~", "", -1}, {"1-", "1", 0},
	} {
		if got := deb.CompareVersions(test.a, test.b); sign(got) != test.want {
			t.Errorf("%s, %s: got %d, want %d", test.a, test.b, got, test.want)
		}
		if got := deb.CompareVersions(test.b, test.a); sign(got) != -test.want {
			t.Errorf("%s, %s: got %d, want %d", test.b, test.a, got, -test.want)
		}
	}
}

func sign(n int) int {
	switch {
	case n < 0:
		return -1
	case n > 0:
		return 1
	}
	return 0
}

func TestCheckVersion(t *testing.T) {
	for _, good := range []string{"1", "1:2.3-4", "0.0~git20200101.abc-1+b2", "v1.2_3"} {
		if err := deb.CheckVersion(good); err != nil {
			t.Error(err)
		}
	}
	for _, bad := range []string{"", "1 2", "1\n2", "ä", "x:1", ":1", "1:", "99999999999:1", strings.Repeat("1", 600)} {
		if err := deb.CheckVersion(bad); !errors.Is(err, bundle.ErrMalformed) {
			t.Errorf("%.20q: got %v", bad, err)
		}
	}
}

func FuzzCompareVersions(f *testing.F) {
	f.Add("1.0~rc1-1", "1:1.0+b1", "1.00")
	f.Add("1.0-1-2", "1.0--2", "a~~")
	f.Fuzz(func(t *testing.T, a, b, c string) {
		ab, ba := sign(deb.CompareVersions(a, b)), sign(deb.CompareVersions(b, a))
		if ab != -ba {
			t.Errorf("%q, %q: %d and back %d", a, b, ab, ba)
		}
		if ab <= 0 && deb.CompareVersions(b, c) <= 0 && deb.CompareVersions(a, c) > 0 {
			t.Errorf("%q, %q, %q: not an order", a, b, c)
		}
	})
}
