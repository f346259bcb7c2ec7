package collect

import (
	"context"
	"errors"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/strictyaml"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/upstream"
)

// inSpec marks what a kind refuses of its entries in the spec.
func inSpec(kind string, err error) error {
	return strictyaml.Each(err, func(err error) error {
		return &bundle.AboutError{Thing: bundle.AboutSpec, Name: kind, Err: err}
	})
}

// inPlan marks what the plan of a kind fails with: what its entries ask for, or what
// upstream wrote. No bundle is read while a kind plans, so content that is malformed is
// upstream's, unless a mark says otherwise.
func inPlan(kind string, err error) error {
	return strictyaml.Each(err, func(err error) error {
		switch {
		case errors.Is(err, bundle.ErrUsage):
			return &bundle.AboutError{Thing: bundle.AboutSpec, Name: kind, Err: err}
		case errors.Is(err, bundle.ErrIncomplete):
			return &bundle.AboutError{Thing: bundle.AboutSelection, Name: kind, Err: err}
		}
		return ofUpstream("kind "+kind, err)
	})
}

// ofUpstream is err with the class of upstream's faults if it is one about content that
// nobody has taken for something else.
func ofUpstream(what string, err error) error {
	if !errors.Is(err, bundle.ErrMalformed) && !errors.Is(err, bundle.ErrCorrupt) {
		return err
	}
	if thing, _ := bundle.ThingOf(err); thing != 0 {
		return err
	}
	return upstream.Blame(what, err)
}

// opened is a.Open, whose errors of content are upstream's.
func opened(a sources.Artifact) bundle.Open {
	return func(ctx context.Context, at int64, validator string) (*bundle.Content, error) {
		content, err := a.Open(ctx, at, validator)
		if err != nil {
			return nil, ofUpstream(a.File.Path, err)
		}
		return content, nil
	}
}
