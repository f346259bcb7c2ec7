package apt

import (
	"errors"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/sources/apt/closure"
	"github.com/gapbundle/gapbundle/sources/apt/deb"
)

// slimmer cuts stanzas down to what a choice is made by: an archive's whole
// text, of which a selection is a hundredth, need not be held for it.
type slimmer struct{ text []byte }

// choiceFields are what closure reads, and what a stanza has to have.
func choiceFields() []string {
	return []string{
		"Architecture", "Breaks", "Conflicts", "Depends", "Enhances", "Essential", "Filename", "Important", "Multi-Arch", "Package", "Pre-Depends",
		"Priority", "Protected", "Provides", "Recommends", "Replaces", "SHA256", "Section", "Size", "Source", "Suggests", "Version",
	}
}

// cut gives the package again, with those fields alone.
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

// restore gives the choices of an index their whole stanzas: the index is
// read once more, up to the last of them.
func (p *planner) restore(s *loadedSuite, f *form, choices []*closure.Choice) (err error) {
	wanted := map[string][]*closure.Choice{}
	for _, c := range choices {
		wanted[key(c.Package)] = append(wanted[key(c.Package)], c)
	}
	if len(wanted) == 0 {
		return nil
	}
	r, err := p.open(s, f)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	for pkg, err := range deb.Packages(r, deb.Limits{}) {
		if err != nil {
			return upstreamError(s.describe(f), err)
		}
		for _, c := range wanted[key(pkg)] {
			c.Package = pkg
		}
		if delete(wanted, key(pkg)); len(wanted) == 0 {
			return nil
		}
	}
	return nil
}

// key tells the packages of one index apart.
func key(p *deb.Package) string {
	return strings.Join([]string{p.Name, p.Version, p.Architecture, p.Filename}, " ")
}
