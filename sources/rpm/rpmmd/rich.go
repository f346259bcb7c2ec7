package rpmmd

import (
	"errors"
	"fmt"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
)

// Bounds of a rich dependency. They are there so that a text made to exhaust
// the stack or the time of those who walk the tree does not; real ones have
// some 4 KB, hundreds of elements, and a depth of 4.
const (
	maxRich      = 64 << 10 // bytes
	maxRichDepth = 32
	maxRichSize  = 4096 // elements
)

// RichOp joins the elements of a rich dependency.
type RichOp uint8

// The operators of rpm-richdeps. If and Unless have two elements, or three
// with an else; With and Without ask one package for all.
const (
	Leaf RichOp = iota
	And
	Or
	If
	Unless
	With
	Without
)

func parseRichOp(word string) (op RichOp, ok bool) {
	switch word {
	case "and":
		return And, true
	case "or":
		return Or, true
	case "if":
		return If, true
	case "unless":
		return Unless, true
	case "with":
		return With, true
	case "without":
		return Without, true
	}
	return Leaf, false
}

// String returns the word between elements.
func (o RichOp) String() string {
	return [...]string{"", "and", "or", "if", "unless", "with", "without"}[o]
}

// Rich is a rich dependency, or an element of one.
type Rich struct {
	Op       RichOp
	Relation *Relation // of a Leaf
	// Args are two or more elements. For If and Unless: what is wanted, the
	// condition, and perhaps what is wanted otherwise.
	Args []*Rich
}

// String returns the dependency as rpm writes it.
func (r *Rich) String() string {
	var b strings.Builder
	r.write(&b)
	return b.String()
}

func (r *Rich) write(b *strings.Builder) {
	if r.Op == Leaf {
		b.WriteString(r.Relation.String())
		return
	}
	b.WriteByte('(')
	for i, arg := range r.Args {
		switch {
		case i == 2 && (r.Op == If || r.Op == Unless):
			b.WriteString(" else ")
		case i > 0:
			b.WriteString(" " + r.Op.String() + " ")
		}
		arg.write(b)
	}
	b.WriteByte(')')
}

// ParseRich reads a rich dependency, parentheses included, by rpm's grammar:
// elements are "name", "name op evr" or again in parentheses; "and", "or" and
// "with" may join more than two of their own; nothing else is chained. Errors
// match bundle.ErrMalformed.
func ParseRich(text string) (*Rich, error) {
	if len(text) > maxRich {
		return nil, fmt.Errorf("rich dependency %.60q: of %s, at most %d: %w", text, bundle.Count(len(text), "byte"), maxRich, bundle.ErrMalformed)
	}
	p := richParser{rest: text}
	rich, err := p.group(0)
	if err == nil && p.skip() != "" {
		err = fmt.Errorf("%.30q after its end", p.rest)
	}
	if err != nil {
		return nil, fmt.Errorf("rich dependency %.200q: %w: %w", text, err, bundle.ErrMalformed)
	}
	return rich, nil
}

type richParser struct {
	rest string
	size int
}

// skip passes over blanks, and commas, which rpm takes for such.
func (p *richParser) skip() string {
	p.rest = strings.TrimLeft(p.rest, " \t\r\n\v\f,")
	return p.rest
}

// word reads up to a blank, or a parenthesis that does not belong to it.
func (p *richParser) word() string {
	open := 0
	for i := range len(p.rest) {
		switch c := p.rest[i]; {
		case strings.IndexByte(" \t\r\n\v\f,", c) >= 0, c == ')' && open == 0:
			word := p.rest[:i]
			p.rest = p.rest[i:]
			return word
		case c == '(':
			open++
		case c == ')':
			open--
		}
	}
	word := p.rest
	p.rest = ""
	return word
}

// group reads what begins with a parenthesis.
func (p *richParser) group(depth int) (*Rich, error) {
	if !strings.HasPrefix(p.skip(), "(") {
		return nil, fmt.Errorf("%.30q instead of a parenthesis", p.rest)
	}
	if depth == maxRichDepth {
		return nil, fmt.Errorf("deeper than %d", maxRichDepth)
	}
	p.rest = p.rest[1:]
	rich := &Rich{}
	for {
		arg, err := p.element(depth)
		if err != nil {
			return nil, err
		}
		rich.Args = append(rich.Args, arg)
		if strings.HasPrefix(p.skip(), ")") {
			p.rest = p.rest[1:]
			break
		}
		if err := rich.join(p.word()); err != nil {
			return nil, err
		}
	}
	switch {
	case len(rich.Args) == 1 && rich.Op == Leaf:
		return rich.Args[0], nil
	case rich.Op == Leaf:
		return nil, errors.New("elements without an operator")
	}
	return rich, nil
}

// join looks at the operator before the next element.
func (r *Rich) join(word string) error {
	if word == "else" {
		if (r.Op != If && r.Op != Unless) || len(r.Args) != 2 {
			return errors.New("else without if or unless")
		}
		return nil
	}
	op, ok := parseRichOp(word)
	switch {
	case !ok:
		return fmt.Errorf("%.30q instead of an operator", word)
	case r.Op == Leaf:
		r.Op = op
	case r.Op != op || (op != And && op != Or && op != With):
		return fmt.Errorf("%s after %s without parentheses", op, r.Op)
	}
	return nil
}

// element reads a relation or a group.
func (p *richParser) element(depth int) (*Rich, error) {
	if p.size++; p.size > maxRichSize {
		return nil, fmt.Errorf("more than %d elements", maxRichSize)
	}
	if strings.HasPrefix(p.skip(), "(") {
		return p.group(depth + 1)
	}
	r := &Relation{Name: p.word()}
	if r.Name == "" {
		return nil, errors.New("a name is missing")
	}
	if rest := p.skip(); rest != "" && strings.IndexByte("<=>", rest[0]) >= 0 {
		sign := p.word()
		var ok bool
		if r.Op, ok = parseSign(sign); !ok {
			return nil, fmt.Errorf("operator %.10q", sign)
		}
		p.skip()
		version := p.word()
		if version == "" {
			return nil, fmt.Errorf("%.60s: a version is missing", r.Name)
		}
		var err error
		if r.EVR, err = ParseEVR(version); err != nil {
			return nil, err
		}
		if r.EVR.Version == "" {
			return nil, fmt.Errorf("%.60s: a version is missing", r.Name)
		}
	}
	if text := r.String(); strings.Count(text, "(") != strings.Count(text, ")") {
		return nil, fmt.Errorf("%.60s: a parenthesis without its other half", text) // its end would depend on blanks
	}
	return &Rich{Relation: r}, nil
}
