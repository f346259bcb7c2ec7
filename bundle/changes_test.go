package bundle

import (
	"errors"
	"iter"
	"strings"
	"testing"
)

// listed returns a list of files: "path=content", or "path" where the content is not known.
func listed(text string, end error) iter.Seq2[File, error] {
	return func(yield func(File, error) bool) {
		for _, line := range strings.Fields(text) {
			path, content, known := strings.Cut(line, "=")
			f := File{Path: path}
			if known {
				f.Digest = DigestOf([]byte(content))
			}
			if !yield(f, nil) {
				return
			}
		}
		if end != nil {
			yield(File{}, end)
		}
	}
}

func TestCompareFiles(t *testing.T) {
	for _, c := range []struct {
		before, after string
		want          Changes
	}{
		{"", "", Changes{}},
		{"a=1 b=2", "a=1 b=2", Changes{Before: 2}},
		{"a=1 b=2", "", Changes{Removed: 2, Before: 2}},
		{"", "a=1 b=2", Changes{Added: 2}},
		{"a=1 b=2 d=4", "b=3 c=1 d e=5", Changes{Added: 2, Changed: 1, Removed: 1, Before: 3}},
		{"a=1 b=2 c=3", "c=3", Changes{Removed: 2, Before: 3}},
	} {
		got, err := CompareFiles(listed(c.before, nil), listed(c.after, nil))
		if err != nil || got != c.want || got.Any() != (c.before != c.after) {
			t.Errorf("%q, %q: %+v %v, want %+v", c.before, c.after, got, err, c.want)
		}
	}
	broken := errors.New("broken")
	for _, c := range [][2]error{{broken, nil}, {nil, broken}} {
		if _, err := CompareFiles(listed("a=1", c[0]), listed("a=1 b=2", c[1])); !errors.Is(err, broken) {
			t.Errorf("%v: %v", c, err)
		}
	}
}
