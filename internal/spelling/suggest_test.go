package spelling

import "testing"

func TestSuggest(t *testing.T) {
	kinds := []string{"rpm", "apt", "files", "simplestreams", "pypi"}
	all := "; valid: apt, files, pypi, rpm, simplestreams"
	for name, want := range map[string]string{
		"rmp": `; did you mean "rpm"?`, "rpms": `; did you mean "rpm"?`, "flies": `; did you mean "files"?`, "pypy": `; did you mean "pypi"?`,
		"simple-stream": `; did you mean "simplestreams"?`, "": all, "yum": all, "dpt": `; did you mean "apt"?`, "docker": all, "pip": all, "cat": all, "filtered": all,
	} {
		if got := Suggest(name, kinds); got != want {
			t.Errorf("%q: got %s, want %s", name, got, want)
		}
	}
}

func TestDistance(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"", "abc", 3}, {"abc", "", 3}, {"abcd", "abdc", 1}, {"abcd", "badc", 2}, {"sitting", "kitten", 3}, {"ca", "abc", 3}} {
		if got := distance(test.a, test.b); got != test.want {
			t.Errorf("%q and %q: got %d, want %d", test.a, test.b, got, test.want)
		}
	}
}
