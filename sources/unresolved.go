package sources

import (
	"errors"

	"github.com/gapbundle/gapbundle/bundle"
)

// unresolved is a dependency that no source of the set meets.
type unresolved struct{ error }

func (e *unresolved) Unwrap() error { return e.error }

// Hint reports what to do about it.
func (*unresolved) Hint() string {
	return "add the repository that has what is missing to the set, as a source with some packages of it; or ask for something else"
}

// Unresolved turns every bundle.ErrIncomplete among joined errors into one that stands for
// a dependency which no source of the set has: unlike for a missing medium, a person has
// nothing to insert.
func Unresolved(err error) error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var all []error
		for _, part := range joined.Unwrap() {
			all = append(all, Unresolved(part))
		}
		return errors.Join(all...)
	}
	if errors.Is(err, bundle.ErrIncomplete) {
		return &unresolved{err}
	}
	return err
}
