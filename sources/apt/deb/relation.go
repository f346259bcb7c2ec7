package deb

import (
	"fmt"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
)

// Op compares a version with the one of a relation. The zero value is no
// comparison: any version will do.
type Op uint8

// The comparisons of policy 7.1.
const (
	Any Op = iota
	Less
	LessEqual
	Equal
	GreaterEqual
	Greater
)

// parseOp reads an operator. One angle is long deprecated, and read like this
// by dpkg and apt.
func parseOp(s string) (op Op, ok bool) {
	switch s {
	case "<<":
		return Less, true
	case "<=", "<":
		return LessEqual, true
	case "=":
		return Equal, true
	case ">=", ">":
		return GreaterEqual, true
	case ">>":
		return Greater, true
	}
	return Any, false
}

// String returns the operator as written, "" for Any.
func (o Op) String() string { return [...]string{"", "<<", "<=", "=", ">=", ">>"}[o] }

// Relation is one package that a relation names.
type Relation struct {
	Name string
	// Arch is the qualifier after the colon: "any", "native", an
	// architecture, or "".
	Arch    string
	Op      Op
	Version string
	// Architectures are those between brackets, '!' included; Profiles what
	// is between each pair of angle brackets. Both occur in build
	// relations.
	Architectures []string
	Profiles      [][]string
}

// Clause is a choice of alternatives, one of which is wanted.
type Clause []Relation

// maxRelations bounds one field; the largest real one has about 3,500.
const maxRelations = 1 << 16

// ParseRelations reads the value of Depends and its like. Empty clauses are
// skipped, as apt does. Errors match bundle.ErrMalformed.
func ParseRelations(value string) ([]Clause, error) {
	if value == "" {
		return nil, nil
	}
	if n := strings.Count(value, ",") + strings.Count(value, "|"); n >= maxRelations {
		return nil, fmt.Errorf("%s, at most %d: %w", bundle.Count(n+1, "relation"), maxRelations, bundle.ErrMalformed)
	}
	clauses := make([]Clause, 0, strings.Count(value, ",")+1)
	for text := range strings.SplitSeq(value, ",") {
		if text = strings.Trim(text, blanks); text == "" {
			continue
		}
		clause := make(Clause, 0, strings.Count(text, "|")+1)
		for alternative := range strings.SplitSeq(text, "|") {
			r, err := parseRelation(strings.Trim(alternative, blanks))
			if err != nil {
				return nil, fmt.Errorf("relation %.100q: %w: %w", alternative, err, bundle.ErrMalformed)
			}
			clause = append(clause, r)
		}
		clauses = append(clauses, clause)
	}
	return clauses, nil
}

const blanks = " \t\n"

func parseRelation(text string) (Relation, error) {
	var r Relation
	end := strings.IndexAny(text, blanks+"([<")
	if end < 0 {
		end = len(text)
	}
	var qualified bool
	r.Name, r.Arch, qualified = strings.Cut(text[:end], ":")
	if !isPackageName(r.Name) || (qualified && !isPackageName(r.Arch)) {
		return r, fmt.Errorf("name %.80q", text[:end])
	}
	for rest := text[end:]; ; {
		rest = strings.TrimLeft(rest, blanks)
		if rest == "" {
			return r, nil
		}
		opening := strings.IndexByte("([<", rest[0])
		if opening < 0 {
			return r, fmt.Errorf("%.80q", rest)
		}
		n := strings.IndexByte(rest, ")]>"[opening])
		if n < 0 {
			return r, fmt.Errorf("no end of %.80q", rest)
		}
		if err := r.restrict(rest[0], rest[1:n]); err != nil {
			return r, err
		}
		rest = rest[n+1:]
	}
}

// restrict takes what is between one pair of brackets.
func (r *Relation) restrict(opening byte, inner string) error {
	switch opening {
	case '[':
		r.Architectures = append(r.Architectures, strings.Fields(inner)...)
	case '<':
		r.Profiles = append(r.Profiles, strings.Fields(inner))
	default:
		inner = strings.Trim(inner, blanks)
		n := 0
		for n < len(inner) && strings.IndexByte("<>=", inner[n]) >= 0 {
			n++
		}
		op, ok := parseOp(inner[:n])
		if !ok || r.Op != Any {
			return fmt.Errorf("comparison %.80q", inner)
		}
		r.Op, r.Version = op, strings.Trim(inner[n:], blanks)
		return CheckVersion(r.Version)
	}
	return nil
}

// Admits reports whether a package of version v will do.
func (r Relation) Admits(v string) bool {
	if r.Op == Any {
		return true
	}
	c := CompareVersions(v, r.Version)
	switch r.Op {
	case Less:
		return c < 0
	case LessEqual:
		return c <= 0
	case Equal:
		return c == 0
	case GreaterEqual:
		return c >= 0
	default:
		return c > 0
	}
}

// String returns the relation as it is written, without architectures and profiles.
func (r Relation) String() string {
	s := r.Name
	if r.Arch != "" {
		s += ":" + r.Arch
	}
	if r.Op != Any {
		s += " (" + r.Op.String() + " " + r.Version + ")"
	}
	return s
}

// String returns the alternatives as they are written.
func (c Clause) String() string {
	all := make([]string, len(c))
	for i, r := range c {
		all[i] = r.String()
	}
	return strings.Join(all, " | ")
}

const maxName = 255 // bytes: a package's name is part of a file's

// isPackageName accepts more than policy, which has lower case alone and two
// characters at least: archives of vendors know capitals and underscores.
func isPackageName(s string) bool {
	if s == "" || len(s) > maxName || strings.IndexByte("+-._", s[0]) >= 0 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && strings.IndexByte("+-._", c) < 0 {
			return false
		}
	}
	return true
}
