package pep440

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/internal/spelling"
)

// MaxLength bounds versions and specifiers, in bytes. The longest version of a
// public index has about 90.
const MaxLength = 512

// ErrInvalid is matched by the errors of Parse and ParseSet.
var ErrInvalid = errors.New("not valid by the Python version specification")

// number is a non-negative integer of any size: digits without leading zeros,
// "" for zero.
type number string

func (n number) compare(o number) int {
	return cmp.Or(cmp.Compare(len(n), len(o)), strings.Compare(string(n), string(o)))
}

func (n number) String() string {
	if n == "" {
		return "0"
	}
	return string(n)
}

// Version is a version as compared by Compare. The zero value is no version.
type Version struct {
	epoch   number
	release []number // at least one
	pre     string   // "", "a", "b" or "rc"
	preN    number
	post    bool
	postN   number
	dev     bool
	devN    number
	local   []string // lower case
}

// Parse reads a version. Spaces around it are ignored.
func Parse(text string) (Version, error) {
	if len(text) > MaxLength {
		return Version{}, fmt.Errorf("version of %s, want at most %d: %w", spelling.Count(len(text), "byte"), MaxLength, ErrInvalid)
	}
	s := scanner{rest: strings.ToLower(strings.Trim(text, spaces))}
	v, ok := s.version()
	if !ok || s.rest != "" {
		return Version{}, fmt.Errorf("version %q: %w", text, ErrInvalid)
	}
	return v, nil
}

// spaces is what Python's regular expressions call white space, in ASCII.
const spaces = " \t\n\r\f\v"

// scanner takes a version apart, from the left. rest is in lower case.
type scanner struct{ rest string }

func (s *scanner) version() (v Version, ok bool) {
	s.skip("v")
	first, ok := s.digits()
	if !ok {
		return v, false
	}
	if s.skip("!") {
		v.epoch = first
		if first, ok = s.digits(); !ok {
			return v, false
		}
	}
	v.release = []number{first}
	for {
		before := s.rest
		if !s.skip(".") {
			break
		}
		n, ok := s.digits()
		if !ok {
			s.rest = before
			break
		}
		v.release = append(v.release, n)
	}
	if word, n, ok := s.segment("alpha", "a", "beta", "b", "preview", "pre", "rc", "c"); ok {
		v.pre, v.preN = preRelease(word), n
	}
	v.post, v.postN = s.postRelease()
	_, v.devN, v.dev = s.segment("dev")
	return v, s.local(&v)
}

func preRelease(word string) string {
	switch word {
	case "a", "alpha":
		return "a"
	case "b", "beta":
		return "b"
	}
	return "rc"
}

// postRelease reads "-1" as well as "post1" in its spellings.
func (s *scanner) postRelease() (ok bool, n number) {
	before := s.rest
	if s.skip("-") {
		if n, ok := s.digits(); ok {
			return true, n
		}
		s.rest = before
	}
	_, n, ok = s.segment("post", "rev", "r")
	return ok, n
}

// segment reads one of words with its number, with separators before both. A
// word that is the beginning of another one comes after it.
func (s *scanner) segment(words ...string) (word string, n number, ok bool) {
	before := s.rest
	s.separator()
	for _, word := range words {
		if !s.skip(word) {
			continue
		}
		s.separator() // in "1.0a.dev1" and "1.0a-" as well
		n, _ = s.digits()
		return word, n, true
	}
	s.rest = before
	return "", "", false
}

func (s *scanner) separator() {
	if s.rest != "" && strings.IndexByte("-_.", s.rest[0]) >= 0 {
		s.rest = s.rest[1:]
	}
}

func (s *scanner) local(v *Version) bool {
	if !s.skip("+") {
		return true
	}
	for {
		end := strings.IndexFunc(s.rest, func(r rune) bool { return !isWord(r) })
		if end < 0 {
			end = len(s.rest)
		}
		if end == 0 {
			return false
		}
		v.local, s.rest = append(v.local, s.rest[:end]), s.rest[end:]
		if s.rest == "" || strings.IndexByte("-_.", s.rest[0]) < 0 {
			return true
		}
		s.rest = s.rest[1:]
	}
}

func isWord(r rune) bool { return r >= '0' && r <= '9' || r >= 'a' && r <= 'z' }

func (s *scanner) skip(word string) bool {
	rest, ok := strings.CutPrefix(s.rest, word)
	if ok {
		s.rest = rest
	}
	return ok
}

func (s *scanner) digits() (number, bool) {
	end := 0
	for end < len(s.rest) && s.rest[end] >= '0' && s.rest[end] <= '9' {
		end++
	}
	if end == 0 {
		return "", false
	}
	n := number(strings.TrimLeft(s.rest[:end], "0"))
	s.rest = s.rest[end:]
	return n, true
}

// String returns the normal form.
func (v Version) String() string {
	var b strings.Builder
	v.writePublic(&b)
	for i, part := range v.local {
		b.WriteByte("+."[min(i, 1)])
		if n, ok := asNumber(part); ok {
			part = n.String()
		}
		b.WriteString(part)
	}
	return b.String()
}

// Public returns the normal form without the local part.
func (v Version) Public() string {
	var b strings.Builder
	v.writePublic(&b)
	return b.String()
}

func (v Version) writePublic(b *strings.Builder) {
	if v.epoch != "" {
		b.WriteString(v.epoch.String() + "!")
	}
	for i, n := range v.release {
		if i > 0 {
			b.WriteByte('.')
		}
		b.WriteString(n.String())
	}
	if v.pre != "" {
		b.WriteString(v.pre + v.preN.String())
	}
	if v.post {
		b.WriteString(".post" + v.postN.String())
	}
	if v.dev {
		b.WriteString(".dev" + v.devN.String())
	}
}

// IsPreRelease reports whether v is a pre-release or a development release.
func (v Version) IsPreRelease() bool { return v.pre != "" || v.dev }

// IsLocal reports whether v has a local part ("+cpu").
func (v Version) IsLocal() bool { return len(v.local) > 0 }

// IsZero reports whether v is no version.
func (v Version) IsZero() bool { return v.release == nil }

// Release returns the i-th number of the release segment in digits, "0" beyond
// its end.
func (v Version) Release(i int) string {
	if i >= len(v.release) {
		return "0"
	}
	return v.release[i].String()
}

// Compare orders versions: development releases, pre-releases, the release,
// post-releases; a local version comes after its public one.
func (v Version) Compare(o Version) int {
	return cmp.Or(v.comparePublic(o), compareLocal(v.local, o.local))
}

func (v Version) comparePublic(o Version) int {
	if c := cmp.Or(v.epoch.compare(o.epoch), compareRelease(v.release, o.release)); c != 0 {
		return c
	}
	return cmp.Or(
		cmp.Compare(v.preRank(), o.preRank()), v.preN.compare(o.preN),
		compareBool(v.post, o.post), v.postN.compare(o.postN),
		compareBool(!v.dev, !o.dev), v.devN.compare(o.devN),
	)
}

// preRank: a development release of nothing else comes before all
// pre-releases, everything that is no pre-release after them.
func (v Version) preRank() int {
	switch {
	case v.pre == "" && !v.post && v.dev:
		return 0
	case v.pre == "":
		return 4
	}
	return 1 + slices.Index([]string{"a", "b", "rc"}, v.pre)
}

// compareRelease ignores zeros at the end: 1.0 and 1.0.0 are one release.
func compareRelease(a, b []number) int {
	for i := range max(len(a), len(b)) {
		var x, y number
		if i < len(a) {
			x = a[i]
		}
		if i < len(b) {
			y = b[i]
		}
		if c := x.compare(y); c != 0 {
			return c
		}
	}
	return 0
}

// compareLocal: letters before numbers, a beginning before the whole.
func compareLocal(a, b []string) int {
	return slices.CompareFunc(a, b, func(x, y string) int {
		xn, xIs := asNumber(x)
		yn, yIs := asNumber(y)
		if xIs && yIs {
			return xn.compare(yn)
		}
		if c := compareBool(xIs, yIs); c != 0 {
			return c
		}
		return strings.Compare(x, y)
	})
}

func asNumber(s string) (number, bool) {
	if strings.Trim(s, "0123456789") != "" {
		return "", false
	}
	return number(strings.TrimLeft(s, "0")), true
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}
