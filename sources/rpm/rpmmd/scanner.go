package rpmmd

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/gapbundle/gapbundle/bundle"
)

const (
	// maxElement bounds one child of a document's root, which is held in
	// memory: a single text of gigabytes would fill it. texlive's list of
	// files, the largest known, has 20 MB.
	maxElement = 64 << 20 // bytes
	// maxDepth bounds how deep elements are nested.
	maxDepth = 64
	// maxName bounds the name of an element or an attribute, and maxAttributes
	// the attributes of one tag: each is compared with those before it.
	maxName       = 256 // bytes
	maxAttributes = 64
	// maxNames bounds how many names of elements are remembered; a document
	// that invents them makes the scanner forget.
	maxNames = 1024
	// byteOrderMark may precede a document.
	byteOrderMark = "\ufeff"
	// chunk is how much is read at a time.
	chunk = 64 << 10 // bytes
)

// kind is what a token is.
type kind uint8

const (
	other kind = iota // a comment, an instruction, a document type
	startTag
	endTag
	charData
)

// token is one tag or text. The bytes that it points to are valid until the
// next token is read.
type token struct {
	kind kind
	// name is that of a tag as it is written, with its prefix: dnf knows no
	// namespaces, and takes <x:version> for another element than <version>.
	name  string
	attrs []attribute // of a startTag
	text  []byte      // of a text, unescaped
}

// attribute has a name as written, "xml:base", and its value, unescaped.
type attribute struct{ name, value []byte }

// scanner reads XML 1.0 in UTF-8, as rpm's metadata are written. The lists of a
// distribution have gigabytes, and encoding/xml reads them at 60 MB/s, a byte
// at a time and with garbage for each tag; this reads them four times as fast,
// with next to none (BenchmarkScanner). Documents that it accepts are well-formed, and mean
// to it what it means to encoding/xml (FuzzScanner compares them). It is
// stricter: names are ASCII, a document type may declare nothing, so that no
// entity ever grows, and outside of the root there are only blanks. It has a
// method for each construct of the grammar, all over one place in one buffer.
type scanner struct {
	r   io.Reader
	err error // of r; io.EOF
	// buf is what was read of r and is still held: from keep on, where the
	// present child begins. at is the next byte to look at.
	buf      []byte
	keep, at int
	from     int   // where the present token begins
	dropped  int64 // how many bytes were before buf
	most     int   // how many bytes a child may have

	open   []string // elements
	closed bool     // the last tag was <a/>: its end is the next token
	rooted bool     // the root was opened
	names  map[string]string
	token  token
	// unescaped has the values of the present token that are not as written.
	unescaped []byte
}

func newScanner(r io.Reader) *scanner {
	return &scanner{r: r, buf: make([]byte, 0, 4*chunk), most: maxElement, names: map[string]string{}}
}

var errElement = errors.New("element too large")

func (s *scanner) bad(format string, args ...any) error {
	return fmt.Errorf("XML, byte %d: %s: %w", s.dropped+int64(s.from), fmt.Sprintf(format, args...), bundle.ErrMalformed)
}

// forget drops everything before the next token: a child begins.
func (s *scanner) forget() {
	if s.at > cap(s.buf)/2 {
		s.dropped += int64(s.at)
		s.buf = s.buf[:copy(s.buf, s.buf[s.at:])]
		s.at = 0
	}
	s.keep = s.at
}

// fill reads more; false: there is no more, or too much.
func (s *scanner) fill() bool {
	if s.err != nil {
		return false
	}
	if len(s.buf)-s.keep > s.most+chunk {
		s.err = errElement
		return false
	}
	s.buf = slices.Grow(s.buf, chunk)
	for range 100 { // as bufio does: a reader that returns nothing is at fault
		n, err := s.r.Read(s.buf[len(s.buf):cap(s.buf)])
		s.buf, s.err = s.buf[:len(s.buf)+n], err
		if n > 0 {
			return true
		}
		if err != nil {
			return false
		}
	}
	s.err = io.ErrNoProgress
	return false
}

// has reports whether there are n bytes from i on.
func (s *scanner) has(i, n int) bool {
	for len(s.buf) < i+n {
		if !s.fill() {
			return false
		}
	}
	return true
}

// find returns where sep is, from i on; -1: nowhere.
func (s *scanner) find(i int, sep string) int {
	for {
		if j := bytes.Index(s.buf[i:], []byte(sep)); j >= 0 {
			return i + j
		}
		i = max(i, len(s.buf)-len(sep)+1)
		if !s.fill() {
			return -1
		}
	}
}

// cut returns what is said of a document that ends in the middle.
func (s *scanner) cut() error {
	if s.err != io.EOF {
		return s.err
	}
	return s.bad("unexpected end")
}

// next reads a token; io.EOF after the last one of a document that is whole.
func (s *scanner) next() (*token, error) {
	t := &s.token
	*t = token{attrs: t.attrs[:0]}
	s.unescaped = s.unescaped[:0]
	s.from = s.at
	if s.closed {
		s.closed = false
		t.kind, t.name = endTag, s.open[len(s.open)-1]
		s.open = s.open[:len(s.open)-1]
		return t, nil
	}
	if !s.has(s.at, 1) {
		switch {
		case s.err == io.EOF && (len(s.open) > 0 || !s.rooted):
			return nil, s.cut()
		default:
			return nil, s.err
		}
	}
	var err error
	switch {
	case s.buf[s.at] != '<':
		err = s.readText(t)
	case !s.has(s.at, 2):
		err = s.cut()
	case s.buf[s.at+1] == '/':
		err = s.readEnd(t)
	case s.buf[s.at+1] == '?':
		err = s.readInstruction()
	case s.buf[s.at+1] == '!':
		err = s.readDeclaration(t)
	default:
		err = s.readStart(t)
	}
	if err == nil && s.at-s.keep > s.most {
		err = errElement
	}
	return t, err
}

func (s *scanner) readText(t *token) error {
	end := s.find(s.at, "<")
	if end < 0 {
		if s.err != io.EOF {
			return s.err
		}
		end = len(s.buf)
	}
	raw := s.buf[s.at:end]
	if s.dropped+int64(s.at) == 0 {
		raw = bytes.TrimPrefix(raw, []byte(byteOrderMark))
	}
	s.at = end
	if len(s.open) == 0 && len(bytes.TrimLeft(raw, " \t\r\n")) > 0 {
		return s.bad("text outside of the root element")
	}
	t.kind = charData
	var err error
	t.text, err = s.unescape(raw, inText)
	return err
}

// readName reads a name that begins at i, and returns where it ends.
func (s *scanner) readName(i int) (end int, err error) {
	for end = i; ; end++ {
		if !s.has(end, 1) {
			return end, s.cut()
		}
		if c := s.buf[end]; !isLetter(c) && c != '_' && c != ':' && (end == i || !isDigit(c) && c != '-' && c != '.') {
			break
		}
	}
	switch name := s.buf[i:end]; {
	case len(name) == 0:
		return end, s.bad("a name is missing")
	case len(name) > maxName:
		return end, s.bad("a name of %s", bundle.Count(len(name), "byte"))
	case name[0] == ':' || name[len(name)-1] == ':' || bytes.Count(name, []byte(":")) > 1:
		return end, s.bad("the name %.60q", name)
	}
	return end, nil
}

// blanks skips blanks; it returns the byte after them and where it is.
func (s *scanner) blanks(i int) (c byte, at int, err error) {
	for ; ; i++ {
		if !s.has(i, 1) {
			return 0, i, s.cut()
		}
		if c := s.buf[i]; c != ' ' && c != '\t' && c != '\r' && c != '\n' {
			return c, i, nil
		}
	}
}

func (s *scanner) readStart(t *token) error {
	end, err := s.readName(s.at + 1)
	if err != nil {
		return err
	}
	e := s.element(s.buf[s.at+1 : end])
	switch {
	case len(s.open) == 0 && s.rooted:
		return s.bad("<%s> after the end", e)
	case len(s.open) == maxDepth:
		return s.bad("elements nested deeper than %d", maxDepth)
	}
	t.kind, t.name = startTag, e
	for i := end; ; {
		c, at, err := s.blanks(i)
		if err != nil {
			return err
		}
		switch {
		case c == '>':
			s.at = at + 1
		case c == '/':
			if !s.has(at, 2) {
				return s.cut()
			}
			if s.buf[at+1] != '>' {
				return s.bad("element <%s> with a / that does not end it", e)
			}
			s.at, s.closed = at+2, true
		case at == i:
			return s.bad("element <%s> without a blank before an attribute", e)
		default:
			if i, err = s.readAttribute(t, at); err != nil {
				return err
			}
			continue
		}
		s.open, s.rooted = append(s.open, e), true
		return nil
	}
}

// readAttribute reads one that begins at i, and returns where it ends.
func (s *scanner) readAttribute(t *token, i int) (end int, err error) {
	if end, err = s.readName(i); err != nil {
		return end, err
	}
	name := s.buf[i:end]
	c, at, err := s.blanks(end)
	if err == nil && c != '=' {
		err = s.bad("attribute %s without a value", name)
	}
	if err != nil {
		return at, err
	}
	c, at, err = s.blanks(at + 1)
	if err == nil && c != '"' && c != '\'' {
		err = s.bad("attribute %s without quotes", name)
	}
	if err != nil {
		return at, err
	}
	if end = s.find(at+1, string(rune(c))); end < 0 {
		return at, s.cut()
	}
	value, err := s.unescape(s.buf[at+1:end], inQuotes)
	if err != nil {
		return at, err
	}
	for i := range t.attrs {
		if bytes.Equal(t.attrs[i].name, name) {
			return at, s.bad("attribute %s occurs twice", name)
		}
	}
	if len(t.attrs) == maxAttributes {
		return at, s.bad("more than %d attributes", maxAttributes)
	}
	t.attrs = append(t.attrs, attribute{name, value})
	return end + 1, nil
}

func (s *scanner) readEnd(t *token) error {
	end, err := s.readName(s.at + 2)
	if err != nil {
		return err
	}
	name := s.buf[s.at+2 : end]
	c, at, err := s.blanks(end)
	switch {
	case err != nil:
		return err
	case c != '>':
		return s.bad("the end of element <%s> is not closed", name)
	case len(s.open) == 0:
		return s.bad("the end of element <%s>, which is not open", name)
	}
	e := s.open[len(s.open)-1]
	if e != string(name) {
		return s.bad("element <%s> ended by </%s>", e, name)
	}
	s.open, s.at = s.open[:len(s.open)-1], at+1
	t.kind, t.name = endTag, e
	return nil
}

// element returns the kept copy of a name: there are a few dozen.
func (s *scanner) element(name []byte) string {
	if e, ok := s.names[string(name)]; ok {
		return e
	}
	if len(s.names) == maxNames {
		clear(s.names)
	}
	e := string(name)
	s.names[e] = e
	return e
}
