package apt

import (
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/strictyaml"
	"github.com/gapbundle/gapbundle/sources/apt/deb"
	"github.com/gapbundle/gapbundle/sources/closure"
)

// target is what an index is for. The names are apt's (apt-get indextargets).
type target string

const (
	targetPackages     target = "Packages"
	targetSources      target = "Sources"
	targetTranslations target = "Translations"
	targetContents     target = "Contents"
	targetAppStream    target = "DEP-11"
	targetCommands     target = "CNF"
	// targetLegacy are the small Release files next to indexes, which apt has
	// not asked for since 1.1.
	targetLegacy target = "Release"
)

// group is an index in the compressions that Release lists.
type group struct {
	target    target
	name      string // path without the suffix of a compression
	component string // "" in flat repositories and for what is for all
	arch      string // "" where the index is for all
	plain     *deb.ReleaseFile
	packed    []*deb.ReleaseFile
}

// candidates returns the forms that a mirror carries if upstream has them: the
// compressed ones, as apt asks for the plain one only where there is no other.
func (g *group) candidates() []*deb.ReleaseFile {
	if len(g.packed) == 0 {
		return []*deb.ReleaseFile{g.plain}
	}
	return g.packed
}

// suffixes returns the suffixes of the compressions that apt knows.
func suffixes() []string { return []string{".bz2", ".gz", ".lz4", ".lzma", ".xz", ".zst"} }

// wanted returns the indexes that a client of this configuration may ask for, in
// order of their names.
func (c *configuration) wanted(r *deb.Release, flat bool) []*group {
	byName := map[string]*group{}
	var all []*group
	for i := range r.Files {
		f := &r.Files[i]
		name := f.Path
		if ext := path.Ext(name); slices.Contains(suffixes(), ext) {
			name = strings.TrimSuffix(name, ext)
		}
		g := byName[name]
		if g == nil {
			g = &group{name: name}
			var ok bool
			if flat {
				ok = c.classifyFlat(g, r)
			} else {
				ok = c.classify(g, r)
			}
			if !ok {
				continue
			}
			byName[name] = g
			all = append(all, g)
		}
		if name == f.Path {
			g.plain = f
		} else {
			g.packed = append(g.packed, f)
		}
	}
	slices.SortFunc(all, func(a, b *group) int { return bundle.ComparePaths(a.name, b.name) })
	return all
}

// classify reports whether the index g.name is wanted, and sets what it is.
func (c *configuration) classify(g *group, r *deb.Release) bool {
	rest := g.name
	for _, component := range c.parts(r) {
		if after, found := strings.CutPrefix(g.name, component+"/"); found && len(component) > len(g.component) {
			g.component, rest = component, after
		}
	}
	if g.component == "" && strings.Contains(rest, "/") {
		return false
	}
	folder, base, _ := cutLast("/"+rest, "/")
	folder = strings.TrimPrefix(folder, "/")
	arch, isBinary := strings.CutPrefix(folder, "binary-")
	var ok bool
	switch {
	case isBinary && (base == "Packages" || base == "Release"):
		g.arch, ok = arch, c.Binary && c.hasArch(arch, r) && (arch != "all" || r.ArchitectureAll != "Packages")
		g.target = targetPackages
	case folder == "source" && (base == "Sources" || base == "Release"):
		g.target, g.arch, ok = targetSources, "source", c.Source
	case folder == "i18n" && strings.HasPrefix(base, "Translation-"):
		g.target, ok = targetTranslations, c.Binary && c.hasLanguage(strings.TrimPrefix(base, "Translation-"))
	case folder == "" && strings.HasPrefix(base, "Contents-"):
		g.target, g.arch = targetContents, strings.TrimPrefix(base, "Contents-")
		ok = c.Binary && c.hasArch(g.arch, r) || c.Source && g.arch == "source"
	case folder == "dep11" && strings.HasPrefix(base, "icons-"):
		g.target, ok = targetAppStream, c.Binary
	case folder == "dep11" && strings.HasPrefix(base, "Components-"):
		g.target, g.arch = targetAppStream, strings.TrimSuffix(strings.TrimPrefix(base, "Components-"), ".yml")
		ok = c.Binary && c.hasArch(g.arch, r)
	case folder == "cnf" && strings.HasPrefix(base, "Commands-"):
		g.target, g.arch = targetCommands, strings.TrimPrefix(base, "Commands-")
		ok = c.Binary && c.hasArch(g.arch, r)
	default:
		return false
	}
	if base == "Release" {
		g.target = targetLegacy
	}
	return ok
}

// classifyFlat works like classify, for a flat repository, whose indexes are next to its
// Release (apt's flatMetaKey).
func (c *configuration) classifyFlat(g *group, r *deb.Release) bool {
	switch {
	case g.name == "Packages":
		g.target = targetPackages
		return c.Binary
	case g.name == "Sources":
		g.target, g.arch = targetSources, "source"
		return c.Source
	case strings.HasPrefix(g.name, "Contents-"):
		g.target, g.arch = targetContents, strings.TrimPrefix(g.name, "Contents-")
		return c.Binary && c.hasArch(g.arch, r)
	case language.MatchString(g.name):
		g.target = targetTranslations
		return c.Binary && c.hasLanguage(g.name)
	}
	return false
}

// language is the name of a Translation in a flat repository.
var language = regexp.MustCompile(`^[a-z]{2,3}(_[A-Z]{2})?$`)

// impliedComponents returns the components of which a Release lists an index: what "all" is,
// as apt does not look at the field. Those of the field come first, in its order; others
// count if they have something for this configuration.
func (c *configuration) impliedComponents(r *deb.Release) []string {
	serves := map[string]bool{} // by component: whether it has something for c
	for i := range r.Files {
		folder, base, _ := cutLast(r.Files[i].Path, "/")
		component, last, _ := cutLast(folder, "/")
		arch, binary := strings.CutPrefix(last, "binary-")
		switch name := strings.TrimSuffix(base, path.Ext(base)); {
		case strings.HasSuffix("/"+component, "/debian-installer"): // of the installer, which apt does not read
		case binary && name == "Packages":
			serves[component] = serves[component] || c.Binary && slices.Contains(c.Architectures, arch)
		case last == "source" && name == "Sources":
			serves[component] = serves[component] || c.Source
		}
	}
	var all []string
	for _, component := range r.Components {
		if _, has := serves[component]; has && !slices.Contains(all, component) {
			all = append(all, component)
		}
	}
	for _, component := range slices.Sorted(maps.Keys(serves)) {
		if serves[component] && !slices.Contains(all, component) {
			all = append(all, component)
		}
	}
	return all
}

// components returns the components that are wanted; those of the Release are the ones that it lists
// indexes of (readRelease).
func (c *configuration) components(r *deb.Release) []string {
	if len(c.Components) > 0 {
		return c.Components
	}
	return r.Components
}

// hasArch: packages for all architectures may have an index of their own, which
// apt asks for only where Release has "all" among its architectures: archives
// are known whose mirrors hold an old one otherwise, and nobody notices. No
// architecture is chosen in a flat repository that is taken whole.
func (c *configuration) hasArch(arch string, r *deb.Release) bool {
	if arch == "all" {
		return len(r.Architectures) == 0 || slices.Contains(r.Architectures, "all")
	}
	return len(c.Architectures) == 0 || slices.Contains(c.Architectures, arch)
}

func (c *configuration) hasLanguage(l string) bool {
	return len(c.Languages) == 0 || slices.Contains(c.Languages, l)
}

// translated returns the languages that suites of the source have descriptions in, sorted.
func (l *loaded) translated() []string {
	var all []string
	for _, s := range l.suites {
		every := s.want
		every.Languages = nil
		for _, g := range every.wanted(s.release, s.flat) {
			if g.target == targetTranslations {
				all = append(all, strings.TrimPrefix(path.Base(g.name), "Translation-"))
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// checkLanguages refuses languages of the spec that no suite has, where there are any.
func (l *loaded) checkLanguages() error {
	wanted := l.options.Languages
	if len(wanted) == 0 {
		return nil
	}
	has := l.translated()
	var errs []error
	for _, language := range wanted {
		if language != noLanguage && len(has) > 0 && !slices.Contains(has, language) {
			errs = append(errs, l.pos.Errorf("languages: %s: in no suite%s", language, closure.Hint("there are", has)))
		}
	}
	return strictyaml.Join(errs...)
}

// noLanguage, instead of languages, is for no translations.
const noLanguage = "none"

// checkWanted refuses a choice that Release does not have.
func (s *suite) checkWanted(r *deb.Release, groups []*group) error {
	has := func(component, arch string) bool {
		return slices.ContainsFunc(groups, func(g *group) bool {
			return (g.target == targetPackages || g.target == targetSources) && g.component == component && g.arch == arch
		})
	}
	where := fetch.Redact(s.root.url) + " " + s.name
	if s.flat {
		if s.want.Binary && !has("", "") || s.want.Source && !has("", "source") {
			return fmt.Errorf("%s: Release lists no Packages, or no Sources: %w", where, fetch.ErrUpstream)
		}
		return nil
	}
	components := s.want.components(r)
	if len(components) == 0 {
		return fmt.Errorf("%s: Release lists no index of packages for %s: %w", where, strings.Join(s.want.Architectures, ", "), fetch.ErrUpstream)
	}
	for _, component := range components {
		if !isWord(component) {
			return fmt.Errorf("%s: component %.80q: no name that an entry of sources.list can have: %w", where, component, fetch.ErrUpstream)
		}
		if !slices.ContainsFunc(r.Files, func(f deb.ReleaseFile) bool { return strings.HasPrefix(f.Path, component+"/") }) {
			return s.pos.Errorf("%s: component %s: it has %s", where, component, strings.Join(s.want.impliedComponents(r), ", "))
		}
		for _, arch := range s.want.Architectures {
			if s.want.Binary && !has(component, arch) {
				return s.pos.Errorf("%s: %s/binary-%s: not in Release, which has %s", where, component, arch, strings.Join(r.Architectures, ", "))
			}
		}
		if s.want.Source && !has(component, "source") {
			return s.pos.Errorf("%s: %s/source: not in Release", where, component)
		}
	}
	return nil
}
