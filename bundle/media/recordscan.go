package media

import (
	"bytes"
	"encoding/hex"
	"strconv"

	"github.com/gapbundle/gapbundle/bundle"
)

// itemScanner reads the line of an item as lineOf writes it. encoding/json takes some 4 µs for a
// line, and the blob tables are made from millions of them, twice.
type itemScanner struct {
	rest []byte
	ok   bool
}

// scanItem takes digest, size and segments of a line into it, whose memory is used again, and
// leaves key and validator as they are. It reports whether the line has the form that lineOf
// writes; of any other, encoding/json decides.
func scanItem(line []byte, it *recordItem) bool {
	s := itemScanner{rest: line, ok: true}
	s.word(`{"item":{"key":`)
	s.text()
	s.word(`,"digest":"sha256:`)
	s.digest(&it.Digest)
	s.word(`","size":`)
	it.Size = s.number()
	if s.has(`,"validator":`) {
		s.text()
	}
	it.Segments = it.Segments[:0]
	if s.has(`,"segments":[`) {
		for s.ok {
			s.word(`{"volume":`)
			seg := recordSegment{Volume: int(s.number())}
			s.word(`,"at":`)
			seg.At = s.number()
			s.word(`,"length":`)
			seg.Length = s.number()
			s.word(`,"offset":`)
			seg.Offset = s.number()
			s.word(`}`)
			it.Segments = append(it.Segments, seg)
			if !s.has(`,`) {
				break
			}
		}
		s.word(`]`)
	}
	s.word("}}\n")
	return s.ok && len(s.rest) == 0
}

func (s *itemScanner) has(word string) bool {
	if len(s.rest) < len(word) || string(s.rest[:len(word)]) != word {
		return false
	}
	s.rest = s.rest[len(word):]
	return true
}

func (s *itemScanner) word(word string) { s.ok = s.has(word) && s.ok }

// text skips a string with its quotation marks.
func (s *itemScanner) text() {
	s.word(`"`)
	for s.ok {
		n := bytes.IndexAny(s.rest, `"\`)
		if n < 0 || n+1 == len(s.rest) {
			s.ok = false
			return
		}
		if s.rest[n] == '"' {
			s.rest = s.rest[n+1:]
			return
		}
		s.rest = s.rest[n+2:] // the escaped character too
	}
}

func (s *itemScanner) digest(d *bundle.Digest) {
	const digits = 2 * len(d)
	if len(s.rest) < digits {
		s.ok = false
		return
	}
	text := s.rest[:digits]
	_, err := hex.Decode(d[:], text)
	s.ok = s.ok && err == nil && !bytes.ContainsAny(text, "ABCDEF")
	s.rest = s.rest[digits:]
}

// number takes digits, up to bundle.MaxInteger.
func (s *itemScanner) number() int64 {
	i := 0
	for i < len(s.rest) && s.rest[i] >= '0' && s.rest[i] <= '9' {
		i++
	}
	n, err := strconv.ParseInt(string(s.rest[:i]), 10, 64)
	s.ok = s.ok && err == nil && n <= bundle.MaxInteger && (i == 1 || s.rest[0] != '0')
	s.rest = s.rest[i:]
	return n
}
