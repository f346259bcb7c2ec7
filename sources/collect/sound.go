package collect

import (
	"context"
	"errors"
	"strings"
	"sync"

	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/strictyaml"
	"github.com/gapbundle/gapbundle/sources"
)

// Sound reports what is wrong with the specs of a set as far as that can be known
// without asking anybody: env.Fetch has to be offline. Every kind decodes its specs
// and begins its plan, which ends where upstream would be asked for the first time.
// Everything that has to be at hand by then (keys, lists of names, the lock, the base) was read.
// asked is how many requests were not made.
func Sound(ctx context.Context, kinds sources.Kinds, specs []sources.Spec, env *sources.Env) (asked int, err error) {
	r := &resolver{kinds: kinds, env: env, given: specs, planned: map[string]*sources.Plan{}}
	unknown := CheckSpecs(kinds, specs)
	all, err := r.accept(func(sources.Kind) bool { return true })
	if err := strictyaml.Join(unknown, err); err != nil {
		return 0, err
	}
	errs := make([]error, len(all))
	var group sync.WaitGroup
	for i, p := range all {
		group.Go(func() {
			plan, err := p.source.Plan(ctx, env)
			if err == nil { // it asks nobody at all
				err = checkPlan(p.kind, p.specs, plan)
			}
			errs[i] = err
		})
	}
	group.Wait()
	for i, err := range errs {
		n, wrong := notOffline(err)
		errs[i], asked = wrong, asked+n
	}
	return asked, strictyaml.Join(errs...)
}

// notOffline returns err without those of its joined parts that only mean that no request
// was sent, and the number of these parts.
func notOffline(err error) (asked int, rest error) {
	if err == nil {
		return 0, nil
	}
	if parts := joined(err); parts != nil {
		var left []error
		for _, part := range parts {
			n, wrong := notOffline(part)
			if asked += n; wrong != nil {
				left = append(left, wrong)
			}
		}
		if len(left) == len(parts) {
			return asked, err
		}
		return asked, strictyaml.Join(left...)
	}
	//nolint:errorlint // this very error: what wraps it is looked into below
	if _, ok := err.(*fetch.OfflineError); ok {
		return 1, nil
	}
	for _, inner := range inside(err) {
		if !errors.As(inner, new(*fetch.OfflineError)) {
			continue // a class, or a remark
		}
		n, rest := notOffline(inner)
		if asked += n; rest != nil {
			return asked, err
		}
		return asked, nil
	}
	return asked, err
}

// inside returns the errors that err wraps.
func inside(err error) []error {
	//nolint:errorlint // one level is what is requested
	switch e := err.(type) {
	case interface{ Unwrap() error }:
		return []error{e.Unwrap()}
	case interface{ Unwrap() []error }:
		return e.Unwrap()
	}
	return nil
}

// joined returns the parts of an error that is nothing but several others, one a line;
// nil: it is an error by itself, whatever it wraps.
func joined(err error) []error {
	several, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return nil
	}
	parts := several.Unwrap()
	texts := make([]string, len(parts))
	for i, part := range parts {
		texts[i] = part.Error()
	}
	if strings.Join(texts, "\n") != err.Error() {
		return nil
	}
	return parts
}
