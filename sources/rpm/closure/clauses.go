package closure

import (
	"fmt"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources/rpm/rpmmd"
)

// maxClauses bounds what one rich dependency becomes: written as clauses it
// can grow exponentially, and a text can be made to.
const maxClauses = 1024

// literal is a set of packages, one of which is wanted, or with not: none.
type literal struct {
	rich *rpmmd.Rich // a leaf, or With and Without
	not  bool
}

// clause is literals of which one has to hold.
type clause []literal

// clauses turns a rich dependency into clauses that all have to hold.
func clauses(r *rpmmd.Rich, not bool) ([]clause, error) {
	switch r.Op {
	case rpmmd.Leaf, rpmmd.With, rpmmd.Without:
		return []clause{{{r, not}}}, nil
	case rpmmd.And, rpmmd.Or:
		var all [][]clause
		for _, arg := range r.Args {
			c, err := clauses(arg, not)
			if err != nil {
				return nil, err
			}
			all = append(all, c)
		}
		if (r.Op == rpmmd.And) != not {
			return allOf(all...)
		}
		return oneOf(all...)
	}
	return conditional(r, not)
}

// conditional turns "a if b else c" into (a or not b) and (c or b), and "a
// unless b else c" into the same with b turned round. Without an else, the
// first asks for nothing if b is not there, the second does not allow b; turned
// round by not, each becomes what the other is.
func conditional(r *rpmmd.Rich, not bool) ([]clause, error) {
	unless := r.Op == rpmmd.Unless
	wanted, err := clauses(r.Args[0], not)
	if err != nil {
		return nil, err
	}
	met, err := clauses(r.Args[1], unless)
	if err != nil {
		return nil, err
	}
	unmet, err := clauses(r.Args[1], !unless)
	if err != nil {
		return nil, err
	}
	if len(r.Args) == 2 {
		if unless == not {
			return oneOf(wanted, unmet)
		}
		return allOf(wanted, met)
	}
	otherwise, err := clauses(r.Args[2], not)
	if err != nil {
		return nil, err
	}
	first, err := oneOf(wanted, unmet)
	if err != nil {
		return nil, err
	}
	second, err := oneOf(otherwise, met)
	if err != nil {
		return nil, err
	}
	return allOf(first, second)
}

func allOf(all ...[]clause) ([]clause, error) {
	var out []clause
	for _, c := range all {
		out = append(out, c...)
	}
	return bounded(out)
}

// oneOf multiplies out.
func oneOf(all ...[]clause) ([]clause, error) {
	out := []clause{nil}
	for _, c := range all {
		if len(out)*len(c) > maxClauses {
			return nil, errTooMany()
		}
		var next []clause
		for _, a := range out {
			for _, b := range c {
				next = append(next, append(append(clause(nil), a...), b...))
			}
		}
		out = next
	}
	return bounded(out)
}

func bounded(out []clause) ([]clause, error) {
	n := 0
	for _, c := range out {
		n += len(c)
	}
	if n > 8*maxClauses {
		return nil, errTooMany()
	}
	return out, nil
}

func errTooMany() error {
	return fmt.Errorf("rich dependency: more than %d clauses: %w", maxClauses, bundle.ErrMalformed)
}

// leaves calls visit with all relations of a rich dependency.
func leaves(r *rpmmd.Rich, visit func(*rpmmd.Relation)) {
	if r.Op == rpmmd.Leaf {
		visit(r.Relation)
	}
	for _, arg := range r.Args {
		leaves(arg, visit)
	}
}
