package collect

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/strictyaml"
	"github.com/gapbundle/gapbundle/sources"
)

// inSpec marks what a kind refuses of its entries in the spec.
func inSpec(kind string, err error) error {
	return strictyaml.Each(err, func(err error) error {
		return &bundle.AboutError{Thing: bundle.AboutSpec, Name: kind, Err: err}
	})
}

// inPlan marks what the plan of a kind fails with: what its entries ask for, or what
// upstream wrote. No bundle is read while a kind plans, so content that is malformed is
// upstream's, unless a mark states otherwise.
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

// ofUpstream returns err with the class of upstream's faults if it is one about content that
// nobody has taken for something else. Kinds do that by upstream.Blame; this is the net below.
func ofUpstream(what string, err error) error {
	if !errors.Is(err, bundle.ErrMalformed) && !errors.Is(err, bundle.ErrCorrupt) {
		return err
	}
	for _, class := range []error{fetch.ErrUpstream, fetch.ErrRefused, fetch.ErrConfig} {
		if errors.Is(err, class) {
			return err
		}
	}
	if thing, _ := bundle.ThingOf(err); thing != 0 {
		return err
	}
	text := err.Error()
	for _, class := range []error{bundle.ErrMalformed, bundle.ErrCorrupt} {
		text = strings.TrimSuffix(text, ": "+class.Error())
	}
	return fmt.Errorf("%s: %s: %w", what, text, fetch.ErrUpstream)
}

// opened returns a.Open, whose errors of malformed content are upstream's. Whose fault content is
// that differs from what was promised, asUpstream decides, also where a kind reads so much
// of a short file when it opens it.
func opened(a sources.Artifact) bundle.Open {
	return func(ctx context.Context, at int64, validator string) (*bundle.Content, error) {
		content, err := a.Open(ctx, at, validator)
		if err != nil && !errors.Is(err, bundle.ErrCorrupt) {
			err = ofUpstream(a.File.Path, err)
		}
		if err != nil {
			return nil, err
		}
		return content, nil
	}
}
