package site

import (
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
)

// TestPagesArePlain: names of a mirror of an earlier program, which a bundle may not have any more,
// draw nothing on a terminal and turn no line around.
func TestPagesArePlain(t *testing.T) {
	in := input(repo("r", "files", "h/x"))
	in.Sets[0].Overrides = []string{"a\x1b[2Jb\u202ec\u009bd"}
	in.Sets[0].Repositories[0].Name = "evil\u2066\x07"
	dir, _ := write(t, in)
	for _, name := range []string{"index.html", "_gapbundle/inventory.txt"} {
		text := read(t, dir, name)
		for line := range strings.Lines(text) {
			if err := bundle.CheckText(strings.NewReplacer("\n", "", "\t", "").Replace(line)); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if !strings.Contains(text, `evil\u2066\u0007`) {
			t.Errorf("%s does not show the name: %s", name, text)
		}
	}
}
