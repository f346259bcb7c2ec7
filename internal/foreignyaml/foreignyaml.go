// Package foreignyaml reads YAML that upstream wrote, within bounds. The parser is
// github.com/goccy/go-yaml (YAML 1.2.2). It makes some 1,500 bytes of each key and value
// and goes into nested values by recursion, so both are counted before it sees a
// document. Anchors, aliases and merge keys, by which a few lines become many, are
// refused. Specs, which people write for gapbundle, are read by package strictyaml.
package foreignyaml

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

	"github.com/gapbundle/gapbundle/internal/spelling"
)

// Limits bound what Parse reads.
type Limits struct {
	// Bytes bounds the size of the text.
	Bytes int
	// Marks bounds the characters between keys and values: those may be two characters
	// long.
	Marks int
	// Depth bounds how deep values are nested. In block style a column of depth is one
	// blank at least.
	Depth int
	// Tags are allowed: their values are read as if they had none.
	Tags bool
}

// Parse returns the documents of a text that are not empty. An error does not state whose
// fault it is; the caller knows where the text comes from.
func Parse(text []byte, limits Limits) ([]ast.Node, error) {
	if len(text) > limits.Bytes {
		return nil, fmt.Errorf("%s, at most %d", spelling.Count(len(text), "byte"), limits.Bytes)
	}
	if n := marks(text); n > limits.Marks {
		return nil, fmt.Errorf("%s and values, at most %d", spelling.Count(n, "key"), limits.Marks)
	}
	tokens := lexer.Tokenize(string(bytes.TrimPrefix(text, []byte("\ufeff"))))
	if err := checkTokens(tokens, limits); err != nil {
		return nil, err
	}
	file, err := parser.Parse(tokens, 0)
	if err != nil {
		return nil, fmt.Errorf("not YAML: %.200s", strings.ReplaceAll(message(err), "\n", " "))
	}
	var all []ast.Node
	for _, d := range file.Docs {
		if d.Body != nil {
			all = append(all, d.Body)
		}
	}
	return all, nil
}

// marks counts the characters that are between keys and values, at least.
func marks(text []byte) int {
	n := 0
	for i, c := range text {
		switch c {
		case '\n', ',', '[', ']', '{', '}', '"', '\'', '#', '!', '&', '*', '?', '|', '>':
			n++
		case ':', '-':
			if i+1 == len(text) || text[i+1] <= ' ' {
				n++
			}
		}
	}
	return n
}

// message returns the text of an error without the parser's picture of the document, which
// takes the square of the document's length to draw.
func message(err error) string {
	var syntax yaml.Error
	if !errors.As(err, &syntax) || syntax.GetToken() == nil {
		return err.Error()
	}
	return fmt.Sprintf("line %d: %s", syntax.GetToken().Position.Line, syntax.GetMessage())
}

// checkTokens refuses what would take the parser deep, and what makes much of a few lines.
func checkTokens(tokens token.Tokens, limits Limits) error {
	depth := 0
	for _, t := range tokens {
		line := t.Position.Line
		switch t.Type {
		case token.AnchorType, token.AliasType, token.MergeKeyType:
			return fmt.Errorf("line %d: anchors and aliases are not read", line)
		case token.TagType:
			if !limits.Tags {
				return fmt.Errorf("line %d: tags are not read", line)
			}
		case token.SequenceStartType, token.MappingStartType:
			depth++
		case token.SequenceEndType, token.MappingEndType:
			depth--
		case token.SequenceEntryType, token.MappingValueType, token.MappingKeyType:
			if t.Position.IndentNum > limits.Depth || t.Type != token.MappingValueType && t.Position.Column > limits.Depth {
				return fmt.Errorf("line %d: nested deeper than %d", line, limits.Depth)
			}
		}
		if depth > limits.Depth {
			return fmt.Errorf("line %d: nested deeper than %d", line, limits.Depth)
		}
	}
	return nil
}
