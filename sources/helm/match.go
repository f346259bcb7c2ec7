package helm

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/distribution/reference"

	"github.com/gapbundle/gapbundle/internal/strictyaml"
)

// full returns a reference of the spec in full.
func full(image string) string {
	named, err := reference.ParseNormalizedNamed(image)
	if err != nil {
		return image // a pattern
	}
	return named.String()
}

// matches reports whether one of the patterns fits an image, in full or as people write
// those of docker.io. '*' stands for anything.
func matches(patterns []string, image string) bool {
	short := strings.TrimPrefix(strings.TrimPrefix(image, "docker.io/"), "library/")
	return slices.ContainsFunc(patterns, func(p string) bool { return fits(p, image) || fits(p, short) })
}

func fits(pattern, s string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == s
	}
	last := parts[len(parts)-1]
	if !strings.HasPrefix(s, parts[0]) || len(s) < len(parts[0])+len(last) || !strings.HasSuffix(s, last) {
		return false
	}
	s = s[len(parts[0]) : len(s)-len(last)]
	for _, p := range parts[1 : len(parts)-1] {
		i := strings.Index(s, p)
		if i < 0 {
			return false
		}
		s = s[i+len(p):]
	}
	return true
}

// instead returns the images that the spec names in place of one.
func (r *rendering) instead(image string) []string {
	for of, others := range r.request.entry.options.Images.Instead {
		if full(of) == image {
			as := make([]string, len(others))
			for i := range others {
				as[i] = full(others[i])
			}
			return as
		}
	}
	return nil
}

// shown is how many images an error names.
const shown = 20

// unmatched refuses what the spec states about images that the charts do not name: it is a
// mistake in writing, or of an image that another version of the chart has.
func (s *selection) unmatched(l *list) error {
	named := map[string]bool{}
	for _, r := range l.Charts {
		for _, d := range r.Images {
			named[d.Image] = true
		}
	}
	all := slices.Sorted(maps.Keys(named))
	there := "the charts name " + strings.Join(all[:min(len(all), shown)], ", ")
	switch {
	case len(all) == 0:
		there = "the charts name no image"
	case len(all) > shown:
		there += fmt.Sprintf(" and %d more", len(all)-shown)
	}
	o := s.entry.options
	var errs []error
	refuse := func(option, text string, fits func(image string) bool) {
		if !slices.ContainsFunc(all, fits) {
			errs = append(errs, o.Pos.Errorf("images: %s: %q matches nothing: %s", option, text, there))
		}
	}
	for option, patterns := range map[string][]string{"drop": o.Images.Drop, "accept": o.Images.Accept} {
		for _, p := range patterns {
			refuse(option, p, func(image string) bool { return matches([]string{p}, image) })
		}
	}
	for of := range o.Images.Instead {
		refuse("instead", of, func(image string) bool { return image == full(of) })
	}
	slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return strictyaml.Join(errs...)
}

// unread refuses what the spec states about the images of charts that are not rendered.
func (e *entry) unread() error {
	o := e.options.Images
	if o.Mode != modeNone {
		return nil
	}
	var errs []error
	for option, given := range map[string]bool{"drop": len(o.Drop) > 0, "accept": len(o.Accept) > 0, "instead": len(o.Instead) > 0, "tests": o.Tests} {
		if given {
			errs = append(errs, e.options.Pos.Errorf("images: %s: matches nothing with mode: none, by which no chart is rendered", option))
		}
	}
	slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return strictyaml.Join(errs...)
}

// unneeded refuses exceptions for charts that the source does not have.
func (s *selection) unneeded() error {
	var names []string
	for _, c := range s.charts {
		names = append(names, c.name())
	}
	var errs []error
	for _, w := range s.entry.options.WrongDigests {
		if !slices.Contains(names, w) {
			errs = append(errs, s.entry.options.Pos.Errorf("wrong-digests: %q matches nothing: the charts are %s", w, strings.Join(names, ", ")))
		}
	}
	return strictyaml.Join(errs...)
}
