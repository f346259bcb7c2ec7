package bundle

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"
)

// PlainText returns s with every character that IsPlain refuses written as \u and its
// number, and bytes that are no UTF-8 as \x: for names and texts that somebody else made
// and that are printed, or written where people read them.
func PlainText(s string) string {
	if CheckText(s) == nil {
		return s
	}
	return string(Plain([]byte(s), ""))
}

// Plain works like PlainText, for bytes. The characters in also are left as they are.
func Plain(text []byte, also string) []byte {
	if isPlain(text, also) {
		return text
	}
	var out bytes.Buffer
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&out, "\\x%02x", text[0])
		case IsPlain(r) || strings.ContainsRune(also, r):
			out.Write(text[:size])
		default:
			fmt.Fprintf(&out, "\\u%04x", r)
		}
		text = text[size:]
	}
	return out.Bytes()
}

func isPlain(text []byte, also string) bool {
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		if r == utf8.RuneError && size == 1 || !IsPlain(r) && !strings.ContainsRune(also, r) {
			return false
		}
		text = text[size:]
	}
	return true
}
