//go:build linux

package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// How a row compares to the section's first one.
type relation int

const (
	baseline relation = iota // the row that others are divided by
	against                  // divided by the section's baseline
	alone                    // nothing to compare with
)

// table is what is printed at the end of a comparison.
type table struct {
	title string
	runs  int
	limit int64 // bytes of memory a gapbundle process may have at its peak
	rows  []row
}

type row struct {
	section, what string
	relation      relation
	usage
}

func (t *table) section(name string) { t.rows = append(t.rows, row{section: name}) }

// row runs a command as often as asked and keeps the run with the middle wall time.
func (t *table) row(what string, r relation, run func(n int) (usage, error)) error {
	all := make([]usage, 0, t.runs)
	for n := range t.runs {
		u, err := run(n)
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		all = append(all, u)
	}
	slices.SortFunc(all, func(a, b usage) int { return int(a.wall - b.wall) })
	t.rows = append(t.rows, row{what: what, relation: r, usage: all[(len(all)-1)/2]})
	return nil
}

func (t *table) print(out io.Writer) error {
	var b strings.Builder
	line := func(columns ...any) { fmt.Fprintf(&b, "%-26s %9s %6s %9s %6s %12s %10s\n", columns...) }
	fmt.Fprintf(&b, "\n%s (middle of %d; a gapbundle process may take %s of memory)\n\n", t.title, t.runs, mega(t.limit))
	line("", "wall", "times", "user+sys", "cores", "peak memory", "written")
	var base time.Duration
	for _, r := range t.rows {
		if r.section != "" {
			fmt.Fprintf(&b, "%s\n", r.section)
			continue
		}
		times := ""
		switch r.relation {
		case baseline:
			base, times = r.wall, "1.00"
		case against:
			times = fmt.Sprintf("%.2f", r.wall.Seconds()/base.Seconds())
		case alone:
		}
		line("  "+r.what, fmt.Sprintf("%.2f s", r.wall.Seconds()), times, fmt.Sprintf("%.2f s", r.cpu.Seconds()),
			fmt.Sprintf("%.2f", r.cpu.Seconds()/r.wall.Seconds()), mega(r.rss), mega(r.written))
	}
	_, err := io.WriteString(out, b.String())
	return err
}

func mega(n int64) string { return fmt.Sprintf("%.0f MB", float64(n)/1e6) }

// memoryLimit is the bound that the project promises: 160 MiB, and 64 bytes
// for each distinct blob.
func memoryLimit(blobs int64) int64 { return 160<<20 + 64*blobs }
