package requirements

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"github.com/gapbundle/gapbundle/bundle"
)

const (
	// MaxFile bounds a file, which is held in memory several times over while it is parsed.
	MaxFile = 1 << 20 // bytes
	// maxMarks bounds the keys and values of a file: the parser makes some 1,500 bytes of each.
	maxMarks = 100_000
	// maxDepth bounds how deep values are nested: the parser goes into them by recursion.
	maxDepth = 64
)

// parse reads one document; nil for one that is empty. Errors match bundle.ErrMalformed.
func parse(b []byte) (ast.Node, error) {
	if len(b) > MaxFile {
		return nil, fmt.Errorf("%d bytes, at most %d: %w", len(b), MaxFile, bundle.ErrMalformed)
	}
	if n := marks(b); n > maxMarks {
		return nil, fmt.Errorf("%d keys and values, at most %d: %w", n, maxMarks, bundle.ErrMalformed)
	}
	tokens := lexer.Tokenize(string(bytes.TrimPrefix(b, []byte("\ufeff"))))
	if err := checkTokens(tokens); err != nil {
		return nil, err
	}
	file, err := parser.Parse(tokens, 0)
	if err != nil {
		return nil, fmt.Errorf("not YAML: %.200s: %w", strings.ReplaceAll(message(err), "\n", " "), bundle.ErrMalformed)
	}
	var root ast.Node
	for _, d := range file.Docs {
		if d.Body == nil {
			continue
		}
		if root != nil {
			return nil, fmt.Errorf("more than one document: %w", bundle.ErrMalformed)
		}
		root = d.Body
	}
	if _, ok := root.(*ast.NullNode); ok {
		return nil, nil
	}
	return root, nil
}

// marks counts the characters that are between keys and values, at least.
func marks(b []byte) int {
	n := 0
	for i, c := range b {
		switch c {
		case '\n', ',', '[', ']', '{', '}', '"', '\'', '#', '!', '&', '*', '?', '|', '>':
			n++
		case ':', '-':
			if i+1 == len(b) || b[i+1] <= ' ' {
				n++
			}
		}
	}
	return n
}

// message is the text of an error without the parser's picture of the document, which takes the square
// of its length to draw.
func message(err error) string {
	var syntax yaml.Error
	if !errors.As(err, &syntax) || syntax.GetToken() == nil {
		return err.Error()
	}
	return fmt.Sprintf("line %d: %s", syntax.GetToken().Position.Line, syntax.GetMessage())
}

// checkTokens refuses what would take the parser deep, and what makes much of a few lines.
func checkTokens(tokens token.Tokens) error {
	depth := 0
	for _, t := range tokens {
		switch t.Type {
		case token.AnchorType, token.AliasType, token.MergeKeyType, token.TagType:
			return fmt.Errorf("line %d: anchors, aliases and tags are not read: %w", t.Position.Line, bundle.ErrMalformed)
		case token.SequenceStartType, token.MappingStartType:
			depth++
		case token.SequenceEndType, token.MappingEndType:
			depth--
		case token.SequenceEntryType, token.MappingValueType, token.MappingKeyType:
			if t.Position.IndentNum > maxDepth || t.Type != token.MappingValueType && t.Position.Column > maxDepth {
				depth = maxDepth + 1
			}
		}
		if depth > maxDepth {
			return fmt.Errorf("line %d: nested deeper than %d: %w", t.Position.Line, maxDepth, bundle.ErrMalformed)
		}
	}
	return nil
}

// line is where a value begins.
func line(n ast.Node) int { return n.GetToken().Position.Line }

// mapping is the values of a mapping by their keys; ok is false for any other value.
func mapping(n ast.Node) (all map[string]ast.Node, ok bool, err error) {
	var values []*ast.MappingValueNode
	switch n := n.(type) {
	case *ast.MappingNode:
		values = n.Values
	case *ast.MappingValueNode:
		values = []*ast.MappingValueNode{n}
	default:
		return nil, false, nil
	}
	all = make(map[string]ast.Node, len(values))
	for _, v := range values {
		key, isText := text(v.Key)
		if _, twice := all[key]; twice || !isText {
			return nil, true, fmt.Errorf("line %d: %.60q: no key, or one that occurs twice: %w", line(v.Key), key, bundle.ErrMalformed)
		}
		all[key] = v.Value
	}
	return all, true, nil
}

// list is the values of a list; none where it is empty or null.
func list(n ast.Node) ([]ast.Node, error) {
	switch n := n.(type) {
	case nil, *ast.NullNode:
		return nil, nil
	case *ast.SequenceNode:
		return n.Values, nil
	}
	return nil, fmt.Errorf("line %d: not a list: %w", line(n), bundle.ErrMalformed)
}

// text is a plain value as it is written; ok is false for null, lists and mappings.
func text(n ast.Node) (value string, ok bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	case *ast.BoolNode, *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		return strings.TrimSpace(n.GetToken().Value), true
	}
	return "", false
}

// number reports whether a value is a number that ansible-galaxy reads otherwise than it is written:
// zeros in front of it or at its end are lost.
func number(n ast.Node) bool {
	value, _ := text(n)
	switch n.(type) {
	case *ast.FloatNode:
		whole, part, _ := strings.Cut(value, ".")
		return strings.Trim(whole+part, "0123456789") != "" || len(whole) > 1 && whole[0] == '0' || whole == "" || part == "" || len(part) > 1 && part[len(part)-1] == '0'
	case *ast.IntegerNode:
		return strings.Trim(value, "0123456789") != "" || len(value) > 1 && value[0] == '0'
	case *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return true
	}
	return false
}
