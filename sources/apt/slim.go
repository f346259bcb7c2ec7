package apt

import (
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/apt/closure"
	"github.com/gapbundle/gapbundle/sources/apt/deb"
)

// slimmer cuts stanzas down to what a choice is made by: the whole text of an archive,
// of which a selection is a hundredth, need not be held for it.
type slimmer struct{ text []byte }

// choiceFields returns what closure reads, and what a stanza has to have.
func choiceFields() []string {
	return []string{
		"Architecture", "Breaks", "Conflicts", "Depends", "Enhances", "Essential", "Filename", "Important", "Multi-Arch", "Package", "Pre-Depends",
		"Priority", "Protected", "Provides", "Recommends", "Replaces", "SHA256", "Section", "Size", "Source", "Suggests", "Version",
	}
}

// cut returns the package with those fields alone.
func (s *slimmer) cut(p *deb.Package) (*deb.Package, error) {
	fields := choiceFields()
	s.text = s.text[:0]
	for name, value := range p.Fields() {
		if _, ok := slices.BinarySearch(fields, name); ok {
			s.text = append(append(append(append(s.text, name...), ": "...), value...), '\n')
		}
	}
	return deb.ParsePackage(deb.Paragraph(s.text))
}

// restore puts whole stanzas into the choices of an index: it is read once more, up to
// the last of them.
func restore(env *sources.Env, s *loadedSuite, f *form, choices []*closure.Choice) error {
	wanted := map[string][]*closure.Choice{}
	for _, c := range choices {
		wanted[key(c.Package)] = append(wanted[key(c.Package)], c)
	}
	if len(wanted) == 0 {
		return nil
	}
	return stanzas(env, s, f, deb.Packages, func(p *deb.Package) error {
		for _, c := range wanted[key(p)] {
			c.Package = p
		}
		if delete(wanted, key(p)); len(wanted) == 0 {
			return errEnough
		}
		return nil
	})
}

// key distinguishes the packages of one index.
func key(p *deb.Package) string {
	return strings.Join([]string{p.Name, p.Version, p.Architecture, p.Filename}, " ")
}
