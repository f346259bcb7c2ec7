package oci

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/gapbundle/gapbundle/internal/strictyaml"
)

// maxListLine bounds a line of a list of references: the longest reference
// has less than a kilobyte.
const maxListLine = 4 << 10 // bytes

// line is a reference of a list, with its place.
type line struct {
	pos  strictyaml.Pos
	text string
}

func readList(file, name string) ([]line, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return parseList(f, name)
}

// parseList reads one reference per line, as Kubespray's and Zarf's lists have
// them. A '#' at the beginning or after a blank begins a comment.
func parseList(r io.Reader, name string) ([]line, error) {
	var all []line
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxListLine)
	for n := 1; lines.Scan(); n++ {
		text, _, _ := strings.Cut(" "+strings.TrimPrefix(lines.Text(), "\ufeff"), " #")
		if text = strings.TrimSpace(text); text != "" {
			all = append(all, line{strictyaml.Pos{File: name, Line: n, Column: 1}, text})
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%s: line %d: %w", name, len(all)+1, err)
	}
	return all, nil
}
