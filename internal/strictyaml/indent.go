package strictyaml

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/gapbundle/gapbundle/bundle"
)

// syntaxError returns err with its place, and with the depths of lines where these are what
// is wrong: the parser calls that "value is not allowed in this context".
func syntaxError(file string, text []byte, err error) error {
	var known yaml.Error
	if !errors.As(err, &known) {
		return Pos{File: file, Line: 1, Column: 1}.Errorf("%w", err)
	}
	pos := place(file, known.GetToken())
	if line, what := misplaced(text, pos.Line); line > 0 {
		return Pos{File: file, Line: line, Column: 1}.Errorf("%s", what)
	}
	return pos.Errorf("%s", known.GetMessage())
}

// level is a depth at which lines of blocks begin, in spaces, and the first line that
// began there.
type level struct {
	depth, line int
	// open: a key without a value, or a dash alone: deeper lines belong to it.
	open bool
}

// misplaced looks for the first line up to the given one, or the one after it, whose depth
// is none that it may have, and describes it. The line is 0 if all depths are right.
func misplaced(text []byte, to int) (line int, what string) {
	var levels []level // of the blocks that are open, the deepest last
	literal := -1      // the depth of the key of a literal block ("|"); -1: in none
	for i, raw := range bytes.Split(text, []byte{'\n'}) {
		trimmed := strings.TrimLeft(string(raw), " ")
		depth := len(raw) - len(trimmed)
		if literal >= 0 && (trimmed == "" || depth > literal) || trimmed == "" || trimmed[0] == '#' {
			continue
		}
		literal = -1
		if i > to {
			return 0, ""
		}
		if wrong := fits(levels, depth, i+1); wrong != "" {
			return i + 1, wrong
		}
		levels = slices.DeleteFunc(levels, func(l level) bool { return l.depth > depth })
		levels = begin(levels, trimmed, depth, i+1)
		if end := strings.TrimRight(trimmed, " "); strings.HasSuffix(end, ": |") || strings.HasSuffix(end, ": >") || strings.HasSuffix(end, ": |-") {
			literal = depth
		}
	}
	return 0, ""
}

// fits returns what is wrong with a line of a depth below blocks that are open.
func fits(levels []level, depth, line int) string {
	if len(levels) == 0 {
		return ""
	}
	last := levels[len(levels)-1]
	at := slices.IndexFunc(levels, func(l level) bool { return l.depth >= depth })
	switch {
	case at >= 0 && levels[at].depth == depth:
		return ""
	case at < 0 && last.open:
		return ""
	case at < 0:
		return fmt.Sprintf("indented by %s, and line %d, which it follows, by %d: what belongs together begins in one column", spaces(depth), last.line, last.depth)
	case at == 0:
		return fmt.Sprintf("indented by %s, and line %d by %d: what belongs together begins in one column", spaces(depth), levels[0].line, levels[0].depth)
	}
	shallow, deep := levels[at-1], levels[at]
	return fmt.Sprintf("indented by %s: it can belong to line %d with %d or to line %d with %d", spaces(depth), shallow.line, shallow.depth, deep.line, deep.depth)
}

// begin adds the levels that a line opens: "- name: x" is one of the list and one of
// the mapping in it.
func begin(levels []level, text string, depth, line int) []level {
	add := func(l level) {
		if i := slices.IndexFunc(levels, func(o level) bool { return o.depth == l.depth }); i >= 0 {
			levels[i] = l
			return
		}
		levels = append(levels, l)
	}
	for strings.HasPrefix(text, "- ") || text == "-" {
		rest := strings.TrimLeft(text[1:], " ")
		nested := rest == "-" || strings.HasPrefix(rest, "- ") || strings.HasSuffix(rest, ":") || strings.Contains(rest, ": ")
		add(level{depth, line, !nested})
		if !nested {
			return levels
		}
		depth, text = depth+len(text)-len(rest), rest
	}
	if at := strings.Index(text, " #"); at >= 0 {
		text = text[:at]
	}
	text = strings.TrimRight(text, " ")
	// The lines of a value in brackets or quotes may have any depth: open is the safe side.
	open := strings.HasSuffix(text, ":") || !strings.Contains(text, ": ") || strings.Count(text, "[")+strings.Count(text, "{") > strings.Count(text, "]")+strings.Count(text, "}") || strings.Count(text, `"`)%2 == 1
	add(level{depth, line, open})
	return levels
}

func spaces(n int) string {
	if n == 1 {
		return "1 space"
	}
	return bundle.Count(n, "space")
}
