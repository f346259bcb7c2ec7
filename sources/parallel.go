package sources

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/gapbundle/gapbundle/internal/strictyaml"
)

// Parallel is how many things Each does at once. The fetch client bounds how many
// connections each host gets, so this bounds memory and open files.
const Parallel = 8

// Each calls f for 0 to n-1, Parallel of them at once, waits for all, and joins
// their errors in the order of the spec, those without a place in the order of n.
// One error does not stop the others: everything that is wrong is reported. The
// end of ctx does, and is reported once.
func Each(ctx context.Context, n int, f func(ctx context.Context, i int) error) error {
	return EachOf(ctx, Parallel, n, f)
}

// EachOf works like Each, with so many at once as limit states: for many short requests to
// many hosts.
func EachOf(ctx context.Context, limit, n int, f func(ctx context.Context, i int) error) error {
	errs := make([]error, n+1)
	var group errgroup.Group
	group.SetLimit(limit)
	for i := range n {
		if ctx.Err() != nil {
			errs[n] = context.Cause(ctx)
			break
		}
		group.Go(func() error {
			errs[i] = f(ctx, i)
			return nil // the others go on
		})
	}
	_ = group.Wait() // no error: they are in errs
	return strictyaml.Join(errs...)
}

// Entries decodes the specs of a kind, each into a fresh O, and makes an E of each
// that could be decoded. All errors are reported, in the order of the spec.
func Entries[O, E any](specs []Spec, make func(Spec, O) (E, error)) ([]E, error) {
	var all []E
	var errs []error
	for _, spec := range specs {
		var options O
		if err := spec.Decode(&options); err != nil {
			errs = append(errs, err)
			continue
		}
		entry, err := make(spec, options)
		all, errs = append(all, entry), append(errs, err)
	}
	if err := strictyaml.Join(errs...); err != nil {
		return nil, err
	}
	return all, nil
}

// InSource returns an error with the name of a source and its place in the spec; nil
// stays nil. Package collect adds neither.
func InSource(pos strictyaml.Pos, name string, err error) error {
	if err == nil {
		return nil
	}
	return pos.Wrap(fmt.Errorf("source %s: %w", name, err))
}
