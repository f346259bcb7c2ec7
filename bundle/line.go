package bundle

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Lists have tens of millions of lines, and encoding/json with the way round
// by MarshalCanonical takes some 10 µs for one. So lines of files, evidence,
// entries, blobs and frames are written and read by hand here, for the shapes that
// nearly all of them have. Whatever is unusual (a character that is escaped as
// \u, a negative number, anything not canonical) takes the slow way,
// which alone decides; that both agree on every line is fuzzed.

// AppendLine appends the canonical form of v, without a newline. A string that
// is not UTF-8 cannot be written: JSON would silently change it. Errors match
// ErrMalformed.
func AppendLine[T Line](dst []byte, v T) ([]byte, error) {
	ok, text := false, true
	at := len(dst)
	switch p := any(&v).(type) {
	case *File:
		dst, ok = appendFile(dst, p)
		text = validText(p.Annotations, p.Path, p.MediaType)
	case *Evidence:
		dst, ok = appendEvidence(dst, p)
		text = validText(p.Annotations, p.Path, p.Origin, p.Reason, p.Vouched)
	case *Entry:
		dst, ok = appendEntry(dst, p)
		text = p.validText()
	case *Blob:
		dst, ok = appendBlob(dst, p)
	case *Frame:
		dst, ok = appendFrame(dst, p)
	case *Volume:
		text = validText(p.Annotations, p.Name, p.Role)
	}
	switch {
	case !text:
		return dst[:at], fmt.Errorf("list line %.200q: not UTF-8: %w", fmt.Sprint(v), ErrMalformed)
	case ok:
		return dst, nil
	}
	b, err := MarshalCanonical(v)
	return append(dst[:at], b...), err
}

// ParseLine reverses AppendLine and refuses every other spelling.
// Errors match ErrMalformed.
func ParseLine[T Line](line []byte) (T, error) {
	var v T
	var again [1024]byte // on the stack; a longer line costs one allocation
	ok := false
	s := scanner{rest: line, ok: true}
	switch p := any(&v).(type) {
	case *File:
		if s.file(p); s.ok {
			b, fast := appendFile(again[:0], p)
			ok = fast && bytes.Equal(b, line)
		}
	case *Evidence:
		if s.evidence(p); s.ok {
			b, fast := appendEvidence(again[:0], p)
			ok = fast && bytes.Equal(b, line)
		}
	case *Entry:
		if s.entry(p); s.ok {
			b, fast := appendEntry(again[:0], p)
			ok = fast && bytes.Equal(b, line)
		}
	case *Blob:
		if s.blob(p); s.ok {
			b, fast := appendBlob(again[:0], p)
			ok = fast && bytes.Equal(b, line)
		}
	case *Frame:
		if s.frame(p); s.ok {
			b, fast := appendFrame(again[:0], p)
			ok = fast && bytes.Equal(b, line)
		}
	}
	if ok {
		return v, nil
	}
	return parseLineSlowly[T](line)
}

func parseLineSlowly[T Line](line []byte) (T, error) {
	var v T
	err := UnmarshalCanonical(line, &v)
	return v, err
}

func validText(annotations map[string]string, texts ...string) bool {
	for k, v := range annotations {
		if !utf8.ValidString(k) || !utf8.ValidString(v) {
			return false
		}
	}
	for _, s := range texts {
		if !utf8.ValidString(s) {
			return false
		}
	}
	return true
}

// The appenders return false where the value has something that only
// MarshalCanonical knows how to write; what they appended is then void.

func appendFile(dst []byte, f *File) ([]byte, bool) {
	if !plain(f.Path) || !plain(f.MediaType) || !inRange(f.Size) {
		return dst, false
	}
	dst, ok := appendAnnotations(append(dst, '{'), f.Annotations)
	dst = appendDigest(append(dst, `"digest":`...), &f.Digest)
	if f.Filled {
		dst = append(dst, `,"filled":true`...)
	}
	if f.MediaType != "" {
		dst = appendText(append(dst, `,"mediaType":`...), f.MediaType)
	}
	dst = appendText(append(dst, `,"path":`...), f.Path)
	dst = strconv.AppendInt(append(dst, `,"size":`...), f.Size, 10)
	return append(dst, '}'), ok
}

// appendAnnotations appends the member with the comma after it. The bytes of
// ASCII keys are in the order of RFC 8785 section 3.2.3; others are not always.
func appendAnnotations(dst []byte, annotations map[string]string) ([]byte, bool) {
	if len(annotations) == 0 {
		return dst, annotations == nil
	}
	var several [8]string // on the stack; more keys cost one allocation
	keys := several[:0]
	for k := range annotations {
		if !plain(k) || len(k) != utf8.RuneCountInString(k) {
			return dst, false
		}
		keys = append(keys, k)
	}
	slices.Sort(keys)
	dst = append(dst, `"annotations":`...)
	for i, k := range keys {
		dst = append(dst, "{,"[min(i, 1)])
		dst = appendString(append(appendText(dst, k), ':'), annotations[k])
	}
	return append(dst, '}', ','), true
}

func appendEvidence(dst []byte, e *Evidence) ([]byte, bool) {
	if !plain(e.Origin) || !plain(e.Path) || !plain(e.Reason) || !plain(e.Vouched) {
		return dst, false
	}
	dst, ok := appendAnnotations(append(dst, '{'), e.Annotations)
	if e.Origin != "" {
		dst = append(appendText(append(dst, `"origin":`...), e.Origin), ',')
	}
	dst = appendText(append(dst, `"path":`...), e.Path)
	if e.Reason != "" {
		dst = appendText(append(dst, `,"reason":`...), e.Reason)
	}
	dst = appendText(append(dst, `,"vouched":`...), e.Vouched)
	return append(dst, '}'), ok
}

func appendBlob(dst []byte, b *Blob) ([]byte, bool) {
	if !inRange(b.At) || !inRange(b.Length) || !inRange(b.Offset) || !inRange(b.Size) {
		return dst, false
	}
	dst = append(dst, '{')
	if b.At != 0 {
		dst = append(strconv.AppendInt(append(dst, `"at":`...), b.At, 10), ',')
	}
	dst = appendDigest(append(dst, `"digest":`...), &b.Digest)
	dst = strconv.AppendInt(append(dst, `,"length":`...), b.Length, 10)
	dst = strconv.AppendInt(append(dst, `,"offset":`...), b.Offset, 10)
	dst = strconv.AppendInt(append(dst, `,"size":`...), b.Size, 10)
	return append(dst, '}'), true
}

func appendFrame(dst []byte, f *Frame) ([]byte, bool) {
	if !inRange(f.Compressed) || !inRange(f.Raw) {
		return dst, false
	}
	dst = strconv.AppendInt(append(dst, `{"compressed":`...), f.Compressed, 10)
	dst = appendDigest(append(dst, `,"digest":`...), &f.Digest)
	dst = strconv.AppendInt(append(dst, `,"raw":`...), f.Raw, 10)
	return append(dst, '}'), true
}

func inRange(n int64) bool { return n >= 0 && n <= MaxInteger }

// plain reports whether canonical JSON has s as it is: UTF-8 that needs no escape.
func plain(s string) bool {
	ascii := true
	for i := range len(s) {
		c := s[i]
		if c < 0x20 || c == '"' || c == '\\' {
			return false
		}
		ascii = ascii && c < utf8.RuneSelf
	}
	return ascii || utf8.ValidString(s)
}

func appendText(dst []byte, s string) []byte { return append(append(append(dst, '"'), s...), '"') }

func appendDigest(dst []byte, d *Digest) []byte {
	dst = append(dst, `"`+digestPrefix...)
	return append(hex.AppendEncode(dst, d[:]), '"')
}

// scanner takes a line apart. It may take what is not canonical: the caller
// compares with the canonical form. ok turns false for good at what it does
// not know.
type scanner struct {
	rest []byte
	ok   bool
}

func (s *scanner) file(f *File) {
	s.literal(`{`)
	f.Annotations = s.annotations()
	s.literal(`"digest":`)
	s.digest(&f.Digest)
	f.Filled = s.optional(`,"filled":true`)
	if s.optional(`,"mediaType":`) {
		f.MediaType = s.text()
	}
	s.literal(`,"path":`)
	f.Path = s.text()
	s.literal(`,"size":`)
	f.Size = s.integer()
	s.end()
}

// annotations takes the member with the comma after it, or nothing.
func (s *scanner) annotations() map[string]string {
	if !s.optional(`"annotations":{`) {
		return nil
	}
	annotations := map[string]string{}
	for s.ok {
		key := s.text()
		s.literal(`:`)
		annotations[key] = s.escaped()
		if !s.optional(`,`) {
			s.literal(`},`)
			break
		}
	}
	return annotations
}

func (s *scanner) evidence(e *Evidence) {
	s.literal(`{`)
	e.Annotations = s.annotations()
	if s.optional(`"origin":`) {
		e.Origin = s.text()
		s.literal(`,`)
	}
	s.literal(`"path":`)
	e.Path = s.text()
	if s.optional(`,"reason":`) {
		e.Reason = s.text()
	}
	s.literal(`,"vouched":`)
	e.Vouched = s.text()
	s.end()
}

func (s *scanner) blob(b *Blob) {
	s.literal(`{`)
	if s.optional(`"at":`) {
		b.At = s.integer()
		s.literal(`,`)
	}
	s.literal(`"digest":`)
	s.digest(&b.Digest)
	s.literal(`,"length":`)
	b.Length = s.integer()
	s.literal(`,"offset":`)
	b.Offset = s.integer()
	s.literal(`,"size":`)
	b.Size = s.integer()
	s.end()
}

func (s *scanner) frame(f *Frame) {
	s.literal(`{"compressed":`)
	f.Compressed = s.integer()
	s.literal(`,"digest":`)
	s.digest(&f.Digest)
	s.literal(`,"raw":`)
	f.Raw = s.integer()
	s.end()
}

func (s *scanner) optional(word string) bool {
	if len(s.rest) < len(word) || string(s.rest[:len(word)]) != word {
		return false
	}
	s.rest = s.rest[len(word):]
	return true
}

func (s *scanner) literal(word string) {
	if !s.optional(word) {
		s.ok = false
	}
}

func (s *scanner) end() {
	s.literal(`}`)
	s.ok = s.ok && len(s.rest) == 0
}

// text takes a string without escapes.
func (s *scanner) text() string {
	if !s.optional(`"`) {
		s.ok = false
		return ""
	}
	n := bytes.IndexByte(s.rest, '"')
	if n < 0 {
		s.ok = false
		return ""
	}
	text := string(s.rest[:n])
	s.rest = s.rest[n+1:]
	return text
}

// escaped takes a string in which a quotation mark or a backslash may be
// escaped, as an ETag has them.
func (s *scanner) escaped() string {
	from := s.rest
	if text := s.text(); !strings.Contains(text, `\`) {
		return text
	}
	s.rest = from[1:]
	var text []byte
	for i := 0; i < len(s.rest); i++ {
		c := s.rest[i]
		if c == '"' {
			s.rest = s.rest[i+1:]
			return string(text)
		}
		if c == '\\' {
			if i++; i == len(s.rest) || s.rest[i] != '"' && s.rest[i] != '\\' {
				break
			}
			c = s.rest[i]
		}
		text = append(text, c)
	}
	s.ok = false
	return ""
}

func (s *scanner) integer() int64 {
	const most = 16 // digits of MaxInteger
	n, i := int64(0), 0
	for ; i < len(s.rest) && i < most && s.rest[i] >= '0' && s.rest[i] <= '9'; i++ {
		n = n*10 + int64(s.rest[i]-'0')
	}
	s.ok = s.ok && i > 0
	s.rest = s.rest[i:]
	return n
}

func (s *scanner) digest(d *Digest) {
	const size = len(`"`+digestPrefix) + 2*len(Digest{}) + len(`"`)
	if len(s.rest) < size {
		s.ok = false
		return
	}
	_, err := hex.Decode(d[:], s.rest[len(`"`+digestPrefix):size-1])
	s.ok = s.ok && err == nil
	s.rest = s.rest[size:]
}
