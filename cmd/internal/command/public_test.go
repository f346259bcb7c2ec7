package command

import (
	"fmt"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/unpack/site"
)

// TestWritePublic: status has every public name with its sources, what is not answered with the
// reason, and how many more there are.
func TestWritePublic(t *testing.T) {
	names := &site.PublicNames{
		Names: []site.PublicName{
			{Host: "a.example", Path: "/x", Set: "one", Source: "files"},
			{Host: "a.example", Path: "/", Set: "one", Source: "files"},
			{Host: "b.example", Path: "/", Set: "two", Source: "apt"},
		},
		Unanswered: []site.Unanswered{{Host: "c.example", Path: "/y", Reason: "two sources have it", Claims: []site.Claim{{Set: "one", Source: "p"}, {Set: "one", Source: "q"}}}},
		LeftOut:    3,
	}
	var out strings.Builder
	writePublic(&out, names)
	for _, want := range []string{"a.example", "2 prefixes: files of one", "b.example", "1 prefix: apt of two", "public name c.example/y: not answered: two sources have it (p of one, q of one)\n", "does not answer for 3 public addresses beyond what one set may have"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	names = &site.PublicNames{}
	for i := range maxStatusNames + 2 {
		names.Names = append(names.Names, site.PublicName{Host: fmt.Sprintf("h%03d.example", i), Path: "/"})
	}
	out.Reset()
	writePublic(&out, names)
	if !strings.Contains(out.String(), "and 2 more, in /"+site.HostsPath) || strings.Contains(out.String(), "h200.example") {
		t.Errorf("many names:\n%s", out.String())
	}
	out.Reset()
	writePublic(&out, nil)
	if out.Len() > 0 {
		t.Errorf("a mirror of before: %q", out.String())
	}
}
