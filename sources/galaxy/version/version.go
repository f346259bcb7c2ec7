package version

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"

	"github.com/gapbundle/gapbundle/bundle"
)

const (
	// maxVersion bounds the text of a version, which becomes part of paths.
	maxVersion = 128 // bytes
	// maxRange bounds the text of a range, and maxConditions how many it has.
	maxRange      = 4096 // bytes
	maxConditions = 64
)

// Version is the version of a collection. The zero value is none.
type Version struct {
	v    *semver.Version
	text string
}

// Parse reads a version that has all of its numbers. Errors match bundle.ErrMalformed.
func Parse(text string) (Version, error) {
	if len(text) > maxVersion {
		return Version{}, fmt.Errorf("version %.40q...: %s, at most %d: %w", text, bundle.Count(len(text), "byte"), maxVersion, bundle.ErrMalformed)
	}
	v, err := semver.StrictNewVersion(text)
	if err != nil {
		return Version{}, fmt.Errorf("version %q: not of the form 1.2.3: %w", text, bundle.ErrMalformed)
	}
	return Version{v, text}, nil
}

// String returns the text that was parsed.
func (v Version) String() string { return v.text }

// Prerelease reports whether v is one: 1.0.0-beta.1 is.
func (v Version) Prerelease() bool { return v.v.Prerelease() != "" }

// Compare orders versions by precedence (semver.org, item 11); those that differ in build metadata
// alone by their text, so that the order is total.
func Compare(a, b Version) int { return cmp.Or(a.v.Compare(b.v), strings.Compare(a.text, b.text)) }

// Range is a set of versions. The zero value has all of them.
type Range struct {
	text       string
	conditions []condition
}

type condition struct {
	operator string // "=", "!=", ">", ">=", "<" or "<="
	version  *semver.Version
	pins     string // the version as it is written, where the condition names one exactly; else ""
}

// ParseRange reads a range; empty text is "*". Errors match bundle.ErrMalformed.
func ParseRange(text string) (Range, error) {
	if len(text) > maxRange {
		return Range{}, fmt.Errorf("range %.40q...: %s, at most %d: %w", text, bundle.Count(len(text), "byte"), maxRange, bundle.ErrMalformed)
	}
	r := Range{text: strings.TrimSpace(text)}
	if r.text == "" {
		return r, nil
	}
	for part := range strings.SplitSeq(r.text, ",") {
		if len(r.conditions) == maxConditions {
			return Range{}, fmt.Errorf("range %.40q...: more than %d conditions: %w", text, maxConditions, bundle.ErrMalformed)
		}
		c, err := parseCondition(strings.TrimSpace(part))
		if err != nil {
			return Range{}, fmt.Errorf("range %q: %w", text, err)
		}
		if c != nil {
			r.conditions = append(r.conditions, *c)
		}
	}
	return r, nil
}

// parseCondition returns nil for a condition that always holds.
func parseCondition(part string) (*condition, error) {
	operator, rest := "=", part
	for _, o := range []string{"==", "!=", ">=", "<=", "=", ">", "<"} {
		if after, ok := strings.CutPrefix(part, o); ok {
			operator, rest = o, strings.TrimSpace(after)
			break
		}
	}
	if operator == "==" {
		operator = "="
	}
	if rest == "*" {
		return nil, nil
	}
	v, err := completed(rest)
	if err != nil {
		return nil, err
	}
	c := &condition{operator: operator, version: v}
	if operator == "=" {
		c.pins = rest
	}
	return c, nil
}

// completed reads a version that may lack its last numbers.
func completed(text string) (*semver.Version, error) {
	core, extra := text, ""
	if i := strings.IndexAny(text, "-+"); i >= 0 {
		core, extra = text[:i], text[i:]
	}
	numbers := strings.Split(core, ".")
	for i, n := range numbers {
		if n == "" || strings.Trim(n, "0123456789") != "" {
			return nil, fmt.Errorf("%q is no version: %w", text, bundle.ErrMalformed)
		}
		if n = strings.TrimLeft(n, "0"); n == "" {
			n = "0"
		}
		numbers[i] = n
	}
	for len(numbers) < 3 {
		numbers = append(numbers, "0")
	}
	v, err := Parse(strings.Join(numbers, ".") + extra)
	if err != nil {
		return nil, fmt.Errorf("%q is no version: %w", text, bundle.ErrMalformed)
	}
	return v.v, nil
}

// Has reports whether v meets every condition.
func (r Range) Has(v Version) bool {
	return !slices.ContainsFunc(r.conditions, func(c condition) bool { return !c.holds(v.v.Compare(c.version)) })
}

func (c condition) holds(order int) bool {
	switch c.operator {
	case "=":
		return order == 0
	case "!=":
		return order != 0
	case ">":
		return order > 0
	case ">=":
		return order >= 0
	case "<":
		return order < 0
	}
	return order <= 0
}

// Pins reports whether r asks for exactly v, as text: then a pre-release is taken although there are
// releases.
func (r Range) Pins(v Version) bool {
	return slices.ContainsFunc(r.conditions, func(c condition) bool { return c.pins == v.text })
}

// String returns the range as it was written, "*" for all versions.
func (r Range) String() string {
	if r.text == "" {
		return "*"
	}
	return r.text
}

// Select returns the versions of all that every range has, the newest first. Pre-releases are left out as
// long as all has a release, unless a range pins them: ansible-galaxy without --pre does the same.
func Select(all []Version, ranges ...Range) []Version {
	released := slices.ContainsFunc(all, func(v Version) bool { return !v.Prerelease() })
	var some []Version
	for _, v := range all {
		within := !slices.ContainsFunc(ranges, func(r Range) bool { return !r.Has(v) })
		pinned := slices.ContainsFunc(ranges, func(r Range) bool { return r.Pins(v) })
		if within && (pinned || !released || !v.Prerelease()) {
			some = append(some, v)
		}
	}
	slices.SortFunc(some, func(a, b Version) int { return Compare(b, a) })
	return some
}
