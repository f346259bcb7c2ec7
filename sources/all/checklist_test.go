package all_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/sources/all"
	"github.com/gapbundle/gapbundle/sources/all/standins"
	"github.com/gapbundle/gapbundle/sources/config"
)

// TestChecklist: every kind of the program has everything that a reader and a user look
// for: schema, README, page, client matrix and example.
// docs/adding-a-source.md is the recipe.
func TestChecklist(t *testing.T) {
	readme, matrix := read(t, "README.md"), read(t, "docs/client-matrix.md")
	index := read(t, "docs/README.md")
	schema := schemaKinds(t)
	examples, standIns := examples(t), standins.All()
	for _, kind := range all.Kinds() {
		row := regexp.MustCompile("(?m)^\\| `" + kind.Name + "` \\|.*$").FindString(readme)
		missing := func(what string) { t.Errorf("kind %s: %s", kind.Name, what) }
		if row == "" {
			missing("no row in README.md")
		}
		if !schema[kind.Name] {
			missing("not in docs/spec.schema.json: go test ./sources/config -run TestSchema -update")
		}
		if kind.Doc == "" || kind.Options == nil || kind.New == nil || kind.Check == nil || kind.Clients == nil {
			missing("without Doc, Options, New, Check or Clients")
		}
		if !strings.Contains(lastCell(row), "works") {
			missing("the last cell of its row in README.md does not say that it works")
		}
		page := "docs/sources/" + kind.Name + ".md"
		if _, err := os.Stat(filepath.Join("../..", page)); err != nil || !strings.Contains(row, page) || !strings.Contains(index, "sources/"+kind.Name+".md") {
			missing(page + " is not there, or not linked from README.md and docs/README.md")
		}
		if !strings.Contains(matrix, "./sources/"+kind.Name) {
			missing("no entry in docs/client-matrix.md that names its tests")
		}
		if !regexp.MustCompile(`(?m)\bkind: ` + kind.Name + `\b`).MatchString(examples) {
			missing("no example in examples/")
		}
		if len(standIns[kind.Name]) == 0 {
			missing("nothing plays the upstreams of its example: a package standin next to it, and a line in sources/all/standins")
		}
	}
}

// TestPagesBeginWithASource: the page of each kind shows a source before its options, and
// the kind accepts it.
func TestPagesBeginWithASource(t *testing.T) {
	for _, kind := range all.Kinds() {
		page := read(t, "docs/sources/"+kind.Name+".md")
		beginning, _, _ := strings.Cut(page, "\n## ")
		m := regexp.MustCompile("(?ms)^```yaml\n(sources:\n.*?)^```$").FindStringSubmatch(beginning)
		if m == nil {
			t.Errorf("kind %s: its page has no block \"sources:\" before the first heading", kind.Name)
			continue
		}
		path := filepath.Join(t.TempDir(), "gapbundle.yaml")
		if err := os.WriteFile(path, []byte("version: 1\nname: page\n"+m[1]), 0o644); err != nil {
			t.Fatal(err)
		}
		spec, err := config.Load(path)
		if err != nil {
			t.Errorf("kind %s: %v", kind.Name, err)
			continue
		}
		for _, source := range spec.Sources {
			if err := source.Decode(kind.Options()); err != nil || source.Kind != kind.Name {
				t.Errorf("kind %s: %s: %v", kind.Name, source.Kind, err)
			}
		}
	}
}

func lastCell(row string) string {
	cells := strings.Split(strings.TrimSuffix(strings.TrimSpace(row), "|"), "|")
	return cells[len(cells)-1]
}

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("../..", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// examples returns all specs of the folder, one after the other.
func examples(t *testing.T) string {
	t.Helper()
	names, err := filepath.Glob("../../examples/*.yaml")
	if err != nil || len(names) == 0 {
		t.Fatalf("%v, %v", names, err)
	}
	var text strings.Builder
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		text.Write(b)
	}
	return text.String()
}

// schemaKinds returns the kinds that the schema has as the value of "kind".
func schemaKinds(t *testing.T) map[string]bool {
	t.Helper()
	var schema any
	if err := json.Unmarshal([]byte(read(t, "docs/spec.schema.json")), &schema); err != nil {
		t.Fatal(err)
	}
	kinds := map[string]bool{}
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			if name, ok := v["const"].(string); ok {
				kinds[name] = true
			}
			for _, inner := range v {
				walk(inner)
			}
		case []any:
			for _, inner := range v {
				walk(inner)
			}
		}
	}
	walk(schema)
	return kinds
}
