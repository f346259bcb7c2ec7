// Package strictyaml reads the YAML that people write for gapbundle, and
// refuses everything that could mean something else than it seems to mean:
// unknown and duplicate keys, values of another type, tabs, anchors, aliases,
// merge keys, tags, directives and further documents. Each refusal has a file,
// a line and a column, and all of them are reported, not the first.
//
// It is not a YAML library: github.com/goccy/go-yaml parses (YAML 1.2.2),
// this package decides what is accepted and turns it into structs.
package strictyaml

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"sort"
	"strconv"

	"github.com/gapbundle/gapbundle/bundle"
)

// Pos is a place in a file. A field of this type in a struct that Decode
// fills is set to where the mapping begins.
type Pos struct {
	File         string
	Line, Column int // from 1; 0: not in a file
}

// String returns "file:line:column".
func (p Pos) String() string {
	if p.Line == 0 {
		return p.File
	}
	return p.File + ":" + strconv.Itoa(p.Line) + ":" + strconv.Itoa(p.Column)
}

// Errorf returns an error at this place. It matches bundle.ErrUsage.
func (p Pos) Errorf(format string, args ...any) error {
	return &positioned{pos: p, err: fmt.Errorf(format, args...), class: bundle.ErrUsage}
}

// Wrap records for which place of a file an error came up that is not the
// file's: it matches what err matches, and nothing else.
func (p Pos) Wrap(err error) error { return &positioned{pos: p, err: err} }

type positioned struct {
	pos   Pos
	err   error
	class error // nil: that of err
}

func (e *positioned) Error() string { return e.pos.String() + ": " + e.err.Error() }

func (e *positioned) Unwrap() []error {
	if e.class == nil {
		return []error{e.err}
	}
	return []error{e.err, e.class}
}

// findings are several errors, one per line.
type findings []error

func (f findings) Error() string   { return errors.Join(f...).Error() }
func (f findings) Unwrap() []error { return f }

// Join does what errors.Join does, with the errors in the order of the file, those without
// a place after the others. Errors that Join joined before are put in order again.
func Join(errs ...error) error {
	var flat findings
	for _, err := range errs {
		//nolint:errorlint // what wraps findings states something about all of them
		if joined, ok := err.(findings); ok {
			flat = append(flat, joined...)
		} else if err != nil {
			flat = append(flat, err)
		}
	}
	if len(flat) == 0 {
		return nil
	}
	slices.SortStableFunc(flat, func(a, b error) int { return comparePlaces(placeOf(a), placeOf(b)) })
	return flat
}

// Each returns err with f's answer in the place of each of the errors that Join, or
// errors.Join, put together. nil stays nil.
func Each(err error, f func(error) error) error {
	if err == nil {
		return nil
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok || errors.Join(joined.Unwrap()...).Error() != err.Error() {
		return f(err)
	}
	parts := slices.Clone(joined.Unwrap())
	for i := range parts {
		parts[i] = Each(parts[i], f)
	}
	return findings(parts)
}

func placeOf(err error) Pos {
	var at *positioned
	if errors.As(err, &at) {
		return at.pos
	}
	return Pos{File: "\uffff"}
}

func comparePlaces(a, b Pos) int {
	return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
}

type form int

const (
	null form = iota
	text
	integer
	boolean
	float
	mapping
	sequence
)

// Node is a value of a document, with its place.
type Node struct {
	pos     Pos
	form    form
	text    string // of a scalar, as it is to be understood
	entries []entry
	items   []*Node
}

type entry struct {
	key   string
	pos   Pos
	value *Node
}

// Pos returns where the node begins.
func (n *Node) Pos() Pos { return n.pos }

// what describes the node for an error.
func (n *Node) what() string {
	switch n.form {
	case text:
		return fmt.Sprintf("the text %.40q", n.text)
	case integer, float:
		return "the number " + n.text
	case boolean:
		return n.text
	case mapping:
		return "a mapping"
	case sequence:
		return "a list"
	}
	return "nothing"
}

// Texts returns the plain values below the node, in the order of the file.
func (n *Node) Texts() iter.Seq[string] {
	return func(yield func(string) bool) { n.texts(yield) }
}

func (n *Node) texts(yield func(string) bool) bool {
	switch n.form {
	case mapping:
		for _, e := range n.entries {
			if !e.value.texts(yield) {
				return false
			}
		}
	case sequence:
		for _, item := range n.items {
			if !item.texts(yield) {
				return false
			}
		}
	case text:
		return yield(n.text)
	}
	return true
}

// Split takes the entries with the given keys out of a mapping: both results
// are mappings at n's place. n is not changed.
func (n *Node) Split(keys ...string) (taken, rest *Node) {
	taken = &Node{pos: n.pos, form: n.form, text: n.text, items: n.items}
	rest = &Node{pos: n.pos, form: n.form, text: n.text, items: n.items}
next:
	for _, e := range n.entries {
		for _, k := range keys {
			if e.key == k {
				taken.entries = append(taken.entries, e)
				continue next
			}
		}
		rest.entries = append(rest.entries, e)
	}
	return taken, rest
}

// Over returns the mapping n with those entries of beneath that n does not have.
// A nil beneath has none.
func (n *Node) Over(beneath *Node) *Node {
	if beneath == nil || n.form != mapping {
		return n
	}
	have := map[string]bool{}
	for _, e := range n.entries {
		have[e.key] = true
	}
	merged := &Node{pos: n.pos, form: mapping, entries: append([]entry(nil), n.entries...)}
	for _, e := range beneath.entries {
		if !have[e.key] {
			merged.entries = append(merged.entries, e)
		}
	}
	return merged
}

// FromValue returns a node made of a value that encoding/json can marshal; what
// stands for the file in errors.
func FromValue(what string, value any) (*Node, error) {
	b, err := json.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", what, bundle.ErrUsage, err)
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	var tree any
	if err := dec.Decode(&tree); err != nil && err != io.EOF {
		return nil, fmt.Errorf("%s: %w: %w", what, bundle.ErrUsage, err)
	}
	return fromTree(Pos{File: what}, tree), nil
}

func fromTree(pos Pos, tree any) *Node {
	switch v := tree.(type) {
	case string:
		return &Node{pos: pos, form: text, text: v}
	case bool:
		return &Node{pos: pos, form: boolean, text: strconv.FormatBool(v)}
	case json.Number:
		if _, err := v.Int64(); err != nil {
			return &Node{pos: pos, form: float, text: v.String()}
		}
		return &Node{pos: pos, form: integer, text: v.String()}
	case []any:
		n := &Node{pos: pos, form: sequence}
		for _, e := range v {
			n.items = append(n.items, fromTree(pos, e))
		}
		return n
	case map[string]any:
		n := &Node{pos: pos, form: mapping}
		for k, e := range v {
			n.entries = append(n.entries, entry{key: k, pos: pos, value: fromTree(pos, e)})
		}
		sort.Slice(n.entries, func(i, j int) bool { return n.entries[i].key < n.entries[j].key })
		return n
	}
	return &Node{pos: pos, form: null}
}
