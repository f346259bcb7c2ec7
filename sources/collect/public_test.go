package collect

import (
	"fmt"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources"
)

func planned(t *testing.T, name, mount string, first bool, addresses ...string) Planned {
	t.Helper()
	p := Planned{Kind: "apt", Repository: sources.Repository{Name: name, Mount: mount}}
	for _, a := range addresses {
		public, err := bundle.ParsePublic(a, "")
		if err != nil {
			t.Fatal(err)
		}
		p.Public = append(p.Public, public)
	}
	if err := annotate(&p.Repository, first); err != nil {
		t.Fatal(err)
	}
	return p
}

// TestNotePublic: the plan says which of two sources a public name is answered by.
func TestNotePublic(t *testing.T) {
	const address = "https://archive.example/ubuntu"
	for name, c := range map[string]struct {
		first bool
		says  string
	}{
		"neither": {false, "does not answer by this public name"},
		"one":     {true, "with what says public: true"},
	} {
		repos := []Planned{planned(t, "a", "apt/a", c.first, address), planned(t, "b", "apt/b", false, address), planned(t, "c", "apt/c", false, address+"/c")}
		notePublic(repos)
		for i, want := range []string{c.says, c.says, ""} {
			if got := strings.Join(repos[i].Notes, "\n"); !strings.Contains(got, want) || want == "" && got != "" || want != "" && !strings.Contains(got, "archive.example/ubuntu: sources a, b") {
				t.Errorf("%s: source %s: notes %q", name, repos[i].Name, got)
			}
		}
	}
	shared := []Planned{planned(t, "a", "files", false, address), planned(t, "b", "files", false, address)}
	notePublic(shared)
	if len(shared[0].Notes) != 0 {
		t.Errorf("one place: %q", shared[0].Notes)
	}
}

// TestUnanswerable: the plan names a public address that no web server's configuration can have.
func TestUnanswerable(t *testing.T) {
	p := planned(t, "a", "apt/a", false, "https://archive.example/a%20(b)", "https://archive.example/a$b")
	if got := strings.Join(p.Notes, "\n"); !strings.HasPrefix(got, "https://archive.example/a$b: ") || strings.Contains(got, "\n") {
		t.Errorf("notes %q", got)
	}
}

// TestTooManyPublic: what has no room is told, and the rest travels.
func TestTooManyPublic(t *testing.T) {
	var all []string
	for i := range 300 {
		all = append(all, fmt.Sprintf("https://host-%03d.example/%s", i, strings.Repeat("x", 200)))
	}
	p := planned(t, "a", "apt/a", false, all...)
	travelled, err := bundle.PublicOf(p.Annotations)
	if err != nil || len(travelled) == 0 || len(travelled) > bundle.MaxPublic || len(p.Public) != len(travelled) {
		t.Errorf("%d travel, %d are left, %v", len(travelled), len(p.Public), err)
	}
	if len(p.Notes) != 1 || !strings.Contains(p.Notes[0], fmt.Sprintf("%d of 300 public addresses", 300-len(travelled))) {
		t.Errorf("notes %q", p.Notes)
	}
}
