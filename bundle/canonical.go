package bundle

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"syscall"
	"unicode/utf16"
	"unicode/utf8"
)

// MarshalCanonical returns the JSON Canonicalization Scheme (RFC 8785) of v, which
// encoding/json can marshal, for the JSON that this format uses: objects,
// arrays, strings, booleans and integers within ±MaxInteger. Errors match
// ErrMalformed.
func MarshalCanonical(v any) ([]byte, error) {
	var raw bytes.Buffer
	enc := json.NewEncoder(&raw)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("canonical JSON: %w: %w", ErrMalformed, err)
	}
	dec := json.NewDecoder(&raw)
	dec.UseNumber()
	var tree any
	if err := dec.Decode(&tree); err != nil {
		return nil, fmt.Errorf("canonical JSON: %w: %w", ErrMalformed, err)
	}
	return appendCanonical(make([]byte, 0, raw.Cap()), tree)
}

// UnmarshalCanonical decodes b into the struct that v points to and requires
// that b is, byte for byte, the canonical form of what was decoded. That one
// comparison refuses unknown keys, duplicate keys, keys in another case,
// other spellings of numbers and strings, and anything after the value.
// Errors match ErrMalformed.
func UnmarshalCanonical(b []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	again, err := MarshalCanonical(v)
	if err != nil {
		return err
	}
	if !bytes.Equal(again, b) {
		at := 0
		for at < len(b) && at < len(again) && b[at] == again[at] {
			at++
		}
		return fmt.Errorf("byte %d: not canonical JSON (RFC 8785), near %q: %w", at, excerpt(b, at), ErrMalformed)
	}
	return nil
}

func excerpt(b []byte, at int) []byte { return b[max(0, at-20):min(len(b), at+20)] }

func appendCanonical(dst []byte, v any) ([]byte, error) {
	switch v := v.(type) {
	case bool:
		return strconv.AppendBool(dst, v), nil
	case string:
		return appendString(dst, v), nil
	case json.Number:
		n, err := strconv.ParseInt(string(v), 10, 64)
		if err != nil || n > MaxInteger || n < -MaxInteger {
			return nil, fmt.Errorf("canonical JSON: number %s: want an integer within 2^53-1: %w", v, ErrMalformed)
		}
		return strconv.AppendInt(dst, n, 10), nil
	case []any:
		dst = append(dst, '[')
		for i, e := range v {
			if i > 0 {
				dst = append(dst, ',')
			}
			var err error
			if dst, err = appendCanonical(dst, e); err != nil {
				return nil, err
			}
		}
		return append(dst, ']'), nil
	case map[string]any:
		keys := make([]string, 0, len(v))
		for k := range v {
			keys = append(keys, k)
		}
		slices.SortFunc(keys, compareUTF16)
		dst = append(dst, '{')
		for i, k := range keys {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(appendString(dst, k), ':')
			var err error
			if dst, err = appendCanonical(dst, v[k]); err != nil {
				return nil, err
			}
		}
		return append(dst, '}'), nil
	}
	return nil, fmt.Errorf("canonical JSON: %T is not used in this format: %w", v, ErrMalformed)
}

// compareUTF16 returns the order of RFC 8785 section 3.2.3.
func compareUTF16(a, b string) int {
	return slices.Compare(utf16.Encode([]rune(a)), utf16.Encode([]rune(b)))
}

// appendString appends s as RFC 8785 section 3.2.2.2 describes it: only '"', '\' and the controls
// below U+0020 are escaped. Bytes that are not UTF-8 become U+FFFD, as
// encoding/json does it; CheckPath keeps them out of paths.
func appendString(dst []byte, s string) []byte {
	const hexDigits = "0123456789abcdef"
	dst = append(dst, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			dst = append(dst, '\\', byte(r))
		case r >= 0x20:
			dst = utf8.AppendRune(dst, r)
		case r == '\b':
			dst = append(dst, '\\', 'b')
		case r == '\t':
			dst = append(dst, '\\', 't')
		case r == '\n':
			dst = append(dst, '\\', 'n')
		case r == '\f':
			dst = append(dst, '\\', 'f')
		case r == '\r':
			dst = append(dst, '\\', 'r')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[r>>4], hexDigits[r&15])
		}
	}
	return append(dst, '"')
}

// ReadAllBounded reads r to its end; more than limit bytes are an error that
// names what and matches ErrMalformed. For everything that has to be held in
// memory before it is believed.
func ReadAllBounded(r io.Reader, what string, limit int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	if int64(len(b)) > limit {
		return nil, fmt.Errorf("%s: more than %s: %w", what, Count(limit, "byte"), ErrMalformed)
	}
	return b, nil
}

// ReadNamed reads a small file that somebody named: a key, a receipt, which may be on a
// medium. It does not wait for the other end of a pipe. More than limit bytes match
// ErrMalformed.
func ReadNamed(path string, limit int64) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return ReadAllBounded(f, path, limit)
}
