package sources

import (
	"bufio"
	"errors"
	"io"
	"iter"
	"path/filepath"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/strictyaml"
)

// maxLine bounds a line of a list that the operator wrote; the longest URL has a few kilobytes.
const maxLine = 64 << 10 // bytes

// Within returns where a file of the spec is: dir is the folder of the spec file, which
// relative names begin at. No name is no file.
func Within(dir, name string) string {
	if name == "" || filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(dir, name)
}

// Listed is a line of a list, with its place.
type Listed struct {
	Pos  strictyaml.Pos
	Text string
}

// Lines reads a list that the operator wrote: a URL or a reference on each line, as Kubespray's
// and Zarf's lists have them. A '#' at the beginning or after a blank begins a comment. Lines
// without anything else are left out, and so is a byte order mark, which may be at a line's
// beginning where files were joined. name is the file's name in errors.
func Lines(r io.Reader, name string) iter.Seq2[Listed, error] {
	return func(yield func(Listed, error) bool) {
		pos := strictyaml.Pos{File: name, Line: 1, Column: 1}
		lines := bufio.NewScanner(r)
		lines.Buffer(nil, maxLine)
		for ; lines.Scan(); pos.Line++ {
			text, _, _ := strings.Cut(" "+strings.TrimPrefix(lines.Text(), "\ufeff"), " #")
			if text = strings.TrimSpace(text); text != "" && !yield(Listed{pos, text}, nil) {
				return
			}
		}
		switch err := lines.Err(); {
		case errors.Is(err, bufio.ErrTooLong):
			yield(Listed{Pos: pos}, pos.Errorf("a line of more than %s", bundle.Count(maxLine, "byte")))
		case err != nil:
			yield(Listed{Pos: pos}, pos.Wrap(err))
		}
	}
}
