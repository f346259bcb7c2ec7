package resolve

import (
	_ "embed"
	"errors"
	"strings"
	"testing"
)

//go:embed testdata/cases.txt
var casesText string

// example is a case of testdata/cases.txt, whose head explains the form.
type example struct {
	title, python  string
	index, wants   []string
	pre            bool
	chosen, chosUV string
}

func examples(t *testing.T) []example {
	t.Helper()
	var all []example
	for part := range strings.SplitSeq(casesText, "\n\n") {
		lines := strings.Split(strings.TrimSpace(part), "\n")
		title, ok := strings.CutPrefix(lines[0], "# ")
		if !ok || title == "title" {
			continue
		}
		c := example{title: title, python: "3.9.18"}
		other := false
		for _, line := range lines[1:] {
			key, rest, _ := strings.Cut(line, " ")
			switch key {
			case "@":
				c.python = rest
			case "?":
				c.wants = append(c.wants, rest)
			case "pre":
				c.pre = true
			case "=":
				c.chosen = rest
			case "uv":
				c.chosUV, _, _ = strings.Cut(rest, " #")
				other = true
			default:
				c.index = append(c.index, line)
			}
		}
		if !other {
			c.chosUV = c.chosen
		}
		all = append(all, c)
	}
	if len(all) < 100 {
		t.Fatalf("%d cases", len(all))
	}
	return all
}

func (c *example) world(t *testing.T) (*world, Problem) {
	w := read(t, c.python, c.index...)
	return w, Problem{Environment: w.target.Environment(), Requirements: wants(t, c.wants...), PreReleases: func(string) bool { return c.pre }}
}

const conflict = "conflict"

func TestCases(t *testing.T) {
	for _, c := range examples(t) {
		w, problem := c.world(t)
		got := conflict
		result, err := Resolve(t.Context(), keep(w), problem)
		if err == nil {
			got = plain(result)
			meetsAll(t, w, result, problem.Requirements, nil)
		} else if !errors.Is(err, ErrConflict) {
			t.Fatal(err)
		}
		if got != c.chosen {
			t.Errorf("%s: %s, want %s", c.title, got, c.chosen)
		}
	}
}
