package rpmmd

import "strings"

// Op compares the version of what is provided with the one of a relation. The
// zero value is no comparison: any version will do.
type Op uint8

// The comparisons, by the words of primary's flags.
const (
	Any Op = 0
	GT  Op = 1
	EQ  Op = 2
	LT  Op = 4
	GE     = GT | EQ
	LE     = LT | EQ
)

// ParseOp reads the flags attribute of rpm metadata: "EQ", "LT", "LE", "GT",
// "GE", or nothing.
func ParseOp(flags string) (op Op, ok bool) {
	switch flags {
	case "":
		return Any, true
	case "EQ":
		return EQ, true
	case "LT":
		return LT, true
	case "LE":
		return LE, true
	case "GT":
		return GT, true
	case "GE":
		return GE, true
	}
	return Any, false
}

// parseSign reads an operator as people write it.
func parseSign(s string) (op Op, ok bool) {
	switch s {
	case "=", "==":
		return EQ, true
	case "<":
		return LT, true
	case "<=", "=<":
		return LE, true
	case ">":
		return GT, true
	case ">=", "=>":
		return GE, true
	}
	return Any, false
}

// String returns the operator as people write it, "" for Any.
func (o Op) String() string { return [...]string{"", ">", "=", ">=", "<", "<>", "<=", "<=>"}[o&7] }

// Relation is one entry of Provides, Requires and their like.
type Relation struct {
	// Name is a name, a path, or a whole rich dependency in parentheses,
	// which ParseRich takes apart.
	Name string
	EVR  EVR // of Op; the zero value with Any
	Op   Op
}

// String returns the relation as rpm writes it: "name >= 1:2-3".
func (r *Relation) String() string {
	if r.Op == Any {
		return r.Name
	}
	return r.Name + " " + r.Op.String() + " " + r.EVR.String()
}

// IsRich reports whether Name is a rich dependency.
func (r *Relation) IsRich() bool { return strings.HasPrefix(r.Name, "(") }

// IsFile reports whether Name is a path: files provide it as well as Provides.
func (r *Relation) IsFile() bool { return strings.HasPrefix(r.Name, "/") }

// Meets reports whether something that provides p is what r asks for, as libsolv
// decides it. Names are not looked at. A side without an operator stands for
// all versions; a version without a release stands for all of its releases on
// its own side alone: "foo = 1" is met by 1-2, and who provides "foo = 1" meets
// "foo < 1-2" as well as "foo > 1-2".
func (r *Relation) Meets(p *Relation) bool {
	switch {
	case r.Op == Any || p.Op == Any:
		return true
	case r.Op&p.Op&(LT|GT) != 0: // both are open to the same side
		return true
	}
	loose, strict := p.EVR, r.EVR
	loose.Release, strict.Release = "", ""
	c := loose.Compare(strict)
	if c == 0 && p.EVR.Release != "" && r.EVR.Release != "" {
		c = CompareVersions(p.EVR.Release, r.EVR.Release)
	}
	switch {
	case c < 0:
		return r.Op&LT != 0 || p.Op&GT != 0
	case c > 0:
		return r.Op&GT != 0 || p.Op&LT != 0
	case p.EVR.Release == "" && r.EVR.Release != "":
		return p.Op&EQ != 0
	case p.EVR.Release != "" && r.EVR.Release == "":
		return r.Op&EQ != 0
	}
	return r.Op&p.Op&EQ != 0
}
