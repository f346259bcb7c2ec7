package config

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/all"
)

const pageFile = "../../docs/spec.md"

// TestPage: docs/spec.md has a row with meaning, default and example for every key that
// the decoder reads outside of the kinds' own options, and for no other; and it links the
// page of every kind.
func TestPage(t *testing.T) {
	b, err := os.ReadFile(pageFile)
	if err != nil {
		t.Fatal(err)
	}
	page := string(b)
	for heading, of := range map[string]reflect.Type{
		"## Keys of the file\n": reflect.TypeFor[document](), "### `signing`\n": reflect.TypeFor[signing](),
		"### `sources`\n": reflect.TypeFor[envelope](), "## Keys of `hosts`\n": reflect.TypeFor[host](),
	} {
		_, section, found := strings.Cut(page, "\n"+heading)
		if !found {
			t.Errorf("%s: no heading %q", pageFile, heading)
		}
		section, _, _ = strings.Cut(section, "\n#")
		var keys []string
		for _, row := range regexp.MustCompile("(?m)^\\| `([^`]*)` \\|.*$").FindAllStringSubmatch(section, -1) {
			keys = append(keys, row[1])
			if cells := strings.Split(strings.Trim(row[0], "| "), " | "); len(cells) != 4 || slices.Contains(cells, "") {
				t.Errorf("%s: %s: %d cells, want key, meaning, default and example", strings.TrimSpace(heading), row[1], len(cells))
			}
		}
		var want []string
		for key := range structure(of)["properties"].(object) {
			want = append(want, key)
		}
		slices.Sort(keys)
		slices.Sort(want)
		if !slices.Equal(keys, want) {
			t.Errorf("%s\nhas  %v\nwant %v", strings.TrimSpace(heading), keys, want)
		}
	}
	for _, kind := range all.Kinds() {
		if !strings.Contains(page, "](sources/"+kind.Name+".md)") {
			t.Errorf("%s: no link to the page of kind %s", pageFile, kind.Name)
		}
	}
}

// TestPageExamples: the page's examples are specs, or parts of one, that gapbundle reads.
func TestPageExamples(t *testing.T) {
	b, err := os.ReadFile(pageFile)
	if err != nil {
		t.Fatal(err)
	}
	examples := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(string(b), -1)
	if len(examples) != 3 {
		t.Fatalf("%d examples, want 3", len(examples))
	}
	for _, example := range examples {
		text := example[1]
		if strings.HasPrefix(text, "hosts:") {
			text = "version: 1\nname: a\nsources: [{name: s, kind: files}]\n" + text
		}
		if strings.HasPrefix(text, "#") {
			text += examples[0][1]
		}
		path := filepath.Join(t.TempDir(), "gapbundle.yaml")
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		spec, err := Load(path)
		if err != nil {
			t.Errorf("%v in\n%s", err, text)
			continue
		}
		for _, source := range spec.Sources {
			kind := slices.IndexFunc(all.Kinds(), func(k sources.Kind) bool { return k.Name == source.Kind })
			if kind < 0 {
				t.Fatalf("source %s: no kind %s", source.Name, source.Kind)
			}
			if err := source.Decode(all.Kinds()[kind].Options()); err != nil {
				t.Errorf("source %s: %v", source.Name, err)
			}
		}
	}
}
