package strictyaml

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"github.com/gapbundle/gapbundle/bundle"
)

const (
	// MaxSize bounds a document, which is held in memory several times over
	// while it is parsed.
	MaxSize = 16 << 20 // bytes
	// maxDepth bounds nesting, because the parser recurses: a line of a
	// million dashes must not exhaust the stack. In block style it is the
	// column, which grows with the depth.
	maxDepth = 200
)

// Parse reads one document, a mapping. file is its name in errors. Errors
// match bundle.ErrUsage.
func Parse(file string, b []byte) (*Node, error) {
	top := Pos{File: file, Line: 1, Column: 1}
	if len(b) > MaxSize {
		return nil, top.Errorf("%s, at most %d", bundle.Count(len(b), "byte"), MaxSize)
	}
	b = bytes.TrimPrefix(b, []byte("\ufeff"))
	b = bytes.ReplaceAll(b, []byte("\r\n"), []byte("\n")) // the parser counts lines wrongly otherwise
	if err := checkText(file, b); err != nil {
		return nil, err
	}
	tokens := lexer.Tokenize(string(b))
	if err := checkTokens(file, b, tokens); err != nil {
		return nil, err
	}
	tree, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		return nil, syntaxError(file, b, err)
	}
	if len(tree.Docs) == 0 || tree.Docs[0].Body == nil {
		return nil, top.Errorf("empty")
	}
	if len(tree.Docs) > 1 {
		return nil, place(file, tree.Docs[1].Start).Errorf("a second document; want one")
	}
	c := converter{file: file}
	n := c.node(tree.Docs[0].Body)
	if n.form != mapping && len(c.errs) == 0 {
		c.errs = append(c.errs, n.pos.Errorf("want a mapping of keys and values, got %s", n.what()))
	}
	return n, Join(c.errs...)
}

// checkText refuses what no text editor should have written.
func checkText(file string, b []byte) error {
	line, start := 1, 0
	for i := 0; i < len(b); {
		r, size := utf8.DecodeRune(b[i:])
		switch {
		case r == '\n':
			line, start = line+1, i+1
		case r == utf8.RuneError && size == 1:
			return Pos{file, line, 1 + utf8.RuneCount(b[start:i])}.Errorf("byte 0x%02x is not UTF-8", b[i])
		case r < 0x20 && r != '\t', r == 0x7f:
			return Pos{file, line, 1 + utf8.RuneCount(b[start:i])}.Errorf("control character %U", r)
		}
		i += size
	}
	return nil
}

// checkTokens refuses what is valid YAML and not wanted, before the parser
// defines it.
func checkTokens(file string, b []byte, tokens token.Tokens) error {
	var errs []error
	comments := map[int]int{} // line: column
	depth := 0
	for _, t := range tokens {
		p := place(file, t)
		switch t.Type {
		case token.CommentType:
			comments[p.Line] = p.Column
		case token.AnchorType, token.AliasType:
			errs = append(errs, p.Errorf("anchors and aliases are not allowed: write the value out, or put it into defaults"))
		case token.MergeKeyType:
			errs = append(errs, p.Errorf("merge keys are not allowed: write the entries out, or put them into defaults"))
		case token.TagType:
			errs = append(errs, p.Errorf("tags are not allowed"))
		case token.DirectiveType:
			errs = append(errs, p.Errorf("directives are not allowed"))
		case token.MappingKeyType:
			errs = append(errs, p.Errorf("keys by '?' are not allowed"))
		case token.SequenceStartType, token.MappingStartType:
			if depth++; depth > maxDepth {
				return p.Errorf("nested deeper than %d", maxDepth)
			}
		case token.SequenceEndType, token.MappingEndType:
			depth--
		case token.SequenceEntryType, token.MappingValueType:
			if gluedColon(t) {
				errs = append(errs, p.Errorf("a ':' without a space after it: put text that holds one in quotes"))
			}
			if t.Position.IndentNum > maxDepth || t.Type == token.SequenceEntryType && p.Column > maxDepth {
				return p.Errorf("nested deeper than column %d", maxDepth)
			}
		}
	}
	for i, line := range bytes.Split(b, []byte{'\n'}) {
		at := bytes.IndexByte(line, '\t')
		if at < 0 {
			continue
		}
		column := 1 + utf8.RuneCount(line[:at])
		if begin, ok := comments[i+1]; !ok || begin > column {
			errs = append(errs, Pos{file, i + 1, column}.Errorf("a tab: use spaces (inside quotes: \\t)"))
		}
	}
	return Join(errs...)
}

// gluedColon finds the colon of "[http://a.example:80/x]", which YAML takes
// for a part of the text and the parser for that of a key.
func gluedColon(t *token.Token) bool {
	return t.Type == token.MappingValueType && t.Prev != nil && t.Prev.Type == token.StringType &&
		t.Next != nil && t.Next.Position.Line == t.Position.Line && t.Next.Position.Column == t.Position.Column+1
}

func place(file string, t *token.Token) Pos {
	if t == nil || t.Position == nil {
		return Pos{File: file, Line: 1, Column: 1}
	}
	return Pos{File: file, Line: t.Position.Line, Column: t.Position.Column}
}

// converter turns the parser's tree into nodes and collects what it refuses.
type converter struct {
	file string
	errs []error
}

func (c *converter) node(from ast.Node) *Node {
	n := &Node{pos: place(c.file, from.GetToken())}
	switch v := from.(type) {
	case *ast.NullNode:
	case *ast.StringNode:
		n.form, n.text = text, v.Value
	case *ast.LiteralNode:
		n.form, n.text = text, v.Value.Value
	case *ast.BoolNode:
		n.form, n.text = boolean, fmt.Sprint(v.Value)
	case *ast.IntegerNode:
		n.form, n.text = integer, strings.TrimSpace(v.Token.Value)
	case *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		n.form, n.text = float, strings.TrimSpace(from.GetToken().Value)
	case *ast.SequenceNode:
		n.form = sequence
		for _, item := range v.Values {
			n.items = append(n.items, c.node(item))
		}
	case *ast.MappingNode:
		c.mapping(n, v.Values)
	case *ast.MappingValueNode:
		c.mapping(n, []*ast.MappingValueNode{v})
	default:
		c.errs = append(c.errs, n.pos.Errorf("%s is not allowed", strings.ToLower(from.Type().YAMLName())))
	}
	return n
}

func (c *converter) mapping(n *Node, values []*ast.MappingValueNode) {
	n.form = mapping
	if len(values) > 0 {
		n.pos = place(c.file, values[0].Key.GetToken())
	}
	seen := make(map[string]Pos, len(values))
	for _, v := range values {
		key := c.node(v.Key)
		if key.form != text {
			c.errs = append(c.errs, key.pos.Errorf("key: want text, got %s; put it in quotes", key.what()))
			continue
		}
		if first, ok := seen[key.text]; ok {
			c.errs = append(c.errs, key.pos.Errorf("key %q: is in line %d already", key.text, first.Line))
			continue
		}
		seen[key.text] = key.pos
		n.entries = append(n.entries, entry{key: key.text, pos: key.pos, value: c.node(v.Value)})
	}
}
