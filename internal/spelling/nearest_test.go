package spelling

import (
	"errors"
	"iter"
	"slices"
	"strings"
	"testing"
)

func TestNearest(t *testing.T) {
	names := []string{"bash", "docker.io/library/nginx", "nginx", "nginx", "nginx-core", "NGINX-full", "ngix", "zsh"}
	all := func(yield func(string, error) bool) {
		for _, n := range names {
			if !yield(n, nil) {
				return
			}
		}
	}
	for name, want := range map[string][]string{
		"ngnix":                  {"docker.io/library/nginx", "nginx", "ngix"},
		"nginx":                  {"docker.io/library/nginx", "nginx", "ngix"},
		"bsh":                    {"bash", "zsh"},
		"nginx-ful":              {"NGINX-full"},
		"nothing-like-it":        {},
		strings.Repeat("x", 200): {},
	} {
		got, err := Nearest(name, all, 3)
		if err != nil {
			t.Fatal(err)
		}
		if name == "ngnix" {
			slices.Sort(got) // "ngix" is nearer than the other two
			slices.Sort(want)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
	}
	if got, _ := Nearest("nginx", all, 1); len(got) != 1 {
		t.Errorf("at most one: %q", got)
	}
	broken := errors.New("broken")
	if _, err := Nearest("x", iter.Seq2[string, error](func(yield func(string, error) bool) { yield("", broken) }), 3); !errors.Is(err, broken) {
		t.Error(err)
	}
}
