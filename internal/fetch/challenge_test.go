package fetch

import (
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestChallenges(t *testing.T) {
	params := func(pairs ...string) map[string]string {
		m := map[string]string{}
		for i := 0; i < len(pairs); i += 2 {
			m[pairs[i]] = pairs[i+1]
		}
		return m
	}
	for in, want := range map[string][]challenge{
		`Basic realm="a, b"`: {{"basic", params("realm", "a, b")}},
		`Bearer realm="https://a/token",service="s",scope="repository:a/b:pull,push"`: {
			{"bearer", params("realm", "https://a/token", "service", "s", "scope", "repository:a/b:pull,push")}},
		`Basic realm="x", BEARER Realm = "y" , error=insufficient_scope`: {
			{"basic", params("realm", "x")}, {"bearer", params("realm", "y", "error", "insufficient_scope")}},
		`Bearer realm=https://a/token?x=1,service=s`: {{"bearer", params("realm", "https://a/token?x=1", "service", "s")}},
		`Negotiate`:                    {{"negotiate", params()}},
		`Negotiate YWJj=, Basic`:       {{"negotiate", params("ywjj", "")}, {"basic", params()}},
		`Basic realm="a\"b\\"`:         {{"basic", params("realm", `a"b\`)}},
		`Basic realm="open`:            {{"basic", params("realm", "open")}},
		`realm="nobody's", Basic`:      {{"basic", params()}},
		`"no scheme"`:                  nil,
		``:                             nil,
		strings.Repeat("Basic, ", 100): slices.Repeat([]challenge{{"basic", params()}}, maxChallenges),
	} {
		if got := parseChallenges([]string{in}); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, want %+v", in, got, want)
		}
	}
}

func FuzzChallenges(f *testing.F) {
	f.Add(`Bearer realm="https://a/token",service="s",scope="x"`)
	f.Add(`Basic realm="a\", Negotiate x=`)
	f.Fuzz(func(t *testing.T, s string) {
		all := parseChallenges([]string{s, s})
		size := 0
		for _, c := range all {
			size += len(c.scheme)
			for k, v := range c.params {
				size += len(k) + len(v)
			}
		}
		if len(all) > maxChallenges || size > 2*len(s) {
			t.Errorf("%d challenges, %d bytes of %d", len(all), size, len(s))
		}
	})
}

func TestScopes(t *testing.T) {
	got := mergeScopes([]string{"repository:b:pull", "repository:a:push,pull"}, []string{"repository:b:push", "registry:catalog:*", "nonsense"})
	if want := "registry:catalog:* repository:a:pull,push repository:b:pull,push"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
