package modulemd

import (
	"bytes"
	"errors"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
)

const file = `---
document: modulemd
version: 2
data:
  name: nodejs
  stream: "20"
  version: 8020
  context: c1
  arch: x86_64
  summary: >-
    Says --- and
    ... in its text.
  dependencies:
  - buildrequires: {platform: [el8]}
    requires:
      platform: [el8]
      tools: [a]
  profiles:
    common:
      rpms:
      - node
  artifacts:
    rpms:
    - node-1:20.1-1.el8.x86_64
    - "node-libs-1:20.1-1.el8.x86_64"
    - node-1:20.1-1.el8.src
...
---
document: modulemd
version: 2
data:
  name: nodejs
  stream: 22.10
  version: 1
  artifacts: {rpms: [node-1:22.1-1.el8.x86_64]}
...
---
document: modulemd
version: 1
data:
  name: tools
  stream: a
  version: 3
  dependencies:
    requires: {platform: el8}
  artifacts:
    rpms:
    - tool-0:1-1.noarch
...
---
document: modulemd-defaults
version: 1
data:
  module: nodejs
  stream: "20"
  profiles: {"20": [common]}
...
---
document: modulemd-obsoletes
version: 1
data:
  module: nodejs
  stream: "22.10"
  message: gone
...
---
document: something-else
data: {}
`

func index(t testing.TB, text string) *Index {
	t.Helper()
	x, err := Parse(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func TestParse(t *testing.T) {
	x := index(t, file)
	if len(x.Streams) != 3 || x.Defaults["nodejs"] != "20" || len(x.docs) != 5 {
		t.Fatalf("%+v", x)
	}
	s := x.Streams[0]
	if s.Module != "nodejs" || s.Name != "20" || s.Version != 8020 || s.Context != "c1" || len(s.Artifacts) != 3 || s.Artifacts[1] != "node-libs-1:20.1-1.el8.x86_64" ||
		!slices.Equal(s.Profiles["common"], []string{"node"}) || len(s.Requires) != 1 || !slices.Equal(s.Requires[0]["tools"], []string{"a"}) {
		t.Errorf("%+v", s)
	}
	if s := x.Streams[1]; s.Name != "22.10" || len(s.Artifacts) != 1 {
		t.Errorf("%+v", s)
	}
	if s := x.Streams[2]; !slices.Equal(s.Requires[0]["platform"], []string{"el8"}) {
		t.Errorf("%+v", s)
	}
	for name, text := range map[string]string{
		"alias":         "document: modulemd\ndata:\n  name: &a b\n  stream: *a\n",
		"deep":          "data: " + strings.Repeat("[", 100_000),
		"deep in block": "data:\n" + strings.Repeat(" ", 200) + "- a: b\n",
		"dashes":        "data:\n  " + strings.Repeat("- ", 100_000) + "a\n",
		"not YAML":      "a: [b\n",
		"a list":        "- a\n",
		"no name":       "document: modulemd\ndata: {stream: a}\n",
		"version":       "document: modulemd\ndata: {name: a, stream: b, version: c}\n",
		"no list":       "document: modulemd\ndata: {name: a, artifacts: {rpms: a}}\n",
		"twice":         "document: modulemd\ndata:\n  name: a\n  name: b\n",
	} {
		if _, err := Parse(strings.NewReader(text)); !errors.Is(err, bundle.ErrMalformed) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestView(t *testing.T) {
	x := index(t, file)
	for _, test := range []struct {
		asked    []Ask
		sees, no string
	}{
		{nil, "node-1:20.1-1.el8.x86_64 tool-0:1-1.noarch other-0:1-1.x86_64", "node-1:22.1-1.el8.x86_64 node-0:9-1.x86_64 tool-0:2-1.noarch"},
		{[]Ask{{Module: "nodejs", Stream: "22.10"}}, "node-1:22.1-1.el8.x86_64", "node-1:20.1-1.el8.x86_64 tool-0:1-1.noarch node-libs-1:20.1-1.el8.x86_64"},
		{[]Ask{{Module: "nodejs"}}, "node-libs-1:20.1-1.el8.x86_64", "node-1:22.1-1.el8.x86_64"},
	} {
		v, err := NewView([]*Index{x}, test.asked)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range strings.Fields(test.sees) {
			if !v.Sees(nameOf(p), p, false) {
				t.Errorf("%v: %s is hidden", test.asked, p)
			}
		}
		for _, p := range strings.Fields(test.no) {
			if v.Sees(nameOf(p), p, false) || !v.Sees(nameOf(p), p, true) {
				t.Errorf("%v: %s is seen, or hidden with hotfixes", test.asked, p)
			}
		}
	}
	for want, asked := range map[string][]Ask{
		"there is none":     {{Module: "nix"}},
		"has 20, 22.10":     {{Module: "nodejs", Stream: "18"}},
		"streams 20 and":    {{Module: "nodejs"}, {Module: "nodejs", Stream: "22.10"}},
		"no default stream": {{Module: "tools"}},
	} {
		if _, err := NewView([]*Index{x}, asked); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: got %v, want %s", asked, err, want)
		}
	}
	v, err := NewView([]*Index{x}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if all, err := v.Packages(x, Ask{Module: "nodejs"}); err != nil || len(all) != 3 {
		t.Errorf("%v, %v", all, err)
	}
	if all, err := v.Packages(x, Ask{Module: "nodejs", Profile: "common"}); err != nil || !slices.Equal(all, []string{"node"}) {
		t.Errorf("%v, %v", all, err)
	}
	if _, err := v.Packages(x, Ask{Module: "nodejs", Profile: "nix"}); err == nil || !strings.Contains(err.Error(), "it has common") {
		t.Errorf("got %v", err)
	}
}

func TestFilter(t *testing.T) {
	x := index(t, file)
	var b bytes.Buffer
	n, err := x.Filter(&b, func(nevra string) bool { return nevra == "node-libs-1:20.1-1.el8.x86_64" })
	if err != nil || n != 1 {
		t.Fatalf("%d, %v", n, err)
	}
	again := index(t, b.String())
	if len(again.Streams) != 1 || again.Defaults["nodejs"] != "20" || !slices.Equal(again.Streams[0].Artifacts, []string{"node-libs-1:20.1-1.el8.x86_64"}) {
		t.Errorf("%+v\n%s", again, b.String())
	}
	if !strings.Contains(b.String(), "Says --- and") || strings.Contains(b.String(), "gone") || !slices.Equal(again.Streams[0].Profiles["common"], []string{"node"}) {
		t.Errorf("%s", b.String())
	}
	if n, err := x.Filter(&b, func(string) bool { return false }); n != 0 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
}

func TestAsk(t *testing.T) {
	for text, want := range map[string]Ask{"a": {Module: "a"}, "a:1.10": {"a", "1.10", ""}, "a:b/c": {"a", "b", "c"}, "a/c": {"a", "", "c"}} {
		if got, err := ParseAsk(text); err != nil || got != want {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", ":a", "a:", "a:b:c", "a/", "a b"} {
		if got, err := ParseAsk(text); err == nil {
			t.Errorf("%q: %v", text, got)
		}
	}
}

// TestBounds: what is made to need time or memory is refused before it does.
func TestBounds(t *testing.T) {
	for text, want := range map[string]string{
		"data: [" + strings.Repeat("a,", 200_000) + "]":   "200003 keys and values",
		"data: {" + strings.Repeat("a: b,", 20_000) + "}": "line 1: mapping key",
		"data: [" + strings.Repeat("a,", 20_000):          "line 1: sequence end",
		"data: '" + strings.Repeat("a ", 3<<20) + "'":     "at most",
		"data:\n" + strings.Repeat("- ", 70) + "a":        "nested deeper",
		"a: *b": "aliases",
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := Parse(strings.NewReader(text))
		runtime.ReadMemStats(&after)
		if !errors.Is(err, bundle.ErrMalformed) || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20q: got %v, want %s", text, err, want)
		}
		if n := after.TotalAlloc - before.TotalAlloc; n > 64<<20 {
			t.Errorf("%.20q: %d MB were allocated", text, n>>20)
		}
	}
}

// FuzzParse: what is written of a file is read as what was kept of it.
func FuzzParse(f *testing.F) {
	f.Add([]byte(file))
	f.Fuzz(func(t *testing.T, text []byte) {
		x, err := Parse(bytes.NewReader(text))
		if err != nil {
			return
		}
		var b bytes.Buffer
		n, err := x.Filter(&b, func(string) bool { return true })
		if err != nil {
			t.Fatal(err)
		}
		again, err := Parse(&b)
		if err != nil || len(again.Streams) != n {
			t.Errorf("%d streams of %d, %v", len(again.Streams), n, err)
		}
	})
}
