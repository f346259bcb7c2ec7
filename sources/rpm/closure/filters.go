package closure

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources/closure"
	"github.com/gapbundle/gapbundle/sources/rpm/rpmmd"
)

// CheckFilters refuses architectures and exclusions that match nothing in the source's own
// indexes, and a request for everything of which nothing is left. Each is an error that
// names the filter and what there is; it matches bundle.ErrUsage.
func (r *Request) CheckFilters(own []Index) error {
	return errors.Join(r.checkArchitectures(own), r.checkExclude(own))
}

// checkArchitectures refuses an architecture for which the source has nothing but noarch
// packages, although it has some for others: a client of it finds no program there. A
// source of noarch packages alone is for all of them.
func (r *Request) checkArchitectures(own []Index) error {
	has := map[string]bool{}
	for _, x := range own {
		for _, p := range x.Packages {
			if !p.IsSource() && p.Arch != "noarch" {
				has[p.Arch] = true
			}
		}
	}
	if len(has) == 0 {
		return nil
	}
	var errs []error
	for _, wanted := range r.Architectures {
		groups := archGroups(wanted)
		if !slices.ContainsFunc(slices.Collect(maps.Keys(has)), func(arch string) bool { return archRank(groups, arch) > 0 }) {
			there := slices.Sorted(maps.Keys(has))
			errs = append(errs, fmt.Errorf("source %s: architectures: %s: no package is for it, there are packages for %s: %w",
				r.Source, wanted, strings.Join(there[:min(len(there), maxNamed)], ", "), bundle.ErrUsage))
		}
	}
	return errors.Join(errs...)
}

// maxNamed bounds how many architectures an error names.
const maxNamed = 20

func (r *Request) checkExclude(own []Index) error {
	if len(r.Exclude) == 0 {
		return nil
	}
	has := func(f func(p *rpmmd.Package) bool) bool {
		return slices.ContainsFunc(own, func(x Index) bool { return slices.ContainsFunc(x.Packages, f) })
	}
	var errs []error
	var all []form
	for _, text := range r.Exclude {
		wanted := forms(text)
		all = append(all, wanted...)
		if !has(func(p *rpmmd.Package) bool { return matchesAny(wanted, p) }) {
			errs = append(errs, fmt.Errorf("source %s: exclude %s: matches no package%s: %w", r.Source, text, instead(own, text), bundle.ErrUsage))
		}
	}
	if len(errs) == 0 && r.All && !has(func(p *rpmmd.Package) bool { return !p.IsSource() && !matchesAny(all, p) }) {
		errs = append(errs, fmt.Errorf("source %s: its selection is empty: exclude %s leaves nothing: %w", r.Source, strings.Join(r.Exclude, ", "), bundle.ErrUsage))
	}
	return errors.Join(errs...)
}

// instead names what there is of the name in text, or names that are like it.
func instead(own []Index, text string) string {
	var same, names []string
	for _, x := range own {
		for _, p := range x.Packages {
			names = append(names, p.Name)
			if strings.HasPrefix(text, p.Name+"-") || strings.HasPrefix(text, p.Name+".") || strings.HasPrefix(text, p.Name+"=") {
				same = append(same, p.NEVRA())
			}
		}
	}
	if slices.Sort(same); len(same) > 0 {
		return closure.Hint("there are", same)
	}
	slices.Sort(names)
	return closure.Hint("there are", closure.Nearest(text, slices.Compact(names)))
}
