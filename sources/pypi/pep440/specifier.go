package pep440

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/internal/spelling"
)

// MaxSpecifiers bounds how many specifiers a set may have.
const MaxSpecifiers = 256

// Specifier is one condition on versions, such as ">=1.2". The zero value is
// none.
type Specifier struct {
	Op     string // ~= == != <= >= < > ===
	text   string // the version as written, in lower case, without ".*"
	prefix bool   // ends with ".*"
	v      Version
}

// Set is a comma-separated list of specifiers; all of them have to hold. The
// empty set admits every version.
type Set []Specifier

// operators, in the order in which they are looked for.
var operators = [...]string{"===", "~=", "==", "!=", "<=", ">=", "<", ">"}

// ParseSet reads "", ">=1.2" and ">=1.2, !=1.3.*".
func ParseSet(text string) (Set, error) {
	var set Set
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.Trim(part, spaces); part == "" {
			continue // packaging takes ">=1," and ",": such metadata exists
		}
		if len(set) == MaxSpecifiers {
			return nil, fmt.Errorf("more than %d specifiers: %w", MaxSpecifiers, ErrInvalid)
		}
		one, err := ParseSpecifier(part)
		if err != nil {
			return nil, err
		}
		set = append(set, one)
	}
	return set, nil
}

// ParseSpecifier reads one operator and its version.
func ParseSpecifier(text string) (Specifier, error) {
	if len(text) > MaxLength {
		return Specifier{}, fmt.Errorf("specifier of %s, want at most %d: %w", spelling.Count(len(text), "byte"), MaxLength, ErrInvalid)
	}
	part := strings.Trim(text, spaces)
	for _, op := range operators {
		rest, ok := strings.CutPrefix(part, op)
		if !ok {
			continue
		}
		if s, ok := newSpecifier(op, strings.ToLower(strings.Trim(rest, spaces))); ok {
			return s, nil
		}
		break
	}
	return Specifier{}, fmt.Errorf("specifier %q: %w", text, ErrInvalid)
}

func newSpecifier(op, text string) (s Specifier, ok bool) {
	s = Specifier{Op: op, text: text}
	if op == "===" {
		s.v, _ = Parse(text)
		return s, !strings.ContainsAny(text, spaces+";)")
	}
	if s.text, s.prefix = strings.CutSuffix(text, ".*"); s.prefix && (op != "==" && op != "!=" || strings.ContainsAny(s.text, spaces)) {
		return s, false
	}
	var err error
	if s.v, err = Parse(s.text); err != nil {
		return s, false
	}
	switch {
	case s.prefix:
		return s, s.v.pre == "" && !s.v.post && !s.v.dev && s.v.local == nil
	case op == "~=":
		return s, len(s.v.release) > 1 && s.v.local == nil
	case op != "==" && op != "!=":
		return s, s.v.local == nil
	}
	return s, true
}

// String returns the specifier, its version in normal form.
func (s Specifier) String() string {
	text := s.text
	if s.Op != "===" {
		text = s.v.String()
	}
	if s.prefix {
		text += ".*"
	}
	return s.Op + text
}

// String returns the specifiers separated by commas.
func (s Set) String() string {
	parts := make([]string, len(s))
	for i, one := range s {
		parts[i] = one.String()
	}
	return strings.Join(parts, ",")
}

// IsPin reports whether s admits one version only: "==" without a prefix, or
// "===".
func (s Specifier) IsPin() bool { return s.Op == "===" || s.Op == "==" && !s.prefix }

// IsUpperBound reports whether s limits versions from above.
func (s Specifier) IsUpperBound() bool {
	return s.Op == "<" || s.Op == "<=" || s.Op == "~=" || s.Op == "==" && s.prefix
}

// Version returns the version that s names; for "===" it may be the zero one.
func (s Specifier) Version() Version { return s.v }

// Contains reports whether v meets s; pre-releases are versions like others.
func (s Specifier) Contains(v Version) bool {
	switch s.Op {
	case "===":
		return v.String() == s.text
	case "==":
		return s.equal(v)
	case "!=":
		return !s.equal(v)
	case "<=":
		return v.comparePublic(s.v) <= 0
	case ">=":
		return v.comparePublic(s.v) >= 0
	case "<":
		// <3.1 is not met by 3.1's own pre-releases unless it names one.
		first := s.v
		if !first.IsPreRelease() {
			first.dev = true // the earliest of its pre-releases: 3.1.dev0
		}
		return v.Compare(first) < 0
	case ">":
		// >3.1 is not met by 3.1.post1, nor by 3.1+local.
		return v.comparePublic(s.v) > 0 && !s.isPostOf(v)
	case "~=":
		return v.comparePublic(s.v) >= 0 && hasPrefix(v, s.v.epoch, s.v.release[:len(s.v.release)-1])
	}
	return false
}

// isPostOf reports whether v is a post-release of the very version s names.
func (s Specifier) isPostOf(v Version) bool {
	return v.post && !s.v.post && !s.v.dev && v.epoch == s.v.epoch && compareRelease(v.release, s.v.release) == 0 &&
		v.pre == s.v.pre && v.preN == s.v.preN
}

func (s Specifier) equal(v Version) bool {
	switch {
	case s.prefix:
		return hasPrefix(v, s.v.epoch, s.v.release)
	case s.v.local == nil:
		return v.comparePublic(s.v) == 0
	}
	return v.Compare(s.v) == 0
}

// hasPrefix reports whether v's release begins with prefix; missing numbers of
// v are zeros.
func hasPrefix(v Version, epoch number, prefix []number) bool {
	if v.epoch != epoch {
		return false
	}
	return compareRelease(v.release[:min(len(prefix), len(v.release))], prefix) == 0
}

// Contains reports whether v meets all of s; pre-releases are versions like
// others.
func (s Set) Contains(v Version) bool {
	return !slices.ContainsFunc(s, func(one Specifier) bool { return !one.Contains(v) })
}

// NamesPreRelease reports whether s asks for a pre-release by name, so that
// pre-releases count.
func (s Set) NamesPreRelease() bool {
	return slices.ContainsFunc(s, func(one Specifier) bool { return one.Op != "!=" && one.v.IsPreRelease() })
}

// IsPin reports whether one of s admits one version only.
func (s Set) IsPin() bool { return slices.ContainsFunc(s, Specifier.IsPin) }
