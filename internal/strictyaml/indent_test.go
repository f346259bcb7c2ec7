package strictyaml_test

import (
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/internal/strictyaml"
)

// TestIndentation: a line at a wrong depth is named with its depth and that of the line
// that it was compared with.
func TestIndentation(t *testing.T) {
	for _, c := range []struct{ what, text, want string }{
		{"deeper than its brothers", "sources:\n  - name: a\n    kind: files\n     dir: hb\n",
			"s.yaml:4:1: indented by 5 spaces, and line 3, which it follows, by 4"},
		{"between two depths", "sources:\n  - name: a\n    kind: files\n   dir: hb\n",
			"s.yaml:4:1: indented by 3 spaces: it can belong to line 2 with 2 or to line 3 with 4"},
		{"less than its brothers", "signing:\n   exporter: a\n  site: b\nname: x\n",
			"s.yaml:3:1: indented by 2 spaces: it can belong to line 1 with 0 or to line 2 with 3"},
		{"at the top", "  version: 1\n name: x\n", "s.yaml:2:1: indented by 1 space, and line 1 by 2"},
		{"an item of a list", "urls:\n  - a\n  - b\n - c\n", "s.yaml:4:1: indented by 1 space: it can belong to line 1 with 0 or to line 3 with 2"},
		{"after a comment and an empty line", "a:\n    b: 1\n\n  # a comment\n      c: 2\n",
			"s.yaml:5:1: indented by 6 spaces, and line 2, which it follows, by 4"},
		{"after a literal block", "a: |\n   any\n     thing\nb:\n  c: 1\n   d: 2\n",
			"s.yaml:6:1: indented by 3 spaces, and line 5, which it follows, by 2"},
		{"another mistake", "a:\n  b: [1, 2\n  c: 3\n", "s.yaml:3:"},
	} {
		_, err := strictyaml.Parse("s.yaml", []byte(c.text))
		if err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %s", c.what, err, c.want)
		}
	}
}
