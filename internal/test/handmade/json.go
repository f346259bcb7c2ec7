package handmade

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
)

// Object is a JSON object, Array a JSON array. Their values are Objects, Arrays,
// strings, bools, ints, int64s, Raw, and nil.
type (
	Object map[string]any
	Array  []any
	// Raw is written as it is.
	Raw string
)

// Canonical returns v by the JSON Canonicalization Scheme (RFC 8785), as far as the
// format uses it: keys sorted, no blanks, and in strings nothing escaped but what has to
// be. Keys are sorted by bytes, which is the order of RFC 8785 for names in ASCII.
func Canonical(v any) []byte { return appendJSON(nil, v) }

func appendJSON(dst []byte, v any) []byte {
	switch v := v.(type) {
	case nil:
		return append(dst, "null"...)
	case Raw:
		return append(dst, v...)
	case string:
		return appendString(dst, v)
	case bool:
		return strconv.AppendBool(dst, v)
	case int:
		return strconv.AppendInt(dst, int64(v), 10)
	case int64:
		return strconv.AppendInt(dst, v, 10)
	case Array:
		dst = append(dst, '[')
		for i, e := range v {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendJSON(dst, e)
		}
		return append(dst, ']')
	case Object:
		dst = append(dst, '{')
		for i, k := range slices.Sorted(maps.Keys(v)) {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendJSON(append(appendString(dst, k), ':'), v[k])
		}
		return append(dst, '}')
	}
	panic(fmt.Sprintf("handmade: %T is not JSON", v))
}

func appendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"', c == '\\':
			dst = append(dst, '\\', c)
		case c == '\b':
			dst = append(dst, `\b`...)
		case c == '\t':
			dst = append(dst, `\t`...)
		case c == '\n':
			dst = append(dst, `\n`...)
		case c == '\f':
			dst = append(dst, `\f`...)
		case c == '\r':
			dst = append(dst, `\r`...)
		case c < 0x20:
			dst = fmt.Appendf(dst, `\u%04x`, c)
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '"')
}
