package marker

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/sources/pypi/pep440"
)

// Bounds of what is read.
const (
	// MaxLength bounds a dependency specifier or marker, in bytes.
	MaxLength = 64 << 10
	// maxDepth bounds parentheses within each other; they are read by recursion.
	maxDepth = 100
)

var (
	// ErrInvalid is matched by errors about text that is no marker or
	// requirement.
	ErrInvalid = errors.New("not valid by the dependency specifier specification")
	// ErrUnknown is matched by the error of an evaluation whose result depends
	// on what the environment does not have.
	ErrUnknown = errors.New("not known for this target")
)

// UnknownError names what an evaluation needed to know.
type UnknownError struct {
	Variable   string
	Expression string
}

func (e *UnknownError) Error() string {
	return fmt.Sprintf("%s: depends on %s: %v", e.Expression, e.Variable, ErrUnknown)
}

// Unwrap makes it match ErrUnknown.
func (e *UnknownError) Unwrap() error { return ErrUnknown }

// truth is a value of three: an answer may not be known.
type truth int

const (
	no truth = iota
	unknown
	yes
)

func truthOf(b bool) truth {
	if b {
		return yes
	}
	return no
}

func (t truth) and(o truth) truth { return min(t, o) }
func (t truth) or(o truth) truth  { return max(t, o) }

// Marker is a condition on environments. The nil Marker holds always.
type Marker struct {
	text string
	root node
}

// node is an expression: of the parts of a combination, or of a comparison.
type node struct {
	any        bool // true: or, false: and
	parts      []node
	comparison *comparison
}

// comparison has a variable on one side and text on the other.
type comparison struct {
	variable string
	op       string
	literal  string
	reversed bool // the text is on the left
}

// Parse reads a marker.
func Parse(text string) (*Marker, error) {
	p := &parser{text: text}
	m, err := p.marker()
	if err != nil {
		return nil, fmt.Errorf("marker %.200q: %w: %w", text, err, ErrInvalid)
	}
	return m, nil
}

// String returns the marker as it was read.
func (m *Marker) String() string {
	if m == nil {
		return ""
	}
	return m.text
}

// Holds evaluates m. Where it depends on what env does not have the error
// is an UnknownError.
func (m *Marker) Holds(env *Environment, of Selection) (bool, error) {
	if m == nil {
		return true, nil
	}
	extras := of.Extras
	if len(extras) == 0 {
		extras = []string{""}
	}
	result := no
	var missing string
	for _, extra := range extras {
		e := evaluation{env: env, extra: extra, extras: of.Extras}
		t := e.node(&m.root)
		if t == unknown {
			missing = e.missing
		}
		result = result.or(t)
	}
	if result == unknown {
		return false, &UnknownError{Variable: missing, Expression: m.text}
	}
	return result == yes, nil
}

// UsesExtra reports whether m looks at the variable extra.
func (m *Marker) UsesExtra() bool { return m != nil && m.root.uses(extraVariable) }

func (n *node) uses(variable string) bool {
	if n.comparison != nil {
		return n.comparison.variable == variable
	}
	return slices.ContainsFunc(n.parts, func(part node) bool { return part.uses(variable) })
}

type evaluation struct {
	env     *Environment
	extra   string
	extras  []string
	missing string // a variable that was not known
}

func (e *evaluation) node(n *node) truth {
	if n.comparison != nil {
		return e.compare(n.comparison)
	}
	result := truthOf(!n.any)
	for i := range n.parts {
		if t := e.node(&n.parts[i]); n.any {
			result = result.or(t)
		} else {
			result = result.and(t)
		}
	}
	return result
}

func (e *evaluation) compare(c *comparison) truth {
	switch c.variable {
	case extraVariable:
		return truthOf(c.text(e.extra, NormalName(c.literal)))
	case extrasVariable:
		return c.member(e.extras)
	case groupsVariable:
		return c.member(e.env.Groups)
	}
	value, known := e.env.Values[c.variable]
	if !known {
		e.missing = c.variable
		return unknown
	}
	if c.variable != PythonFullVersion && c.variable != ImplementationVersion {
		return truthOf(c.with(value))
	}
	t := e.env.agreement(value, c.literal, c.with)
	if t == unknown {
		e.missing = c.variable
	}
	return t
}

// member evaluates "name" in a set.
func (c *comparison) member(set []string) truth {
	in := slices.ContainsFunc(set, func(s string) bool { return NormalName(s) == NormalName(c.literal) })
	return truthOf(in == (c.op == opIn))
}

// with compares the variable's value with the text.
func (c *comparison) with(value string) bool {
	left, right := value, c.literal
	if c.reversed {
		left, right = right, left
	}
	if isVersion(c.variable) && c.op != opIn && c.op != opNotIn {
		if s, err := pep440.ParseSpecifier(c.op + right); err == nil {
			v, err := pep440.Parse(left)
			return err == nil && s.Contains(v) || err != nil && c.op == "===" && left == right
		}
	}
	return c.text(left, right)
}

// isVersion reports whether a variable's values are versions.
func isVersion(variable string) bool {
	switch variable {
	case PythonVersion, PythonFullVersion, ImplementationVersion, PlatformRelease:
		return true
	}
	return false
}

// text compares without order: of two texts none is less than the other.
func (c *comparison) text(value, literal string) bool {
	left, right := value, literal
	if c.reversed && c.variable == extraVariable {
		left, right = literal, value
	}
	switch c.op {
	case "==", "<=", ">=":
		return left == right
	case "!=":
		return left != right
	case opIn:
		return strings.Contains(right, left)
	case opNotIn:
		return !strings.Contains(right, left)
	}
	return false
}
