package deb

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
)

// Limits bound what a Scanner reads; zero fields mean the defaults.
type Limits struct {
	// Paragraph is the most bytes of one paragraph. The largest real one is a
	// Release file of 300 KB; a Packages stanza has up to 80 KB.
	Paragraph int
	// Paragraphs is the most paragraphs of one file.
	Paragraphs int
	// Comments skips lines that begin with '#', as in a .sources file.
	Comments bool
	// Client refuses an index that apt gives up: one that begins with more than one
	// empty line, and in Packages a stanza that Package.CheckForClient refuses.
	Client bool
}

const (
	defaultParagraph  = 8 << 20
	defaultParagraphs = 4 << 20
)

// Scanner reads paragraph by paragraph, in memory that does not grow with the
// file.
type Scanner struct {
	r      *bufio.Reader
	limits Limits
	buf    []byte
	line   int // of what was read last, from 1
	start  int // of the paragraph that Next returned
	count  int
	err    error
}

// NewScanner reads from r, which is plain text: what was compressed has to be
// bounded before it gets here.
func NewScanner(r io.Reader, l Limits) *Scanner {
	if l.Paragraph == 0 {
		l.Paragraph = defaultParagraph
	}
	if l.Paragraphs == 0 {
		l.Paragraphs = defaultParagraphs
	}
	return &Scanner{r: bufio.NewReaderSize(r, 64<<10), limits: l}
}

// Line returns the line at which the paragraph that Next returned begins, from 1.
func (s *Scanner) Line() int { return s.start }

// Next returns the next paragraph, io.EOF after the last one. As in apt only
// an empty line ends a paragraph; one of blanks continues a field.
func (s *Scanner) Next() (Paragraph, error) {
	if s.err != nil {
		return "", s.err
	}
	s.buf = s.buf[:0]
	for {
		line, err := s.readLine()
		if err != nil && !errors.Is(err, io.EOF) {
			s.err = err
			return "", err
		}
		switch {
		case len(line) > 0 && (line[0] != '#' || !s.limits.Comments):
			if err := s.add(line); err != nil {
				s.err = err
				return "", err
			}
		case len(line) == 0 && len(s.buf) > 0:
			return Paragraph(s.buf), nil
		case s.limits.Client && s.count == 0 && s.line > 1 && err == nil:
			s.err = s.errorf("empty lines before the first paragraph: apt rejects the whole index")
			return "", s.err
		}
		if err != nil {
			s.err = io.EOF
			if len(s.buf) > 0 {
				return Paragraph(s.buf), nil
			}
			return "", io.EOF
		}
	}
}

// readLine returns a line without its end, valid until the next call; io.EOF
// with the last one.
func (s *Scanner) readLine() ([]byte, error) {
	s.line++
	line, err := s.r.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		long := append([]byte(nil), line...)
		for errors.Is(err, bufio.ErrBufferFull) {
			if len(long) > s.limits.Paragraph {
				return nil, s.errorf("more than %s", bundle.Count(s.limits.Paragraph, "byte"))
			}
			line, err = s.r.ReadSlice('\n')
			long = append(long, line...)
		}
		line = long
	}
	line = bytes.TrimSuffix(line, []byte("\n"))
	return bytes.TrimSuffix(line, []byte("\r")), err
}

// add appends a line to the paragraph and checks its form.
func (s *Scanner) add(line []byte) error {
	if len(s.buf) == 0 {
		s.start = s.line
		if s.count++; s.count > s.limits.Paragraphs {
			return s.errorf("more than %s", bundle.Count(s.limits.Paragraphs, "paragraph"))
		}
	}
	if len(s.buf)+len(line)+1 > s.limits.Paragraph {
		return s.errorf("a paragraph of more than %s", bundle.Count(s.limits.Paragraph, "byte"))
	}
	if bytes.IndexByte(line, 0) >= 0 || bytes.IndexByte(line, '\r') >= 0 {
		return s.errorf("a zero byte or carriage return")
	}
	if line[0] == ' ' || line[0] == '\t' {
		if len(s.buf) == 0 {
			return s.errorf("a continuation of no field")
		}
	} else if colon := bytes.IndexByte(line, ':'); colon < 1 || !isFieldName(line[:colon]) {
		return s.errorf("%.60q is not a field", line)
	}
	s.buf = append(append(s.buf, line...), '\n')
	return nil
}

func (s *Scanner) errorf(format string, args ...any) error {
	return fmt.Errorf("line %d: %s: %w", s.line, fmt.Sprintf(format, args...), bundle.ErrMalformed)
}

// isFieldName follows policy 5.1: printable ASCII without blanks and colon,
// not beginning with '#' or '-'.
func isFieldName(name []byte) bool {
	if name[0] == '#' || name[0] == '-' {
		return false
	}
	for _, c := range name {
		if c <= ' ' || c > '~' {
			return false
		}
	}
	return true
}

// Paragraph is the text of one paragraph: lines that end with "\n", without
// the empty line after the last. One that a Scanner returned is well formed.
type Paragraph string

// Fields returns name and value of each field in order. A value is without
// blanks around it; its further lines are as they were, with their first
// blank.
func (p Paragraph) Fields() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for rest := string(p); rest != ""; {
			var field string
			field, rest = cutField(rest)
			name, value, _ := strings.Cut(field, ":")
			if !yield(name, trimValue(value)) {
				return
			}
		}
	}
}

// cutField cuts text after the first field with all its lines.
func cutField(text string) (field, rest string) {
	for end := 0; ; {
		n := strings.IndexByte(text[end:], '\n')
		if n < 0 {
			return text, ""
		}
		end += n + 1
		if end == len(text) || (text[end] != ' ' && text[end] != '\t') {
			return text[:end], text[end:]
		}
	}
}

// Field returns the value of the first field of that name, in whatever case; ""
// if there is none.
func (p Paragraph) Field(name string) string {
	for rest := string(p); rest != ""; {
		var field string
		field, rest = cutField(rest)
		if len(field) > len(name) && field[len(name)] == ':' && strings.EqualFold(field[:len(name)], name) {
			return trimValue(field[len(name)+1:])
		}
	}
	return ""
}

// trimValue returns a value without blanks around it. It is called for each field of an
// index, and strings.Trim first makes a set of the characters.
func trimValue(value string) string {
	blank := func(c byte) bool { return c == ' ' || c == '\t' || c == '\n' }
	for value != "" && blank(value[0]) {
		value = value[1:]
	}
	for value != "" && blank(value[len(value)-1]) {
		value = value[:len(value)-1]
	}
	return value
}

// lines returns the lines of a value that are not blank, trimmed: the form of
// the tables in Release and Sources.
func lines(value string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for line := range strings.SplitSeq(value, "\n") {
			if line = strings.Trim(line, " \t"); line != "" && !yield(line) {
				return
			}
		}
	}
}
