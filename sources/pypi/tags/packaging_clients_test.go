//go:build clients

package tags

import (
	"slices"
	"testing"

	"github.com/gapbundle/gapbundle/sources/pypi/piptest"
)

// The tags of an interpreter are those of packaging for the same platforms, in
// its order.
func TestTagsAgainstPackaging(t *testing.T) {
	cases := []struct {
		python, implementation, platform string
		abi, interpreter                 string
	}{
		{"3.12", "", "manylinux_2_28_x86_64", "cp312", "cp312"}, {"3.9", "", "manylinux2014_aarch64", "cp39", "cp39"}, {"3.7", "", "musllinux_1_2_x86_64", "cp37m", "cp37"},
		{"3.13t", "", "manylinux_2_34_x86_64", "cp313t", "cp313"}, {"3.10", "pypy", "manylinux2014_x86_64", "pypy310_pp73", "pp310"},
		{"3.11", "", "macosx_14_0_arm64", "cp311", "cp311"}, {"3.14", "", "win_amd64", "cp314", "cp314"},
	}
	var questions [][]any
	for _, c := range cases {
		target := target(t, c.python, c.implementation, c.platform)
		questions = append(questions, []any{"supported", target.minor, []string{c.abi}, target.Platforms(), c.interpreter})
	}
	for i, answer := range piptest.Packaging(t, questions) {
		c := cases[i]
		var all, want []string
		answer.Into(t, &all)
		for _, tag := range all { // packaging names some twice
			if !slices.Contains(want, tag) {
				want = append(want, tag)
			}
		}
		got := target(t, c.python, c.implementation, c.platform).List()
		if !slices.Equal(got, want) {
			for j := range min(len(got), len(want)) {
				if got[j] != want[j] {
					t.Errorf("%v: tag %d of %d and %d: %s, want %s", c, j, len(got), len(want), got[j], want[j])
					break
				}
			}
			if len(got) != len(want) {
				t.Errorf("%v: %d tags, want %d", c, len(got), len(want))
			}
		}
	}
}

// The platforms of a machine are those that packaging finds on it.
func TestPlatformsAgainstPackaging(t *testing.T) {
	cases := []struct {
		platform string
		question []any
	}{
		{"manylinux_2_36_x86_64", []any{"linux", "x86_64", "2.36"}}, {"manylinux_2_28_aarch64", []any{"linux", "aarch64", "2.28"}},
		{"manylinux_2_31_i686", []any{"linux", "i686", "2.31"}}, {"manylinux_2_28_ppc64le", []any{"linux", "ppc64le", "2.28"}},
		{"macosx_14_0_arm64", []any{"mac", 14, 0, "arm64"}}, {"macosx_12_0_x86_64", []any{"mac", 12, 0, "x86_64"}}, {"macosx_10_15_x86_64", []any{"mac", 10, 15, "x86_64"}},
	}
	var questions [][]any
	for _, c := range cases {
		questions = append(questions, c.question)
	}
	for i, answer := range piptest.Packaging(t, questions) {
		var want []string
		answer.Into(t, &want)
		if got := target(t, "3.12", "", cases[i].platform).Platforms(); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", cases[i].platform, got, want)
		}
	}
}

func TestWheelNamesAgainstPackaging(t *testing.T) {
	names := []string{
		"foo-1.0-py3-none-any.whl", "Foo_Bar-1.0.post1-2x-py2.py3-none-any.whl", "foo-1.0-cp39-abi3-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
		"foo-1.0-x-py3-none-any.whl", "foo-1.0-py3-none.whl", "foo-1.x.0-py3-none-any.whl", "foo-1.0-0007-py3-none-any.whl", "foo__bar-1.0-py3-none-any.whl",
		"foo.bar-1.0-CP39-ABI3-any.whl", "foo-1.0_1-py3-none-any.whl", "foo-1.0+x.y-py3-none-any.whl", "foo-1!1.0-py3-none-any.whl", "f!oo-1.0-py3-none-any.whl",
	}
	var questions [][]any
	for _, name := range names {
		questions = append(questions, []any{"wheel", name})
	}
	for i, answer := range piptest.Packaging(t, questions) {
		var want []any
		if answer.Error == "" {
			answer.Into(t, &want)
		} else {
			want = []any{"foo"}
		}
		f, err := ParseFile(want[0].(string), names[i])
		if (err == nil) != (answer.Error == "") {
			t.Errorf("%s: %v, %v; packaging: %s", names[i], f, err, answer.Error)
			continue
		}
		if err != nil {
			continue
		}
		slices.Sort(f.Tags)
		tags := []string{}
		for _, tag := range want[3].([]any) {
			tags = append(tags, tag.(string))
		}
		if f.Version.String() != want[1] || !slices.Equal(f.Tags, tags) || f.Build.Given != (len(want[2].([]any)) > 0) {
			t.Errorf("%s: %v; packaging: %v", names[i], f, want)
		}
	}
}
