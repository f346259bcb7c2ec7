package deb

import (
	"fmt"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
)

// relationFields are those whose relations apt reads into its cache. It knows no package
// of an index in which one of them cannot be read.
var relationFields = [...]string{"Breaks", "Conflicts", "Depends", "Enhances", "Pre-Depends", "Provides", "Recommends", "Replaces", "Suggests"}

// CheckForClient refuses a stanza of an index for which apt rejects the whole index, and
// names the package. apt is stricter than ParseRelations in some things and less strict in
// others; this follows what debListParser::ParseDepends of apt 2.6 does, and a test
// compares the two. Errors match bundle.ErrMalformed.
func (p *Package) CheckForClient() error {
	var f relationFault
	for name, value := range p.Fields() {
		f.look(name, value)
	}
	return f.of(p)
}

// relationFault is the first field of a stanza that apt cannot read.
type relationFault struct{ field, bad string }

// look checks a field, unless there is a fault already.
func (f *relationFault) look(name, value string) {
	if f.field != "" || len(name) < len("Breaks") || len(name) > len("Pre-Depends") {
		return
	}
	for _, known := range relationFields {
		if len(name) == len(known) && strings.EqualFold(name, known) {
			if bad, ok := readableRelations(value); !ok {
				f.field, f.bad = known, bad
			}
			return
		}
	}
}

// of returns the error of the package that has the fault; nil: there is none.
func (f *relationFault) of(p *Package) error {
	if f.field == "" {
		return nil
	}
	return fmt.Errorf("package %s: field %s: %.80q: apt cannot read it, and rejects the whole index: %w", p.ID(), f.field, f.bad, bundle.ErrMalformed)
}

// shortest is how much apt wants after an opening bracket before it looks at it.
const shortest = len(">=1") + 1

// afterBlanks returns text without what isspace of C counts as blanks in front. It is called
// for each relation of an index, and strings.TrimLeft first makes a set of the characters.
func afterBlanks(text string) string {
	for text != "" && (text[0] == ' ' || '\t' <= text[0] && text[0] <= '\r') {
		text = text[1:]
	}
	return text
}

// readableRelations reports whether apt reads a list of relations to its end; otherwise
// bad is what is left of it at the relation that it does not read.
func readableRelations(value string) (bad string, ok bool) {
	for rest := afterBlanks(value); rest != ""; {
		next, ok := afterRelation(rest)
		if !ok {
			return rest, false
		}
		rest = next
	}
	return "", true
}

// afterRelation returns the text after a relation and its separator.
func afterRelation(text string) (rest string, ok bool) {
	end := 0
	for end < len(text) && !nameEnds[text[end]] {
		end++
	}
	if end == len(text) {
		return "", true
	}
	if end == 0 || text[end] == ')' {
		return "", false
	}
	rest = afterBlanks(text[end:])
	if strings.HasPrefix(rest, "(") {
		inner := afterBlanks(rest[1:])
		if len(inner) < shortest {
			return "", false
		}
		inner = afterBlanks(afterOperator(inner))
		closing := strings.IndexByte(inner, ')')
		if closing <= 0 {
			return "", false
		}
		rest = afterBlanks(inner[closing+1:])
	}
	if rest == "" {
		return "", true
	}
	if rest[0] != ',' && rest[0] != '|' {
		return "", false
	}
	return afterBlanks(rest[1:]), true
}

// nameEnds are the characters that end a package's name.
var nameEnds = [256]bool{
	' ': true, '\t': true, '\n': true, '\v': true, '\f': true, '\r': true,
	'(': true, ')': true, ',': true, '|': true, '[': true, ']': true, '<': true, '>': true,
}

// afterOperator returns what follows a comparison: "<", "<=", "<<", ">", ">=", ">>", "="
// or nothing, which apt takes for "=".
func afterOperator(text string) string {
	switch text[0] {
	case '<', '>':
		if text[1] == '=' || text[1] == text[0] {
			return text[2:]
		}
		return text[1:]
	case '=', '!':
		return text[1:]
	}
	return text
}
