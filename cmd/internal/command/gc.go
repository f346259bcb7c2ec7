package command

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/unpack"
)

func mirrorGC(c *cli.Context, o *Output, m *unpack.Mirror) error {
	r, err := m.GC(c.Context, unpack.GCOptions{Keep: c.Int("keep"), Force: c.Bool("force")})
	if err != nil {
		return err
	}
	o.Show(r, func(w io.Writer) {
		fmt.Fprintf(w, "%sremoved %s, %s, %s, %s; kept %s, %s\n", WouldBe(c),
			bundle.Count(len(r.Generations), "generation"), bundle.Count(r.Trees, "tree"), bundle.Count(r.Blobs, "blob"), HumanBytes(r.Bytes), bundle.Count(r.KeptBlobs, "blob"), HumanBytes(r.KeptBytes))
		for _, line := range whyKept(r) {
			fmt.Fprintln(w, "  "+line)
		}
	})
	return nil
}

// whyKept reports for what generations and content gc left what it left.
func whyKept(r *unpack.GCResult) []string {
	count := map[unpack.KeepReason]int{}
	var first time.Time
	for _, k := range r.Kept {
		count[k.Why]++
		if !k.Until.IsZero() && (first.IsZero() || k.Until.Before(first)) {
			first = k.Until
		}
	}
	var lines []string
	add := func(n int, one, many, rest string) {
		switch {
		case n == 1:
			lines = append(lines, "kept "+one+rest)
		case n > 1:
			lines = append(lines, fmt.Sprintf("kept %d %s%s", n, many, rest))
		}
	}
	add(count[unpack.KeptNewest], "the newest generation", "newest generations", "")
	add(count[unpack.KeptPrevious], "the generation before, which clients fall back to", "", "")
	add(count[unpack.KeptYoung], "a generation that was replaced less than a day ago", "generations that were replaced less than a day ago",
		": the oldest may go at "+first.Format("2006-01-02 15:04 MST"))
	if len(r.Pending) > 0 {
		lines = append(lines, "kept what has arrived of "+strings.Join(r.Pending, ", ")+" (gapbundle forget --pending drops it)")
	}
	return append(lines, "kept, of each set, what its newest bundle and its newest receipt describe: the next delta leaves that out")
}
