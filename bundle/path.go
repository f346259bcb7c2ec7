package bundle

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// CheckPath reports what is wrong with p as a path inside a repository: relative,
// clean, UTF-8, '/'-separated, within MaxPathSize and MaxNameSize, without
// control or bidirectional-override characters, backslashes and the
// components "." and "..". Nothing is ever repaired: two readers that repair
// differently would serve different trees. Errors match ErrMalformed.
func CheckPath(p string) error {
	if p == "" {
		return fmt.Errorf("path: empty: %w", ErrMalformed)
	}
	if len(p) > MaxPathSize {
		return fmt.Errorf("path %.64q...: %s, at most %d: %w", p, Count(len(p), "byte"), MaxPathSize, ErrMalformed)
	}
	if isPlainASCII(p) { // most are
		return checkNames(p)
	}
	if !utf8.ValidString(p) {
		return fmt.Errorf("path %q: not UTF-8: %w", p, ErrMalformed)
	}
	if err := checkNames(p); err != nil {
		return err
	}
	for _, r := range p {
		if r == '\\' || !IsPlain(r) {
			return fmt.Errorf("path %q: character %U is not allowed: %w", p, r, ErrMalformed)
		}
	}
	return nil
}

// checkNames checks the components of a path.
func checkNames(p string) error {
	for rest, more := p, true; more; {
		var name string
		name, rest, more = strings.Cut(rest, "/")
		switch {
		case name == "":
			return fmt.Errorf("path %q: absolute, or an empty component: %w", p, ErrMalformed)
		case name == "." || name == "..":
			return fmt.Errorf("path %q: component %q: %w", p, name, ErrMalformed)
		case len(name) > MaxNameSize:
			return fmt.Errorf("path %q: a component of %s, at most %d: %w", p, Count(len(name), "byte"), MaxNameSize, ErrMalformed)
		}
	}
	return nil
}

// reserved are names that web servers take as their own, wherever they are: they read
// them as configuration and refuse to send them.
var reserved = []string{".htaccess", ".htpasswd", ".user.ini", "web.config"}

// CheckReserved refuses a path with a component that a web server takes as its own, in
// any case: Apache refuses what begins with ".ht", PHP reads .user.ini, and IIS
// web.config. Errors match ErrMalformed.
func CheckReserved(p string) error {
	for name := range strings.SplitSeq(p, "/") {
		if name == "" || name[0] != '.' && name[0] != 'w' && name[0] != 'W' {
			continue // nearly all
		}
		lower := strings.ToLower(name)
		if strings.HasPrefix(lower, ".ht") || slices.Contains(reserved, lower) {
			return fmt.Errorf("path %q: %s: a name that web servers take as their own, and do not send: %w", p, name, ErrMalformed)
		}
	}
	return nil
}

// isPlainASCII reports whether a path has no character that needs a closer look.
func isPlainASCII(p string) bool {
	for i := range len(p) {
		if c := p[i]; c < ' ' || c >= 0x7f || c == '\\' {
			return false
		}
	}
	return true
}

// IsPlain reports whether a character is allowed in a text that is signed or printed. The
// others draw on a terminal or make a text look like another one: control characters
// (C0 and C1, line feeds included), marks of writing direction, separators of lines, and
// the byte order mark.
func IsPlain(r rune) bool {
	if r < utf8.RuneSelf { // most are
		return r >= ' ' && r != 0x7f
	}
	return !unicode.IsControl(r) && !unicode.Is(unicode.Bidi_Control, r) && r != '\u2028' && r != '\u2029' && r != '\ufeff'
}

// CheckText reports whether a signed text is UTF-8 and has plain characters alone.
// Errors match ErrMalformed.
func CheckText(s string) error {
	if isPlainASCII(s) {
		return nil
	}
	if !utf8.ValidString(s) {
		return fmt.Errorf("text %.80q: not UTF-8: %w", s, ErrMalformed)
	}
	for _, r := range s {
		if !IsPlain(r) {
			return fmt.Errorf("text %.80q: character %U is not allowed: %w", s, r, ErrMalformed)
		}
	}
	return nil
}

// ComparePaths orders paths with '/' as the lowest byte. Everything below a folder then
// follows directly after the place of a file with the folder's name, so a path that is both
// file and folder is found by comparing two neighbours of a stream.
func ComparePaths(a, b string) int {
	n := min(len(a), len(b))
	for i := range n {
		x, y := a[i], b[i]
		if x == y {
			continue
		}
		if x == '/' || (x < y && y != '/') {
			return -1
		}
		return 1
	}
	return len(a) - len(b)
}

// PathOrder checks a stream of paths, one after the other. The zero value is
// ready for the first.
type PathOrder struct {
	last string
	any  bool
}

// Next checks p by CheckPath and against the path before: strictly ascending
// by ComparePaths, and not below a path that is a file. Errors match
// ErrMalformed.
func (o *PathOrder) Next(p string) error {
	if err := CheckPath(p); err != nil {
		return err
	}
	if o.any {
		switch c := ComparePaths(o.last, p); {
		case c == 0:
			return fmt.Errorf("path %q: listed twice: %w", p, ErrMalformed)
		case c > 0:
			return fmt.Errorf("path %q: listed after %q: not in order: %w", p, o.last, ErrMalformed)
		case len(p) > len(o.last) && p[len(o.last)] == '/' && p[:len(o.last)] == o.last:
			return fmt.Errorf("path %q: both a file and a folder: %w", o.last, ErrMalformed)
		}
	}
	o.last, o.any = p, true
	return nil
}

// Names of sets and sources: they become file names, host-name-like labels
// and parts of web paths.
const maxLabel = 40

// CheckLabel reports what is wrong with s as the name of a set or a source:
// [a-z0-9][a-z0-9-]{0,39}. Errors match ErrUsage.
func CheckLabel(s string) error {
	ok := len(s) >= 1 && len(s) <= maxLabel && s[0] != '-'
	for i := 0; ok && i < len(s); i++ {
		c := s[i]
		ok = c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-'
	}
	if !ok {
		return fmt.Errorf("name %.80q: want a-z, 0-9 and '-', beginning with a letter or digit, at most %d: %w", s, maxLabel, ErrUsage)
	}
	return nil
}

// CheckRepositoryName reports what is wrong with s as the name of a repository:
// the label of a source, or labels joined by '/' for what was derived from it
// ("gpu/oci"), or one of gapbundle's own that begin with '_'. Errors match
// ErrMalformed.
func CheckRepositoryName(s string) error {
	for _, part := range strings.Split(strings.TrimPrefix(s, "_"), "/") {
		if CheckLabel(part) != nil {
			return fmt.Errorf("repository name %.80q: %w", s, ErrMalformed)
		}
	}
	return nil
}

// DirName returns the name of the directory of a bundle: "<set>-<six digits>".
func DirName(set string, sequence int64) string { return fmt.Sprintf("%s-%06d", set, sequence) }

// PartialSuffix ends the name of the directory of a bundle that is not signed yet.
const PartialSuffix = ".partial"

// SplitDirName reverses DirName; ok is false for any other name.
// A PartialSuffix is accepted and reported.
func SplitDirName(name string) (set string, sequence int64, partial, ok bool) {
	name, partial = strings.CutSuffix(name, PartialSuffix)
	i := strings.LastIndexByte(name, '-')
	if i < 1 || CheckLabel(name[:i]) != nil || len(name)-i-1 < 6 || len(name)-i-1 > 16 {
		return "", 0, false, false
	}
	for _, c := range name[i+1:] {
		if c < '0' || c > '9' {
			return "", 0, false, false
		}
		sequence = sequence*10 + int64(c-'0')
	}
	if sequence < 1 || DirName(name[:i], sequence) != name {
		return "", 0, false, false
	}
	return name[:i], sequence, partial, true
}
