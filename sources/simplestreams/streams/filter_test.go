package streams

import (
	"regexp"
	"strings"
	"testing"
)

func TestFilter(t *testing.T) {
	fields := map[string]any{"arch": "amd64", "release": "jammy", "size": "5", "yes": true}
	get := func(key string) (any, bool) { v, ok := fields[key]; return v, ok }
	for filter, want := range map[string]bool{
		"arch=amd64": true, "arch = amd64": true, "arch=i386": false, "arch!=amd64": false, "arch!=i386": true,
		"release~(jammy|noble)": true, "release~amm": true, "release~^amm": false, "release!~jam": false, "release!~noble": true,
		"gone=": true, "gone!=": false, "gone~x": false, "gone!~x": true, "gone~": true,
		"arch==amd64": false, "arch=amd64 ": false, "yes=True": true, "arch~^amd64$": true, "arch ~ ^amd64$": true,
	} {
		var f Filter
		if err := f.UnmarshalText([]byte(filter)); err != nil {
			t.Errorf("%s: %v", filter, err)
		} else if got := f.Matches(get); got != want {
			t.Errorf("%s: %v, want %v", filter, got, want)
		}
	}
}

func TestRefusesFilter(t *testing.T) {
	for filter, want := range map[string]string{
		"": "want a filter", "arch": "want a filter", " arch=amd64": "want a filter", "a.b=c": "want a filter", "=x": "want a filter", "a=b\nc": "want a filter",
		"a~(": "missing closing )", "a~(?=x)": "question mark", `a~(x)\1`: `\1 means something else in Python`, "a~(?<!x)y": "question mark",
		"a~x{,3}": "something else in Python", "a~[[:alpha:]]": "something else in Python", `a~\pL`: "something else in Python", `a~x\z`: "something else in Python",
	} {
		var f Filter
		if err := f.UnmarshalText([]byte(filter)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %s", filter, err, want)
		}
	}
}

func FuzzFilter(f *testing.F) {
	for _, s := range []string{"arch=amd64", "release ~ (jammy|noble)", "a|b-c!~x*", "a!=", "ü=1", "a~[", "a~(a*)*b"} {
		f.Add(s, "amd64")
	}
	f.Fuzz(func(t *testing.T, s, value string) {
		var filter Filter
		if filter.UnmarshalText([]byte(s)) != nil {
			return
		}
		got := filter.Matches(func(string) (any, bool) { return value, true })
		op := regexp.MustCompile(`!?[=~]`).FindString(s)
		found := value == filter.value
		if filter.search != nil {
			found = filter.search.matches(value)
		}
		if want := found != (op[0] == '!'); got != want {
			t.Fatalf("%q of %q: %v, want %v", s, value, got, want)
		}
	})
}
