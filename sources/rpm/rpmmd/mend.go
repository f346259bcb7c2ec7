package rpmmd

import (
	"bufio"
	"bytes"
	"io"
	"strconv"
	"unicode/utf8"
)

// maxReference bounds how long a character's number can be: "&#x0010ffff;".
const maxReference = 12 // bytes

// Mended reads an XML document and puts a blank in the place of each character that XML
// 1.0 does not have (section 2.2), and of bytes that are no UTF-8. Texts for people in
// advisories, lists of changes and groups have had them. dnf uses such a repository all
// the same.
type Mended struct {
	in *bufio.Reader
	// Count is how many were found so far.
	Count int64
	rest  []byte // of a character that did not fit
}

// Mend reads r.
func Mend(r io.Reader) *Mended { return &Mended{in: bufio.NewReader(r)} }

// Read implements io.Reader.
func (m *Mended) Read(p []byte) (n int, err error) {
	for n < len(p) {
		if len(m.rest) > 0 {
			k := copy(p[n:], m.rest)
			m.rest, n = m.rest[k:], n+k
			continue
		}
		if n > 0 && m.in.Buffered() == 0 {
			return n, nil
		}
		next, err := m.next()
		if err != nil {
			return n, err
		}
		m.rest = next
	}
	return n, nil
}

var blank = []byte{' '}

// next returns a run of plain characters, or one that needs a look.
func (m *Mended) next() ([]byte, error) {
	if _, err := m.in.Peek(1); err != nil {
		return nil, err
	}
	ahead, _ := m.in.Peek(m.in.Buffered())
	if i := bytes.IndexFunc(ahead, odd); i != 0 {
		if i < 0 {
			i = len(ahead)
		}
		run := bytes.Clone(ahead[:i])
		_, _ = m.in.Discard(i) // it was peeked
		return run, nil
	}
	if ahead[0] == '&' {
		return m.reference(), nil
	}
	r, size, err := m.in.ReadRune()
	if err != nil {
		return nil, err
	}
	if r == utf8.RuneError && size == 1 || !isXML(r) {
		m.Count++
		return blank, nil
	}
	return utf8.AppendRune(nil, r), nil
}

// odd reports whether a character needs a look. One that is cut off at the end of what was
// read is among them.
func odd(r rune) bool { return r == '&' || r == utf8.RuneError || !isXML(r) }

// reference returns what an ampersand begins: the number of a character, or anything else.
func (m *Mended) reference() []byte {
	ahead, _ := m.in.Peek(maxReference) // fewer at the end
	end := bytes.IndexByte(ahead, ';')
	if end > 2 && ahead[1] == '#' {
		digits, base := string(ahead[2:end]), 10
		if digits[0] == 'x' {
			digits, base = digits[1:], 16
		}
		if number, err := strconv.ParseUint(digits, base, 32); err == nil && (number > utf8.MaxRune || !isXML(rune(number))) {
			_, _ = m.in.Discard(end + 1) // it was peeked
			m.Count++
			return blank
		}
	}
	_, _ = m.in.Discard(1) // it was peeked
	return []byte{'&'}
}

// isXML reports whether XML 1.0 has a character.
func isXML(r rune) bool {
	return r == '\t' || r == '\n' || r == '\r' || r >= 0x20 && r <= 0xd7ff || r >= 0xe000 && r <= 0xfffd || r >= 0x10000 && r <= utf8.MaxRune
}
