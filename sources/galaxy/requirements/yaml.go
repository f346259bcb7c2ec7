package requirements

import (
	"fmt"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/foreignyaml"
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
	docs, err := foreignyaml.Parse(b, foreignyaml.Limits{Bytes: MaxFile, Marks: maxMarks, Depth: maxDepth})
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: %w", err, bundle.ErrMalformed)
	case len(docs) == 0:
		return nil, nil
	case len(docs) > 1:
		return nil, fmt.Errorf("more than one document: %w", bundle.ErrMalformed)
	}
	if _, ok := docs[0].(*ast.NullNode); ok {
		return nil, nil
	}
	return docs[0], nil
}

// line returns where a value begins.
func line(n ast.Node) int { return n.GetToken().Position.Line }

// mapping returns the values of a mapping by their keys; ok is false for any other value.
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

// list returns the values of a list; none where it is empty or null.
func list(n ast.Node) ([]ast.Node, error) {
	switch n := n.(type) {
	case nil, *ast.NullNode:
		return nil, nil
	case *ast.SequenceNode:
		return n.Values, nil
	}
	return nil, fmt.Errorf("line %d: not a list: %w", line(n), bundle.ErrMalformed)
}

// text returns a plain value as it is written; ok is false for null, lists and mappings.
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
