// Package closure has what all choices with dependencies share, whatever the client's rules
// are: the chain of reasons from a request to a package, remarks for the person who reads
// the plan, and the errors of a request that nothing meets.
//
// Each kind has its own solver, which follows its client's rules, and its own Request:
// the syntax of what can be asked for is the client's.
package closure

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
)

// Reason is one step of the way from a request to a package. Reasons share their
// beginnings: chains that are written out would be quadratic in their length.
type Reason struct {
	step fmt.Stringer
	from *Reason
}

// Because returns the step that follows from, or a request if from is nil. step is asked
// for its text when somebody reads the chain.
func Because(step fmt.Stringer, from *Reason) *Reason { return &Reason{step, from} }

// Text is a step whose text is known.
type Text string

func (t Text) String() string { return string(t) }

// maxWhy bounds what Why returns: an index can hold chains of any length.
const maxWhy = 40

// Why leads from the request to the package, one relation an element. The middle of a
// very long way is left out. A nil Reason has no way.
func (r *Reason) Why() []string {
	var why []string
	for ; r != nil; r = r.from {
		if len(why) == maxWhy && r.from != nil {
			why = append(why, "...")
			for r.from != nil {
				r = r.from
			}
		}
		why = append(why, r.step.String())
	}
	slices.Reverse(why)
	return why
}

// Clip joins the steps of a way into the reason that evidence has, at most most bytes
// of text.
func Clip(why []string, most int) string {
	const more = "..."
	text := strings.Join(why, "; ")
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most-len(more)], "") + more
}

// Notes are remarks for the person who reads the plan, each once.
type Notes map[string]bool

// Add adds a remark.
func (n Notes) Add(format string, args ...any) { n[fmt.Sprintf(format, args...)] = true }

// Sorted returns the remarks in order; nil if there is none.
func (n Notes) Sorted() []string { return slices.Sorted(maps.Keys(n)) }

// Asked returns the first reason for a package that a source's spec names.
func Asked(want, source string) string { return want + " is asked for by source " + source }

// Selected returns the first reason for a package that a source's spec does not name, but
// chooses with others.
func Selected(name, source string) string { return Asked(name, source+"'s selection") }

// NoArchitecture returns the error of a request that names a package and no architecture that
// it is for. It matches bundle.ErrUsage.
func NoArchitecture(source, want string) error {
	return fmt.Errorf("source %s: package %s: architectures is missing: want those of the clients, as in architectures: [x86_64]: %w", source, want, bundle.ErrUsage)
}

// NotFound returns the error of a request for what no index has. hint is Hint's, or empty.
// It matches bundle.ErrUsage.
func NotFound(source, want, hint string) error {
	return fmt.Errorf("source %s: package %s: in no index%s: %w", source, want, hint, bundle.ErrUsage)
}

// Unmet returns the error of a package that cannot be installed: text leads to what is
// missing. It matches bundle.ErrIncomplete.
func Unmet(text string) error { return fmt.Errorf("%s: %w", text, bundle.ErrIncomplete) }

// maxHint bounds the names in a hint.
const maxHint = 5

// Hint names what there is instead, at most five of it in the order of names, after
// words such as "there are"; "" if there is nothing.
func Hint(words string, names []string) string {
	var some []string
	for _, name := range names {
		if !slices.Contains(some, name) && len(some) < maxHint {
			some = append(some, name)
		}
	}
	if len(some) == 0 {
		return ""
	}
	return ", " + words + " " + strings.Join(some, ", ")
}

// Nearest orders names by how long a beginning they share with a name, the longest first:
// most mistakes are near a name's end.
func Nearest(name string, names []string) []string {
	shared := func(other string) int {
		n := 0
		for n < len(name) && n < len(other) && name[n] == other[n] {
			n++
		}
		return n
	}
	slices.SortStableFunc(names, func(a, b string) int { return cmp.Compare(shared(b), shared(a)) })
	return names
}

// IsPattern reports whether a name is a pattern of path.Match.
func IsPattern(name string) bool { return strings.ContainsAny(name, `*?[\`) }

// Matches reports whether name is what the pattern names. A pattern that CheckPatterns
// refuses matches nothing.
func Matches(pattern, name string) bool {
	ok, err := path.Match(pattern, name)
	return ok && err == nil
}

// CheckPatterns refuses the first pattern that path.Match cannot read. The error
// matches bundle.ErrUsage.
func CheckPatterns(source string, patterns ...string) error {
	for _, pattern := range patterns {
		if _, err := path.Match(pattern, ""); err != nil {
			return fmt.Errorf("source %s: package %.80q: %w: %w", source, pattern, err, bundle.ErrUsage)
		}
	}
	return nil
}
