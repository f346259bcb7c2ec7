//go:build linux

package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/gapbundle/gapbundle/internal/spelling"
)

// How a row compares to the section's first one.
type relation int

const (
	baseline relation = iota // the row that others are divided by
	against                  // divided by the section's baseline
	alone                    // nothing to compare with
)

// limit is what a row aims at; 0: nothing.
type limit struct {
	wall, cpu float64       // times the baseline's
	memory    float64       // peak memory, times the baseline's
	span      time.Duration // wall time by itself
	rate      float64       // least bytes of content a second
	rss       int64         // peak memory, bytes
	least     float64       // times the baseline's wall time at least: another program's
}

// table is what is printed at the end of a comparison.
type table struct {
	title   string
	runs    int
	memory  int64 // bytes a gapbundle process may have at its peak
	content int64 // bytes, for rates
	rows    []row
	from    int // the first row that was not measured
}

type row struct {
	section, what string
	relation      relation
	limit         limit
	run           func(round int) (usage, error)
	rounds        []usage
	wall, cpu     float64 // medians of the ratios of each round
	memory        float64 // the same of peak memory
	usage                 // of the round with the middle wall time
}

// section measures the rows before it and begins another part.
func (t *table) section(name string) { t.rows = append(t.rows, row{section: name}) }

// row adds a command to the section.
func (t *table) row(what string, r relation, l limit, run func(round int) (usage, error)) {
	t.rows = append(t.rows, row{what: what, relation: r, limit: l, run: run})
}

// measure runs the rows that were added since the last time, each once in every round, in
// turn: what the machine does besides meets all of them alike. A ratio is that of one
// round.
func (t *table) measure() error {
	rows := t.rows[t.from:]
	t.from = len(t.rows)
	for round := range t.runs {
		for i := range rows {
			if rows[i].run == nil {
				continue
			}
			u, err := rows[i].run(round)
			if err != nil {
				return fmt.Errorf("%s: %w", rows[i].what, err)
			}
			rows[i].rounds = append(rows[i].rounds, u)
		}
	}
	var base *row
	for i := range rows {
		if r := &rows[i]; r.run != nil {
			if r.relation == baseline {
				base = r
			}
			r.settle(base)
		}
	}
	return nil
}

// settle takes the medians of the rounds.
func (r *row) settle(base *row) {
	if r.relation != alone {
		r.wall = median(r.rounds, base.rounds, func(u usage) float64 { return u.wall.Seconds() })
		r.cpu = median(r.rounds, base.rounds, func(u usage) float64 { return u.cpu.Seconds() })
		r.memory = median(r.rounds, base.rounds, func(u usage) float64 { return float64(u.rss) })
	}
	sorted := slices.SortedFunc(slices.Values(r.rounds), func(a, b usage) int { return cmp.Compare(a.wall, b.wall) })
	r.usage = sorted[(len(sorted)-1)/2]
}

// median returns the middle of the ratios a/b of all rounds.
func median(a, b []usage, of func(usage) float64) float64 {
	ratios := make([]float64, len(a))
	for i := range a {
		ratios[i] = of(a[i]) / max(of(b[i]), 1e-9)
	}
	slices.Sort(ratios)
	return ratios[(len(ratios)-1)/2]
}

func (t *table) print(out io.Writer) error {
	var b strings.Builder
	line := func(columns ...any) { fmt.Fprintf(&b, "%-30s %9s %6s %9s %6s %6s %12s %10s  %s\n", columns...) }
	fmt.Fprintf(&b, "\n%s (%s, in turn; a gapbundle process may take %s of memory)\n\n", t.title, spelling.Count(t.runs, "round"), mega(t.memory))
	line("", "wall", "times", "user+sys", "times", "cores", "peak memory", "written", "aim")
	for _, r := range t.rows {
		if r.section != "" {
			fmt.Fprintf(&b, "%s\n", r.section)
			continue
		}
		if len(r.rounds) == 0 {
			continue // something failed before
		}
		wall, cpu := "", ""
		if r.relation != alone {
			wall, cpu = fmt.Sprintf("%.2f", r.wall), fmt.Sprintf("%.2f", r.cpu)
		}
		line("  "+r.what, fmt.Sprintf("%.2f s", r.usage.wall.Seconds()), wall, fmt.Sprintf("%.2f s", r.usage.cpu.Seconds()), cpu,
			fmt.Sprintf("%.2f", r.usage.cpu.Seconds()/r.usage.wall.Seconds()), mega(r.rss), mega(r.written), t.aim(r))
	}
	_, err := io.WriteString(out, b.String())
	return err
}

// aim reports what a row aims at, and whether it got there.
func (t *table) aim(r row) string {
	var parts []string
	add := func(reached bool, format string, a ...any) {
		word := "missed"
		if reached {
			word = "reached"
		}
		parts = append(parts, fmt.Sprintf(format, a...)+": "+word)
	}
	if l := r.limit.wall; l > 0 {
		add(r.wall <= l, "wall <= %.2f", l)
	}
	if l := r.limit.cpu; l > 0 {
		add(r.cpu <= l, "cpu <= %.2f", l)
	}
	if l := r.limit.memory; l > 0 {
		add(r.memory <= l, "memory %.2f <= %.2f", r.memory, l)
	}
	if l := r.limit.span; l > 0 {
		add(r.usage.wall <= l, "<= %v", l)
	}
	if l := r.limit.rss; l > 0 {
		add(r.rss <= l, "<= %s", mega(l))
	}
	if l := r.limit.least; l > 0 {
		add(r.wall >= l, "wall >= %.2f", l)
	}
	if l := r.limit.rate; l > 0 {
		rate := float64(t.content) / r.usage.wall.Seconds()
		add(rate >= l, "%.2f GB/s >= %.2f", rate/1e9, l/1e9)
	}
	return strings.Join(parts, ", ")
}

func mega(n int64) string { return fmt.Sprintf("%.0f MB", float64(n)/1e6) }

// memoryLimit returns the bound that the project promises: 160 MiB, and 64 bytes
// for each distinct blob.
func memoryLimit(blobs int64) int64 { return 160<<20 + 64*blobs }
