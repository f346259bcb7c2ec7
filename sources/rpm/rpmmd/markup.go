package rpmmd

import (
	"bytes"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

// readInstruction passes over <? ... ?>, of which the XML declaration has to
// name what is read here.
func (s *scanner) readInstruction() error {
	end := s.find(s.at+2, "?>")
	if end < 0 {
		return s.cut()
	}
	nameEnd, err := s.readName(s.at + 2)
	if err != nil {
		return err
	}
	target := string(s.buf[s.at+2 : nameEnd])
	rest := string(s.buf[nameEnd:min(end, nameEnd+maxName)])
	if nameEnd > end || rest != "" && strings.Trim(rest[:1], " \t\r\n") != "" {
		return s.bad("an instruction without a name")
	}
	s.at = end + 2
	if !strings.EqualFold(target, "xml") {
		return nil
	}
	switch {
	case !s.atBeginning() || target != "xml":
		return s.bad("an XML declaration that is not at the beginning")
	case pseudo(rest, "version") != "1.0":
		return s.bad("version %.20q of XML", pseudo(rest, "version"))
	}
	if encoding := pseudo(rest, "encoding"); encoding != "" && !strings.EqualFold(encoding, "utf-8") {
		return s.bad("encoding %.20q, want UTF-8", encoding)
	}
	return nil
}

// atBeginning reports whether nothing but a byte order mark precedes the present token:
// libxml2 and expat, by which dnf reads, refuse an XML declaration after so much as an
// empty line.
func (s *scanner) atBeginning() bool {
	return s.dropped == 0 && (s.from == 0 || string(s.buf[:s.from]) == byteOrderMark)
}

// pseudo returns a value in an XML declaration.
func pseudo(text, name string) string {
	_, rest, ok := strings.Cut(text, name)
	if !ok {
		return ""
	}
	rest = strings.TrimLeft(rest, " \t\r\n=")
	if rest == "" || rest[0] != '"' && rest[0] != '\'' {
		return ""
	}
	value, _, _ := strings.Cut(rest[1:], rest[:1])
	return value
}

// readDeclaration reads a comment, a CDATA section or the document type.
func (s *scanner) readDeclaration(t *token) error {
	const comment, cdata, doctype = "<!--", "<![CDATA[", "<!DOCTYPE"
	switch {
	case s.begins(comment):
		end := s.find(s.at+len(comment), "--")
		if end < 0 || !s.has(end, 3) {
			return s.cut()
		}
		if s.buf[end+2] != '>' {
			return s.bad("-- within a comment")
		}
		s.at = end + 3
		return nil
	case s.begins(cdata) && len(s.open) > 0:
		from := s.at + len(cdata)
		end := s.find(from, "]]>")
		if end < 0 {
			return s.cut()
		}
		s.at = end + 3
		t.kind = charData
		var err error
		t.text, err = s.unescape(s.buf[from:end], inCDATA)
		return err
	case s.begins(doctype) && !s.rooted:
		return s.readDoctype(s.at + len(doctype))
	case s.err != nil && s.err != io.EOF:
		return s.err
	}
	return s.bad("a declaration")
}

func (s *scanner) begins(with string) bool {
	return s.has(s.at, len(with)) && string(s.buf[s.at:s.at+len(with)]) == with
}

// readDoctype passes over a document type that declares nothing itself: dnf
// would follow an entity that it declares, and one that stands for others grows
// without end.
func (s *scanner) readDoctype(i int) error {
	for {
		if !s.has(i, 1) {
			return s.cut()
		}
		switch c := s.buf[i]; c {
		case '>':
			s.at = i + 1
			return nil
		case '"', '\'':
			if i = s.find(i+1, string(rune(c))); i < 0 {
				return s.cut()
			}
		case '[', '<':
			return s.bad("the document type declares an entity or something else: not read")
		}
		i++
	}
}

// where text is decides what is escaped in it.
type where uint8

const (
	inText where = iota
	inQuotes
	inCDATA
)

// unescape returns the text that raw stands for: raw itself, if it is the same.
func (s *scanner) unescape(raw []byte, at where) ([]byte, error) {
	from := 0   // what was not yet copied
	start := -1 // of the copy; -1: there is none
	replace := func(with string, upTo, next int) {
		if start < 0 {
			start = len(s.unescaped)
		}
		s.unescaped = append(append(s.unescaped, raw[from:upTo]...), with...)
		from = next
	}
	for i := 0; i < len(raw); {
		c := raw[i]
		switch {
		case c == '&' && at != inCDATA:
			with, n, err := s.reference(raw[i:])
			if err != nil {
				return nil, err
			}
			replace(with, i, i+n)
			i += n
			continue
		case c == '<' && at == inQuotes:
			return nil, s.bad("< within quotes")
		case c == ']' && at == inText && bytes.HasPrefix(raw[i:], []byte("]]>")):
			return nil, s.bad("]]> outside of a CDATA section")
		case c >= ' ' && c < utf8.RuneSelf, c == '\t', c == '\n':
		case c == '\r':
			next := i + 1
			if next < len(raw) && raw[next] == '\n' {
				next++
			}
			replace("\n", i, next)
			i = next
			continue
		case c < ' ':
			return nil, s.bad("character %q", c)
		default:
			r, n := utf8.DecodeRune(raw[i:])
			if r == utf8.RuneError && n == 1 {
				return nil, s.bad("invalid UTF-8")
			}
			if !isChar(r) {
				return nil, s.bad("character %q", r)
			}
			i += n
			continue
		}
		i++
	}
	if start < 0 {
		return raw, nil
	}
	s.unescaped = append(s.unescaped, raw[from:]...)
	return s.unescaped[start:], nil
}

// reference returns what an entity or a character's number at the beginning of raw
// stands for, and how long it is.
func (s *scanner) reference(raw []byte) (with string, n int, err error) {
	const longest = 16
	end := bytes.IndexByte(raw[:min(len(raw), longest)], ';')
	if end < 0 {
		return "", 0, s.bad("an entity without its end")
	}
	name := string(raw[1:end])
	n = end + 1
	switch name {
	case "lt":
		return "<", n, nil
	case "gt":
		return ">", n, nil
	case "amp":
		return "&", n, nil
	case "apos":
		return "'", n, nil
	case "quot":
		return `"`, n, nil
	}
	digits, isNumber := strings.CutPrefix(name, "#")
	base := 10
	if hex, ok := strings.CutPrefix(digits, "x"); ok {
		digits, base = hex, 16
	}
	number, parsed := strconv.ParseUint(digits, base, 32)
	if !isNumber || parsed != nil || number > utf8.MaxRune || !isChar(rune(number)) || strings.ContainsAny(digits, "+_") {
		return "", 0, s.bad("entity &%s; is not known", name)
	}
	return string(rune(number)), n, nil
}

// isChar: section 2.2 of XML 1.0.
func isChar(r rune) bool {
	return r == '\t' || r == '\n' || r == '\r' || r >= ' ' && r <= 0xd7ff || r >= 0xe000 && r <= 0xfffd || r >= 0x10000 && r <= utf8.MaxRune
}
