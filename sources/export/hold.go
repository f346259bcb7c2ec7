package export

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/spelling"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/config"
)

// selectSources applies Only and Hold: it returns the spec's sources that are planned, and
// the repositories of the others in the base.
func selectSources(o Options, spec *config.Spec, b *base) (planned []sources.Spec, held []bundle.Repository, err error) {
	if len(o.Only) > 0 && len(o.Hold) > 0 {
		return nil, nil, fmt.Errorf("--only and --hold: give one of them: %w", bundle.ErrUsage)
	}
	names := append(slices.Clone(o.Only), o.Hold...)
	if len(names) == 0 {
		return spec.Sources, nil, nil
	}
	var errs []error
	for _, n := range names {
		if !slices.ContainsFunc(spec.Sources, func(p sources.Spec) bool { return p.Name == n }) {
			errs = append(errs, notInSpec("--only and --hold", n, spec.Sources))
		}
	}
	if len(errs) > 0 {
		return nil, nil, errors.Join(errs...)
	}
	if b == nil {
		return nil, nil, bundle.About(bundle.AboutBase, fmt.Errorf("--only and --hold: there is no base from which the other sources could be kept: export once without them: %w", bundle.ErrUsage))
	}
	for _, p := range spec.Sources {
		if slices.Contains(o.Hold, p.Name) || len(o.Only) > 0 && !slices.Contains(o.Only, p.Name) {
			kept, err := b.hold(p.Name)
			held, errs = append(held, kept...), append(errs, err)
			continue
		}
		planned = append(planned, p)
	}
	return planned, held, errors.Join(errs...)
}

// notInSpec refuses the name of a source, and names the nearest or all that the spec has.
func notInSpec(flag, name string, specs []sources.Spec) error {
	var names []string
	for _, p := range specs {
		names = append(names, p.Name)
	}
	return fmt.Errorf("%s: source %.100q: not in the spec%s: %w", flag, name, spelling.Suggest(name, names), bundle.ErrUsage)
}

// hold returns what the base has of a source and of what was derived from it.
func (b *base) hold(name string) (held []bundle.Repository, err error) {
	for _, r := range b.manifest.Repositories {
		if r.Name == name || strings.HasPrefix(r.Name, name+"/") {
			r.Carried = nil
			held = append(held, r)
		}
	}
	if len(held) == 0 {
		err = fmt.Errorf("source %q: held back, but base %d does not have it: %w", name, b.manifest.Sequence, bundle.ErrUsage)
	}
	return held, err
}
