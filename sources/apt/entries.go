package apt

import (
	"path"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/apt/deb"
	"github.com/gapbundle/gapbundle/sources/stock"
)

// packageFile returns the file of a binary package, which is what apt calls by the package's
// name. Those of the debian-installer are a type of their own.
func (s *loadedSuite) packageFile(p *deb.Package, component, reason string) (stock.File, error) {
	file, err := s.pool(p.Filename, p.Size, p.SHA256, p.SHA512, reason)
	if err != nil {
		return file, err
	}
	typ := bundle.TypeDeb
	if path.Ext(p.Filename) == ".udeb" {
		typ = bundle.TypeUdeb
	}
	source, _, _ := strings.Cut(p.Field("Source"), " ") // a version in parentheses may follow
	file.Entries = sources.NewEntries(sources.Entry{
		Name: p.Name, Type: typ, Version: p.Version, Arch: p.Architecture, Group: s.group(component), Summary: p.Field("Description"), Source: source,
	})
	return file, nil
}

// sourceFiles returns the parts of a source package; its .dsc, which lists the others, is what
// stands for it.
func (s *loadedSuite) sourceFiles(src *deb.Source, component, reason string) ([]stock.File, error) {
	all := make([]stock.File, 0, len(src.Files))
	for _, part := range src.Files {
		file, err := s.pool(part.Path, part.Size, part.SHA256, part.SHA512, reason)
		if err != nil {
			return nil, err
		}
		if path.Ext(part.Path) == ".dsc" {
			file.Entries = sources.NewEntries(sources.Entry{
				Name: src.Name, Type: bundle.TypeDsc, Version: src.Version, Arch: src.Field("Architecture"), Group: s.group(component),
			})
		}
		all = append(all, file)
	}
	return all, nil
}

// group returns the suite, and the component of one that has components.
func (s *suite) group(component string) string {
	if component == "" {
		return s.name
	}
	return s.name + "/" + component
}

func compareVersions(_, a, b string) int { return deb.CompareVersions(a, b) }
