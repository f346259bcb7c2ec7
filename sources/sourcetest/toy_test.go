package sourcetest

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
)

// TestToy builds the kind that docs/adding-a-source.md shows, out of nothing but that
// page, in a folder that is there for this one build, and runs the suite over it.
func TestToy(t *testing.T) {
	page, err := os.ReadFile("../../docs/adding-a-source.md")
	if err != nil {
		t.Fatal(err)
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	overlay := struct{ Replace map[string]string }{map[string]string{}}
	for _, block := range regexp.MustCompile("(?s)<!-- toy: (\\S+) -->\n```go\n(.*?)```\n").FindAllSubmatch(page, -1) {
		name := filepath.Join(dir, string(block[1]))
		if err := os.WriteFile(name, block[2], 0o600); err != nil {
			t.Fatal(err)
		}
		overlay.Replace[filepath.Join(root, "sources/toy", string(block[1]))] = name
	}
	if len(overlay.Replace) != 2 {
		t.Fatalf("the page has %d files of the kind, want 2", len(overlay.Replace))
	}
	b, err := json.Marshal(overlay)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	formatted := exec.CommandContext(t.Context(), "gofmt", "-l", dir)
	if out, err := formatted.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("gofmt: %v\n%s", err, out)
	}
	program := filepath.Join(dir, "toy.test")
	build := exec.CommandContext(t.Context(), "go", "test", "-c", "-vet=off", "-overlay", file, "-o", program, "./sources/toy")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("the kind of the page does not build: %v\n%s", err, out)
	}
	suite := exec.CommandContext(t.Context(), program)
	suite.Dir = dir
	if out, err := suite.CombinedOutput(); err != nil {
		t.Errorf("the kind of the page: %v\n%s", err, out)
	}
}
