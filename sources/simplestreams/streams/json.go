package streams

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"

	"github.com/gapbundle/gapbundle/bundle"
)

// Bounds of what is read.
const (
	// MaxIndex bounds an index; that of a large public mirror has 200 KB.
	MaxIndex = 16 << 20 // bytes
	// MaxProducts bounds a products file, which is read token by token.
	MaxProducts = 256 << 20 // bytes
	// MaxProductCount bounds the products of a file, whose names are in memory.
	MaxProductCount = 100_000
	// MaxDepth is how deep objects and arrays may be nested: a field of an item
	// may be a list.
	MaxDepth = 8
	// maxToken bounds one string or number, maxProduct the text of one product
	// or of one field of the file.
	maxToken   = 1 << 20  // bytes
	maxProduct = 16 << 20 // bytes
	// maxName bounds the name of a product, a version, an item or a content id.
	maxName = 512 // bytes
)

// Object is a JSON object: its values are string, json.Number, bool, nil,
// Object and []any.
type Object = map[string]any

// reader reads one JSON value strictly.
type reader struct {
	tokens *json.Decoder
	feed   *feed
	depth  int
}

// feed counts what the decoder was given, so that a single token, which the
// decoder holds in memory, is bounded.
type feed struct {
	in    io.Reader
	given int64
	// done is how far the decoder has got; limit is how far it may read ahead.
	done func() int64
}

func (f *feed) Read(p []byte) (int, error) {
	if f.given-f.done() > maxToken {
		return 0, fmt.Errorf("a text, a number or blanks of more than %d bytes: %w", maxToken, bundle.ErrMalformed)
	}
	n, err := f.in.Read(p[:min(len(p), 64<<10)])
	f.given += int64(n)
	return n, err
}

func newReader(in io.Reader) *reader {
	r := &reader{feed: &feed{in: in}}
	r.tokens = json.NewDecoder(r.feed)
	r.tokens.UseNumber()
	r.feed.done = r.tokens.InputOffset
	return r
}

// malformed reports where the text is wrong.
func (r *reader) malformed(format string, args ...any) error {
	return fmt.Errorf("byte %d: %w: %w", r.tokens.InputOffset(), fmt.Errorf(format, args...), bundle.ErrMalformed)
}

// next returns a token. An error of the decoder about the text becomes
// bundle.ErrMalformed; what the disk reports stays what it is.
func (r *reader) next() (json.Token, error) {
	t, err := r.tokens.Token()
	var syntax *json.SyntaxError
	switch {
	case err == nil:
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return nil, r.malformed("the text ends too early")
	case errors.As(err, &syntax):
		return nil, r.malformed("%w", err)
	default:
		return nil, err
	}
	switch t {
	case json.Delim('{'), json.Delim('['):
		if r.depth++; r.depth > MaxDepth {
			return nil, r.malformed("more than %d levels deep", MaxDepth)
		}
	case json.Delim('}'), json.Delim(']'):
		r.depth--
	}
	return t, nil
}

// object reads an object and calls field for each key, which has to read the
// value. A key may be there once.
func (r *reader) object(what string, field func(key string) error) error {
	t, err := r.next()
	if err != nil {
		return err
	}
	if t != json.Delim('{') {
		return r.malformed("%s: want an object", what)
	}
	return r.fields(what, field)
}

// fields reads an object whose brace was read.
func (r *reader) fields(what string, field func(key string) error) error {
	seen := map[string]bool{}
	for {
		t, err := r.next()
		if err != nil {
			return err
		}
		key, ok := t.(string)
		if !ok {
			return nil // the closing brace: the decoder allows nothing else
		}
		if seen[key] {
			return r.malformed("%s: key %.80q occurs twice", what, key)
		}
		seen[key] = true
		if err := field(key); err != nil {
			return err
		}
	}
}

// value reads any value.
func (r *reader) value(what string) (any, error) {
	t, err := r.next()
	if err != nil {
		return nil, err
	}
	switch t {
	case json.Delim('{'):
		o := Object{}
		return o, r.fields(what, func(key string) (err error) {
			o[key], err = r.value(key)
			return err
		})
	case json.Delim('['):
		list := []any{}
		for r.tokens.More() {
			v, err := r.value(what)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err := r.next()
		return list, err
	}
	return t, nil
}

// bounded reads any value whose text has at most maxProduct bytes.
func (r *reader) bounded(what string) (any, error) {
	start := r.tokens.InputOffset()
	whole := r.feed.in
	r.feed.in = &fence{in: whole, left: start + maxProduct - r.feed.given, what: what}
	v, err := r.value(what)
	r.feed.in = whole
	if err == nil && r.tokens.InputOffset()-start > maxProduct {
		err = tooLarge(what)
	}
	return v, err
}

// fence ends a text that is larger than what may be in memory at a time.
type fence struct {
	in   io.Reader
	left int64
	what string
}

func (f *fence) Read(p []byte) (int, error) {
	if f.left <= 0 {
		return 0, tooLarge(f.what)
	}
	n, err := f.in.Read(p[:min(int64(len(p)), f.left)])
	f.left -= int64(n)
	return n, err
}

func tooLarge(what string) error {
	return fmt.Errorf("%.80s: more than %d bytes: %w", what, maxProduct, bundle.ErrMalformed)
}

// end refuses text after the value.
func (r *reader) end() error {
	switch t, err := r.tokens.Token(); {
	case errors.Is(err, io.EOF):
		return nil
	case err == nil:
		return r.malformed("%v after the end", t)
	default:
		return r.malformed("text after the end: %w", err)
	}
}

// checkName reports what is wrong with the name of a product, a version, an item
// or a content id. The decoder puts U+FFFD in place of what is no UTF-8, so two
// names could become one.
func checkName(what, name string) error {
	bad := func(c rune) bool { return unicode.IsControl(c) || c == unicode.ReplacementChar }
	if name == "" || len(name) > maxName || strings.ContainsFunc(name, bad) {
		return fmt.Errorf("%s %.80q: want a name of 1 to %d bytes without control characters: %w", what, name, maxName, bundle.ErrMalformed)
	}
	return nil
}

// text returns a scalar field as python-simplestreams turns it into text; ok is
// false for what no filter sees.
func text(v any) (s string, ok bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case bool:
		if v {
			return "True", true
		}
		return "False", true
	case json.Number:
		return number(v), true
	}
	return "", false
}
