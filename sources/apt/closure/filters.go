package closure

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources/apt/deb"
	"github.com/gapbundle/gapbundle/sources/closure"
)

// exclusion is an element of Request.Exclude: "name[:arch][=version]", of which name and
// version may be patterns.
type exclusion struct{ name, arch, version string }

func parseExclusion(text string) exclusion {
	var x exclusion
	x.name, x.version, _ = strings.Cut(text, "=")
	x.name, x.arch, _ = strings.Cut(x.name, ":")
	return x
}

func (x exclusion) matches(p *deb.Package) bool {
	if !closure.Matches(x.name, p.Name) || x.arch != "" && x.arch != p.Architecture {
		return false
	}
	if x.version == "" || closure.IsPattern(x.version) {
		return x.version == "" || closure.Matches(x.version, p.Version)
	}
	return deb.CompareVersions(x.version, p.Version) == 0
}

// Excludes reports whether Exclude has a package.
func (r *Request) Excludes(p *deb.Package) bool {
	return r != nil && slices.ContainsFunc(r.Exclude, func(text string) bool { return parseExclusion(text).matches(p) })
}

// checkExclusions refuses versions that are none: they would match nothing for ever.
func (r *Request) checkExclusions() error {
	var errs []error
	for _, text := range r.Exclude {
		x := parseExclusion(text)
		if _, _, has := strings.Cut(text, "="); has && !closure.IsPattern(x.version) {
			if err := deb.CheckVersion(x.version); err != nil {
				errs = append(errs, fmt.Errorf("source %s: exclude %.80q: %s: %w", r.Source, text, err.Error(), bundle.ErrUsage))
			}
		}
	}
	return errors.Join(errs...)
}

// CheckFilters refuses sections and exclusions that match nothing in the source's own
// indexes, and a request for sections or for everything of which nothing is left. Each
// is an error that names the filter and what there is; it matches bundle.ErrUsage.
func (r *Request) CheckFilters(own []Index) error {
	if len(r.Sections) == 0 && len(r.Exclude) == 0 && !r.All {
		return nil // every package of every index would be looked at for nothing
	}
	sections, names := map[string]bool{}, map[string][]string{} // versions by name
	total, left := 0, 0
	for _, x := range own {
		for _, p := range x.Packages {
			sections[p.Field("Section")] = true
			if !slices.Contains(names[p.Name], p.Version) {
				names[p.Name] = append(names[p.Name], p.Version)
			}
			total++
			if (p.Architecture == "all" || slices.Contains(r.Architectures, p.Architecture)) && r.wants(p) && !r.Excludes(p) {
				left++
			}
		}
	}
	delete(sections, "")
	var errs []error
	refuse := func(filter, hint string) {
		errs = append(errs, fmt.Errorf("source %s: %s: matches no package%s: %w", r.Source, filter, hint, bundle.ErrUsage))
	}
	for _, want := range r.Sections {
		if !slices.ContainsFunc(slices.Collect(maps.Keys(sections)), func(has string) bool { return inSection(want, has) }) {
			refuse("section "+want, cmp.Or(closure.Hint("there are", closure.Nearest(want, slices.Sorted(maps.Keys(sections)))), ", none of them has a section"))
		}
	}
	for _, text := range r.Exclude {
		x := parseExclusion(text)
		matches := func(p *deb.Package) bool { return x.matches(p) }
		if slices.ContainsFunc(own, func(i Index) bool { return slices.ContainsFunc(i.Packages, matches) }) || slices.ContainsFunc(r.Reproduce, matches) {
			continue
		}
		hint := closure.Hint("there are", closure.Nearest(x.name, slices.Sorted(maps.Keys(names))))
		if versions := names[x.name]; len(versions) > 0 {
			hint = closure.Hint("there are "+x.name+" of version", versions)
		}
		refuse("exclude "+text, hint)
	}
	if len(errs) == 0 && left == 0 && (r.All || len(r.Sections) > 0) {
		errs = append(errs, fmt.Errorf("source %s: its selection is empty: nothing is left of %d for %s%s: %w", r.Source, total, strings.Join(r.Architectures, ", "), closure.Hint("exclude is", r.Exclude), bundle.ErrUsage))
	}
	return errors.Join(errs...)
}

// inSection reports whether a package of section has is in section want: "net" also
// means "universe/net".
func inSection(want, has string) bool {
	return want == has || want == has[strings.LastIndexByte(has, '/')+1:]
}
