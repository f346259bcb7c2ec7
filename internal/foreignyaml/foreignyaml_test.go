package foreignyaml

import (
	"strings"
	"testing"
)

var limits = Limits{Bytes: 4096, Marks: 100, Depth: 8}

func TestParse(t *testing.T) {
	for _, test := range []struct {
		name, text, want string // want: part of the error, or the number of documents
		docs             int
	}{
		{"one", "a: [1, {b: c}]\n", "", 1},
		{"byte order mark", "\ufeffa: b\n", "", 1},
		{"two", "---\na: b\n---\nc: d\n", "", 2},
		{"empty", "---\n---\n", "", 0},
		{"nothing", "", "", 0},
		{"too long", strings.Repeat("x", 4097), "4097 bytes, at most 4096", 0},
		{"too many values", strings.Repeat("a:\n", 60), "keys and values, at most 100", 0},
		{"deep in flow style", strings.Repeat("[", 9) + strings.Repeat("]", 9), "line 1: nested deeper than 8", 0},
		{"deep in block style", strings.Repeat("- ", 9) + "x", "line 1: nested deeper than 8", 0},
		{"indented", "a:\n         b: c\n", "line 2: nested deeper than 8", 0},
		{"anchor", "a: &x b\n", "line 1: anchors and aliases", 0},
		{"alias", "a: *x\n", "line 1: anchors and aliases", 0},
		{"merge key", "a:\n  <<: b\n", "line 2: anchors and aliases", 0},
		{"tag", "a: !!str b\n", "line 1: tags are not read", 0},
		{"syntax", "a: [b\n", "not YAML: ", 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			docs, err := Parse([]byte(test.text), limits)
			if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) || len(docs) != test.docs {
				t.Errorf("%d documents, error %v; want %d, %q", len(docs), err, test.docs, test.want)
			}
		})
	}
	tagged := limits
	tagged.Tags = true
	if docs, err := Parse([]byte("a: !!str b\n"), tagged); err != nil || len(docs) != 1 {
		t.Errorf("with tags: %d documents, error %v", len(docs), err)
	}
}

// FuzzParse: whatever comes, the parser returns within the bounds.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{"a: [1, {b: c}]\n", "- a\n- b: |\n    c\n", "? x\n: y\n", "a: !!str b\n", "\"a\\u0000\": '\n\n'\n", "%YAML 1.2\n---\na\n...\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		docs, err := Parse(text, limits)
		if err == nil && len(docs) > limits.Marks+1 {
			t.Errorf("%d documents", len(docs))
		}
	})
}
