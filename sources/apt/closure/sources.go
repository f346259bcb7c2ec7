package closure

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources/apt/deb"
)

// SourceIndex is one list of source packages.
type SourceIndex struct {
	// Source is the name of the apt source it belongs to.
	Source   string
	Packages []*deb.Source
}

// SourceChoice is a source package that a chosen one was built from.
type SourceChoice struct {
	// Index is the place in the source indexes that Sources got.
	Index   int
	Package *deb.Source
}

// Sources returns the source packages of those choices whose apt source has an
// index of them, in order of those indexes and of the lists in them. One that
// is missing matches bundle.ErrIncomplete; all are reported. Their build
// dependencies are not followed.
func Sources(indexes []Index, choices []Choice, sources []SourceIndex) ([]SourceChoice, error) {
	type key struct{ source, name, version string }
	type place struct{ index, at int }
	there := map[key]place{}
	with := map[string]bool{}
	for i, x := range sources {
		with[x.Source] = true
		for at, s := range x.Packages {
			k := key{x.Source, s.Name, s.Version}
			if _, ok := there[k]; !ok {
				there[k] = place{i, at}
			}
		}
	}
	taken := map[place]bool{}
	var all []place
	var errs []error
	for _, c := range choices {
		source := indexes[c.Index].Source
		if !with[source] {
			continue
		}
		name, version := c.Package.Source()
		p, ok := there[key{source, name, version}]
		if !ok {
			errs = append(errs, fmt.Errorf("source %s: package %s: its source package %s (%s): in no index: %w", source, c.Package.ID(), name, version, bundle.ErrIncomplete))
			continue
		}
		if !taken[p] {
			taken[p] = true
			all = append(all, p)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	slices.SortFunc(all, func(a, b place) int { return cmp.Or(cmp.Compare(a.index, b.index), cmp.Compare(a.at, b.at)) })
	chosen := make([]SourceChoice, len(all))
	for i, p := range all {
		chosen[i] = SourceChoice{p.index, sources[p.index].Packages[p.at]}
	}
	return chosen, nil
}
