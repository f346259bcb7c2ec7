package modulemd

import (
	"bytes"
	"errors"
	"fmt"
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
document: modulemd-packager
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
	if len(x.Streams) != 3 || x.Defaults["nodejs"].Stream != "20" || len(x.docs) != 5 {
		t.Fatalf("%+v", x)
	}
	s := x.Streams[0]
	if s.Module != "nodejs" || s.Name != "20" || s.Version != 8020 || s.Context != "c1" || len(s.Artifacts) != 3 || s.Artifacts[1] != "node-libs-1:20.1-1.el8.x86_64" ||
		!slices.Equal(s.Profiles["common"], []string{"node"}) || len(s.Requires) != 1 || !slices.Equal(s.Requires[0]["tools"], []string{"a"}) {
		t.Errorf("%+v", s)
	}
	if s := x.Streams[1]; s.Name != "22.10" || !slices.Equal(s.Artifacts, []string{"node-1:22.1-1.el8.x86_64"}) {
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
		"twice":         "document: modulemd\ndata:\n  name: a\n  name: b\n",
		"another type":  "document: something-else\ndata: {}\n",
	} {
		if _, err := Parse(strings.NewReader(text)); !errors.Is(err, bundle.ErrMalformed) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	for name, text := range map[string]string{
		"no name":          "document: modulemd\ndata: {stream: a}\n",
		"version":          "document: modulemd\ndata: {name: a, stream: b, version: c}\n",
		"no list":          "document: modulemd\ndata: {name: a, artifacts: {rpms: a}}\n",
		"mapping":          "document: modulemd\ndata: {name: a, artifacts: {rpms: [a: b]}}\n",
		"no data":          "document: modulemd\n",
		"data of a list":   "document: modulemd\ndata: [a]\n",
		"no package":       "document: modulemd\ndata: {name: a, artifacts: {rpms: [a]}}\n",
		"date of defaults": "document: modulemd-defaults\ndata: {module: a, modified: soon}\n",
	} {
		if x, err := Parse(strings.NewReader(text)); err != nil || len(x.Streams)+len(x.Defaults)+len(x.docs) != 0 || len(x.Skipped) != 1 {
			t.Errorf("%s: got %v, %+v", name, err, x)
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
		v, err := NewView([]*Index{x}, test.asked, "")
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range strings.Fields(test.sees) {
			if !sees(v, p, false) {
				t.Errorf("%v: %s is hidden", test.asked, p)
			}
		}
		for _, p := range strings.Fields(test.no) {
			if sees(v, p, false) || !sees(v, p, true) {
				t.Errorf("%v: %s is seen, or hidden with hotfixes", test.asked, p)
			}
		}
	}
	for want, asked := range map[string][]Ask{
		"there is none":  {{Module: "nix"}},
		"has 20, 22.10":  {{Module: "nodejs", Stream: "18"}},
		"streams 20 and": {{Module: "nodejs"}, {Module: "nodejs", Stream: "22.10"}},
	} {
		if _, err := NewView([]*Index{x}, asked, ""); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: got %v, want %s", asked, err, want)
		}
	}
	v, err := NewView([]*Index{x}, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	if all, names, err := v.Packages([]*Index{x}, []string{"x86_64"}, Ask{Module: "nodejs"}); err != nil || len(all) != 3 || len(names) != 0 {
		t.Errorf("%v, %v, %v", all, names, err)
	}
	if all, names, err := v.Packages([]*Index{x}, []string{"x86_64"}, Ask{Module: "nodejs", Profile: "common"}); err != nil || len(all) != 0 || !slices.Equal(names, []string{"node"}) {
		t.Errorf("%v, %v, %v", all, names, err)
	}
	if all, _, err := v.Packages([]*Index{x}, []string{"aarch64"}, Ask{Module: "nodejs"}); err != nil || len(all) != 0 {
		t.Errorf("%v, %v", all, err)
	}
	if _, _, err := v.Packages([]*Index{x}, []string{"x86_64"}, Ask{Module: "nodejs", Profile: "nix"}); err == nil || !strings.Contains(err.Error(), "it has common") {
		t.Errorf("got %v", err)
	}
}

// one returns a document of a stream of version 1 in a context.
func one(module, stream, context, requires string, more ...string) string {
	return "---\ndocument: modulemd\nversion: 2\ndata:\n  name: " + module + "\n  stream: \"" + stream + "\"\n  version: 1\n  context: " + context +
		"\n  arch: x86_64\n  dependencies:\n  - requires: {" + requires + "}\n" + strings.Join(more, "") + "...\n"
}

func artifacts(all ...string) string {
	return "  artifacts:\n    rpms:\n    - " + strings.Join(all, "\n    - ") + "\n"
}

func standardOf(module, stream string) string {
	return "---\ndocument: modulemd-defaults\nversion: 1\ndata: {module: " + module + ", stream: \"" + stream + "\"}\n...\n"
}

// variantsOf has a language in two streams, a library that is built for both,
// and an application that needs the newer one.
var variantsOf = one("lang", "1", "a", "platform: [el9]", artifacts("lang-0:1-1.x86_64")) +
	one("lang", "2", "b", "platform: [el9]", artifacts("lang-0:2-1.x86_64")) +
	one("lib", "x", "c", "platform: [el9], lang: [\"1\"]", artifacts("lib-0:1-1.lang1.x86_64")) +
	one("lib", "x", "d", "platform: [el9], lang: [\"2\"]", artifacts("lib-0:1-1.lang2.x86_64")) +
	one("app", "x", "e", "platform: [el9], lang: [-1]", artifacts("app-0:1-1.x86_64", "tool-0:1-1.src", "old-0:1-1.x86_64"), "  demodularized: {rpms: [old]}\n") +
	one("far", "x", "f", "platform: [el8]", artifacts("far-0:1-1.x86_64")) +
	one("far", "y", "g", "platform: [el9], nobody: []", artifacts("far-0:2-1.x86_64")) +
	standardOf("lang", "1") + standardOf("lib", "x")

func TestVariants(t *testing.T) {
	x := index(t, variantsOf)
	for want, asked := range map[string][]Ask{
		"lang-0:1-1.x86_64 lib-0:1-1.lang1.x86_64":                                                  nil,
		"lang-0:2-1.x86_64 lib-0:1-1.lang2.x86_64":                                                  {{Module: "lang", Stream: "2"}},
		"app-0:1-1.x86_64 lang-0:2-1.x86_64 lib-0:1-1.lang2.x86_64 old-0:1-1.x86_64 tool-0:1-1.src": {{Module: "app"}},
	} {
		v, err := NewView([]*Index{x}, asked, "9.4")
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for a, active := range v.artifacts {
			if active {
				got = append(got, a)
			}
		}
		slices.Sort(got)
		if strings.Join(got, " ") != want {
			t.Errorf("%v: %s, want %s", asked, got, want)
		}
	}
	for want, asked := range map[string][]Ask{
		"module app: stream x: what it needs": {{Module: "lang", Stream: "1"}, {Module: "app"}},
		"module far: stream x":                {{Module: "far", Stream: "x"}},
		"module far: stream y":                {{Module: "far", Stream: "y"}},
	} {
		if _, err := NewView([]*Index{x}, asked, "9"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: got %v, want %s", asked, err, want)
		}
	}
	// No release, and no single platform: whichever is needed is there.
	if _, err := NewView([]*Index{x}, []Ask{{Module: "far", Stream: "x"}}, ""); err != nil {
		t.Error(err)
	}
	v, err := NewView([]*Index{x}, []Ask{{Module: "app"}}, "9")
	if err != nil {
		t.Fatal(err)
	}
	for p, want := range map[string]bool{"app-0:9-1.x86_64": false, "app-0:9-1.noarch": false, "tool-0:9-1.x86_64": true, "tool-0:9-1.src": false, "app-0:9-1.src": false, "old-0:9-1.x86_64": true, "far-0:9-1.x86_64": true} {
		if sees(v, p, false) != want {
			t.Errorf("%s: seen %t, want %t", p, !want, want)
		}
	}
	if v.Sees("other-0:1-1.x86_64", "x86_64", slices.Values([]string{"other", "app"}), false) {
		t.Error("what provides the name of an active package is seen")
	}
}

// A module of one architecture hides nothing of another.
func TestArchitectures(t *testing.T) {
	arm := strings.ReplaceAll(one("m", "x", "a", "", artifacts("p-0:1-1.x86_64", "q-0:1-1.x86_64")), "x86_64", "aarch64")
	x := index(t, one("m", "x", "b", "", artifacts("p-0:1-1.x86_64"))+arm+standardOf("m", "x"))
	v, err := NewView([]*Index{x}, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	for p, want := range map[string]bool{
		"p-0:1-1.x86_64": true, "p-0:1-1.aarch64": true, "p-0:9-1.x86_64": false, "p-0:9-1.aarch64": false, "p-0:9-1.noarch": false,
		"q-0:9-1.x86_64": true, "q-0:9-1.aarch64": false,
	} {
		if sees(v, p, false) != want {
			t.Errorf("%s: seen %t, want %t", p, !want, want)
		}
	}
	for arch, want := range map[string]int{"x86_64": 1, "aarch64": 2, "s390x": 0} {
		if all, _, err := v.Packages([]*Index{x}, []string{arch}, Ask{Module: "m"}); err != nil || len(all) != want {
			t.Errorf("%s: %v, %v", arch, all, err)
		}
	}
}

// TestDefaultsOfSeveral: of two files that differ the later one counts.
func TestDefaultsOfSeveral(t *testing.T) {
	file := func(modified, stream, profile string) *Index {
		return index(t, "document: modulemd-defaults\nversion: 1\ndata: {module: m, modified: "+modified+", stream: "+stream+", profiles: {a: ["+profile+"]}}\n")
	}
	for _, test := range []struct {
		files []*Index
		want  string
	}{
		{[]*Index{file("1", "a", "x"), file("2", "b", "x")}, "b"},
		{[]*Index{file("2", "a", "x"), file("1", "b", "x")}, "a"},
		{[]*Index{file("1", "a", "x"), file("1", "b", "x"), file("2", "b", "x")}, ""},
		{[]*Index{file("1", "a", "x"), file("1", "a", "y")}, ""},
		{[]*Index{file("1", "a", "x"), file("2", "a", "y")}, "a"},
	} {
		if got := defaults(test.files)["m"]; got != test.want {
			t.Errorf("%q, want %q", got, test.want)
		}
	}
}

// What is needed for a carried stream is kept, though nothing of it is carried.
func TestNeeded(t *testing.T) {
	x := index(t, variantsOf)
	v, err := NewView([]*Index{x}, []Ask{{Module: "app"}}, "9")
	if err != nil {
		t.Fatal(err)
	}
	carried := func(nevra string) bool { return strings.HasPrefix(nevra, "lib-") }
	var b bytes.Buffer
	if n, err := x.Filter(&b, carried, v.Needed(carried)); n != 3 || err != nil {
		t.Fatalf("%d, %v", n, err)
	}
	again := index(t, b.String())
	var got []string
	for _, s := range again.Streams {
		got = append(got, s.Module+":"+s.Name+":"+s.Context)
	}
	if want := "lang:2:b lib:x:c lib:x:d"; strings.Join(got, " ") != want || again.Defaults["lang"].Stream != "1" {
		t.Errorf("%v and defaults %v, want %s", got, again.Defaults, want)
	}
}

// TestKnot: a file that would keep the search busy for ever is given up.
func TestKnot(t *testing.T) {
	var b strings.Builder
	// Pigeons: each module goes to one of the holes, and there is one too few.
	const holes = 12
	for pigeon := range holes + 1 {
		for hole := range holes {
			b.WriteString(one(fmt.Sprint("p", pigeon), "x", fmt.Sprint("c", hole), fmt.Sprintf("h%d: [p%d]", hole, pigeon)))
		}
		b.WriteString(standardOf(fmt.Sprint("p", pigeon), "x"))
	}
	for hole := range holes {
		for pigeon := range holes + 1 {
			b.WriteString(one(fmt.Sprint("h", hole), fmt.Sprint("p", pigeon), "c", ""))
		}
	}
	if _, err := NewView([]*Index{index(t, b.String())}, nil, ""); !errors.Is(err, bundle.ErrMalformed) || !strings.Contains(err.Error(), "too many ways") {
		t.Errorf("got %v", err)
	}
}

// sees reports whether a package is seen that provides nothing but its name.
func sees(v *View, nevra string, hotfixes bool) bool {
	return v.Sees(nevra, nevra[strings.LastIndexByte(nevra, '.')+1:], slices.Values([]string{nameOf(nevra)}), hotfixes)
}

func TestFilter(t *testing.T) {
	x := index(t, file)
	var b bytes.Buffer
	n, err := x.Filter(&b, func(nevra string) bool { return nevra == "node-libs-1:20.1-1.el8.x86_64" }, nil)
	if err != nil || n != 1 {
		t.Fatalf("%d, %v", n, err)
	}
	again := index(t, b.String())
	if len(again.Streams) != 1 || again.Defaults["nodejs"].Stream != "20" || !slices.Equal(again.Streams[0].Artifacts, []string{"node-libs-1:20.1-1.el8.x86_64"}) {
		t.Errorf("%+v\n%s", again, b.String())
	}
	if !strings.Contains(b.String(), "Says --- and") || strings.Contains(b.String(), "gone") || !slices.Equal(again.Streams[0].Profiles["common"], []string{"node"}) {
		t.Errorf("%s", b.String())
	}
	if n, err := x.Filter(&b, func(string) bool { return false }, nil); n != 0 || err != nil {
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

// FuzzParse: what is written of a file is read as what was kept of it, and what
// is active of it can be found out.
func FuzzParse(f *testing.F) {
	f.Add([]byte(file))
	f.Add([]byte(variantsOf))
	f.Fuzz(func(t *testing.T, text []byte) {
		x, err := Parse(bytes.NewReader(text))
		if err != nil {
			return
		}
		var b bytes.Buffer
		n, err := x.Filter(&b, func(string) bool { return true }, nil)
		if err != nil {
			t.Fatal(err)
		}
		again, err := Parse(&b)
		if err != nil || len(again.Streams) != n {
			t.Errorf("%d streams of %d, %v", len(again.Streams), n, err)
		}
		v, err := NewView([]*Index{x, again}, nil, "9")
		if err != nil {
			t.Fatal(err)
		}
		v.Needed(func(string) bool { return false })
	})
}
