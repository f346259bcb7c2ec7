package marker

import (
	"errors"
	"fmt"
	"strings"

	"github.com/gapbundle/gapbundle/internal/spelling"
	"github.com/gapbundle/gapbundle/sources/pypi/pep440"
)

const (
	opIn    = "in"
	opNotIn = "not in"
)

// parser reads by recursive descent:
//
//	or     = and { "or" and }
//	and    = term { "and" term }
//	term   = "(" or ")" | operand operator operand
type parser struct {
	text string
	at   int
}

func (p *parser) marker() (*Marker, error) {
	if len(p.text) > MaxLength {
		return nil, fmt.Errorf("%s, want at most %d", spelling.Count(len(p.text), "byte"), MaxLength)
	}
	p.spaces()
	from := p.at
	root, err := p.or(0)
	if err != nil {
		return nil, err
	}
	if p.at < len(p.text) {
		return nil, fmt.Errorf("%.40q after its end", p.text[p.at:])
	}
	return &Marker{text: strings.TrimRight(p.text[from:], blanks), root: root}, nil
}

func (p *parser) or(depth int) (node, error) {
	return p.list(true, "or", func() (node, error) {
		return p.list(false, "and", func() (node, error) { return p.term(depth) })
	})
}

// list reads what each reads, separated by word.
func (p *parser) list(isOr bool, word string, each func() (node, error)) (node, error) {
	first, err := each()
	if err != nil {
		return first, err
	}
	all := node{any: isOr, parts: []node{first}}
	for p.word(word) {
		next, err := each()
		if err != nil {
			return next, err
		}
		all.parts = append(all.parts, next)
	}
	if len(all.parts) == 1 {
		return first, nil
	}
	return all, nil
}

func (p *parser) term(depth int) (node, error) {
	if depth > maxDepth {
		return node{}, fmt.Errorf("more than %d parentheses within each other", maxDepth)
	}
	if p.skip("(") {
		n, err := p.or(depth + 1)
		if err == nil && !p.skip(")") {
			err = errors.New("no closing parenthesis")
		}
		return n, err
	}
	left, leftIs, err := p.operand()
	if err != nil {
		return node{}, err
	}
	op, err := p.operator()
	if err != nil {
		return node{}, err
	}
	right, rightIs, err := p.operand()
	if err != nil {
		return node{}, err
	}
	if leftIs == rightIs {
		return node{}, fmt.Errorf("%s %s %s: want a variable and a text in quotes", left, op, right)
	}
	c := &comparison{variable: left, op: op, literal: right}
	if rightIs {
		c = &comparison{variable: right, op: op, literal: left, reversed: true}
	}
	return node{comparison: c}, c.check()
}

// check refuses comparisons that have no meaning.
func (c *comparison) check() error {
	isSet := c.variable == extrasVariable || c.variable == groupsVariable
	isMember := c.reversed && (c.op == opIn || c.op == opNotIn)
	switch {
	case isSet && !isMember:
		return fmt.Errorf("%s is a set: want \"name\" in %s", c.variable, c.variable)
	case (c.op == "~=" || c.op == "===") && !isVersion(c.variable):
		return fmt.Errorf("%s %s %q: not a comparison of versions", c.variable, c.op, c.literal)
	}
	if (c.op == "~=" || c.op == "===") && !c.reversed {
		_, err := pep440.ParseSpecifier(c.op + c.literal)
		return err
	}
	return nil
}

// operand reads a variable's name or a text in quotes.
func (p *parser) operand() (text string, isVariable bool, err error) {
	p.spaces()
	rest := p.text[p.at:]
	if rest == "" {
		return "", false, errors.New("ends too early")
	}
	if quote := rest[0]; quote == '"' || quote == '\'' {
		end := strings.IndexByte(rest[1:], quote)
		if end < 0 {
			return "", false, errors.New("no closing quote")
		}
		p.at += end + 2
		p.spaces()
		return rest[1 : 1+end], false, nil
	}
	end := 0
	for end < len(rest) && (isNameByte(rest[end]) || rest[end] == '.') {
		end++
	}
	name, ok := variables[rest[:end]]
	if !ok {
		return "", false, fmt.Errorf("no variable of markers: %.40q", rest)
	}
	p.at += end
	p.spaces()
	return name, true, nil
}

func isNameByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_'
}

func (p *parser) operator() (string, error) {
	for _, op := range [...]string{"===", "==", "~=", "!=", "<=", ">=", "<", ">"} {
		if p.skip(op) {
			return op, nil
		}
	}
	if p.word("in") {
		return opIn, nil
	}
	if p.word("not") && p.word("in") {
		return opNotIn, nil
	}
	return "", fmt.Errorf("no operator: %.40q", p.text[p.at:])
}

const blanks = " \t"

func (p *parser) spaces() {
	for p.at < len(p.text) && strings.IndexByte(blanks, p.text[p.at]) >= 0 {
		p.at++
	}
}

// skip reads token and the spaces around it, if it is next.
func (p *parser) skip(token string) bool {
	p.spaces()
	if !strings.HasPrefix(p.text[p.at:], token) {
		return false
	}
	p.at += len(token)
	p.spaces()
	return true
}

// word works like skip, for a token that has to end there.
func (p *parser) word(word string) bool {
	p.spaces()
	end := p.at + len(word)
	if !strings.HasPrefix(p.text[p.at:], word) || end < len(p.text) && isNameByte(p.text[end]) {
		return false
	}
	return p.skip(word)
}
