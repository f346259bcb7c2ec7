package command

import (
	"io"
	"strings"
	"unicode/utf8"
)

// flowingTable aligns columns without holding the table: the first rows decide how wide
// the columns are, and a later cell that is wider moves its own row alone.
type flowingTable struct {
	w      io.Writer
	first  [][]string // rows that wait for the widths
	widths []int      // set when the first rows are written
}

const (
	// flowingRows is how many rows decide the widths of a flowingTable.
	flowingRows = 500
	// flowingWidth is the most that a column but the last is padded to, in characters.
	flowingWidth = 60
)

// row adds a row; all have as many cells.
func (t *flowingTable) row(cells ...string) error {
	if t.widths == nil {
		if t.first = append(t.first, cells); len(t.first) < flowingRows {
			return nil
		}
		return t.flush()
	}
	return t.write(cells)
}

// flush writes what waits.
func (t *flowingTable) flush() error {
	if t.widths != nil || len(t.first) == 0 {
		return nil
	}
	t.widths = make([]int, len(t.first[0]))
	for _, cells := range t.first {
		for i, cell := range cells {
			t.widths[i] = min(max(t.widths[i], utf8.RuneCountInString(cell)), flowingWidth)
		}
	}
	for _, cells := range t.first {
		if err := t.write(cells); err != nil {
			return err
		}
	}
	t.first = nil
	return nil
}

func (t *flowingTable) write(cells []string) error {
	var line strings.Builder
	for i, cell := range cells {
		line.WriteString(cell)
		if i < len(cells)-1 {
			line.WriteString(strings.Repeat(" ", max(0, t.widths[i]-utf8.RuneCountInString(cell))+2))
		}
	}
	line.WriteByte('\n')
	_, err := io.WriteString(t.w, line.String())
	return err
}
