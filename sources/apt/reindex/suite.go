package reindex

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/klauspost/compress/gzip"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/pgpkeys"
	"github.com/gapbundle/gapbundle/sources/apt/deb"
)

// Suite is what a rebuilt suite, or flat repository, holds.
type Suite struct {
	// Release has what upstream's Release has about itself, Date being the
	// newest signed date among what the selection was made from, and
	// ValidUntil zero unless the spec sets it. Architectures name an index
	// each; "all" is skipped, because its packages are in all of them.
	// Components, Files and AcquireByHash are set here.
	Release deb.Release
	// Flat puts the indexes next to the Release; there is one component then,
	// and what it has for all architectures is in one list.
	Flat bool
	// Labels puts a small Release next to each index of packages, which states what the
	// index is of: makers of install media read it.
	Labels bool
	// Components are at least one, in the order in which Release names them.
	Components []Component
	// Contents write the lines of Contents indexes, by their names relative to
	// the folder of the Release and without a suffix: "main/Contents-amd64".
	Contents map[string]func(io.Writer) error
}

// Component is what one component holds. The order of its lists is of no
// meaning; what occurs twice is written once.
type Component struct {
	Name string
	// Installer: it is the Debian installer's part of another one, of which Release does
	// not list it as a component.
	Installer bool
	Packages  []*deb.Package
	// Sources is nil in all components where no source packages are asked
	// for; otherwise each has an index of them, and it may be an empty one.
	Sources []*deb.Source
	// Translations has the stanzas of each language's index; those without a
	// package among Packages are skipped.
	Translations map[string][]deb.Paragraph
}

// File is a file of the suite.
type File struct {
	// Path is relative to the folder of the Release.
	Path    string
	Content []byte
	// Read reads the content back, and returns what is not as it was meant.
	Read func(io.Reader) error
}

// Build hands every file of the suite to put, indexes and their by-hash
// copies first, Release and its signatures last. Without a signer there are no
// signatures: a plan may not open the site's key. put may keep the content and
// must not change it. Errors match bundle.ErrUsage for a suite that cannot be
// written, bundle.ErrMalformed for two different packages of one name, version
// and architecture, or are put's.
func Build(s Suite, signer *pgpkeys.Signer, put func(File) error) error {
	if len(s.Components) == 0 || (s.Flat && len(s.Components) != 1) {
		return fmt.Errorf("rebuilt suite %s: %s: %w", s.Release.Suite, bundle.Count(len(s.Components), "component"), bundle.ErrUsage)
	}
	b := &builder{suite: &s, put: put, release: s.Release}
	b.sources = slices.ContainsFunc(s.Components, func(c Component) bool { return c.Sources != nil })
	b.release.Paragraph = ""
	b.release.AcquireByHash = true
	b.release.ArchitectureAll = ""
	b.release.Files = nil
	b.release.Components = nil
	b.release.Architectures = slices.DeleteFunc(slices.Clone(s.Release.Architectures), func(a string) bool { return a == "all" })
	for i := range s.Components {
		if err := b.component(&s.Components[i]); err != nil {
			return fmt.Errorf("rebuilt suite %s: %w", s.Release.Suite, err)
		}
	}
	for _, name := range sortedKeys(s.Contents) {
		if err := b.contents(name, s.Contents[name]); err != nil {
			return fmt.Errorf("rebuilt suite %s: %w", s.Release.Suite, err)
		}
	}
	slices.SortFunc(b.release.Files, func(x, y deb.ReleaseFile) int { return bundle.ComparePaths(x.Path, y.Path) })
	return b.sign(signer)
}

type builder struct {
	suite   *Suite
	sources bool // there are indexes of source packages
	put     func(File) error
	release deb.Release
}

func (b *builder) component(c *Component) error {
	packages, err := sortedPackages(c.Packages)
	if err != nil {
		return err
	}
	folder := ""
	if b.suite.Flat {
		if err := b.packages("Packages", packages); err != nil {
			return err
		}
	} else {
		if !c.Installer {
			b.release.Components = append(b.release.Components, c.Name)
		}
		folder = c.Name + "/"
		if err := b.architectures(folder, packages); err != nil {
			return err
		}
	}
	if b.sources && !c.Installer {
		name := folder + "source/Sources"
		if b.suite.Flat {
			name = "Sources"
		}
		sources, err := sortedSources(c.Sources)
		if err != nil {
			return err
		}
		if err := b.index(name, paragraphs(sources, func(s *deb.Source) deb.Paragraph { return s.Paragraph }), readSources(sources)); err != nil {
			return err
		}
	}
	wanted := descriptions(packages)
	for _, language := range sortedKeys(c.Translations) {
		content, n := translation(c.Translations[language], wanted)
		if err := b.index(folder+"i18n/Translation-"+language, content, readStanzas(descriptionField, n)); err != nil {
			return err
		}
	}
	return nil
}

// architectures writes an index for each, empty ones included: apt asks for
// every one that its configuration and Release have in common.
func (b *builder) architectures(folder string, packages []*deb.Package) error {
	for _, arch := range b.release.Architectures {
		var here []*deb.Package
		for _, p := range packages {
			if p.Architecture == arch || p.Architecture == "all" {
				here = append(here, p)
			}
		}
		if err := b.packages(folder+"binary-"+arch+"/Packages", here); err != nil {
			return err
		}
		if b.suite.Labels {
			label := File{folder + "binary-" + arch + "/Release", b.label(strings.TrimSuffix(folder, "/"), arch), readStanzas("Architecture", 1)}
			if err := b.listed(label); err != nil {
				return err
			}
		}
	}
	for _, p := range packages {
		if p.Architecture != "all" && !slices.Contains(b.release.Architectures, p.Architecture) {
			return fmt.Errorf("package %s: architecture not among those of the suite: %w", p.ID(), bundle.ErrUsage)
		}
	}
	return nil
}

// label returns the small Release of an index of packages.
func (b *builder) label(component, arch string) []byte {
	var text strings.Builder
	for _, f := range [][2]string{
		{"Archive", b.release.Suite}, {"Origin", b.release.Origin}, {"Label", b.release.Label}, {"Version", b.release.Version},
		{"Acquire-By-Hash", "yes"}, {"Component", component}, {"Architecture", arch},
	} {
		if f[1] != "" {
			fmt.Fprintf(&text, "%s: %s\n", f[0], f[1])
		}
	}
	return []byte(text.String())
}

// packages puts an index of packages.
func (b *builder) packages(name string, all []*deb.Package) error {
	return b.index(name, paragraphs(all, func(p *deb.Package) deb.Paragraph { return p.Paragraph }), readPackages(all))
}

// index puts an index, plain and compressed, under its names and by hash.
func (b *builder) index(name string, content []byte, read read) error {
	compressed, err := compress(content)
	if err != nil {
		return err
	}
	return errors.Join(b.listed(File{name, content, read}), b.listed(File{name + ".gz", compressed, unpacked(bundle.DigestOf(content), nil)}))
}

// listed puts a file that Release lists, under its name and by hash.
func (b *builder) listed(f File) error {
	listed := deb.ReleaseFile{Path: f.Path, Size: int64(len(f.Content)), SHA256: bundle.DigestOf(f.Content).Hex()}
	b.release.Files = append(b.release.Files, listed)
	for _, path := range append(listed.ByHash(), f.Path) {
		if err := b.put(File{path, f.Content, f.Read}); err != nil {
			return err
		}
	}
	return nil
}

// compress has no name and no time in its header: the same content has the
// same bytes.
func compress(content []byte) ([]byte, error) {
	var buf bytes.Buffer
	w := gzip.NewWriter(&buf)
	_, err := w.Write(content)
	if err = errors.Join(err, w.Close()); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}

// paragraphs joins stanzas, each followed by an empty line.
func paragraphs[T any](all []T, text func(T) deb.Paragraph) []byte {
	size := 0
	for _, v := range all {
		size += len(text(v)) + 1
	}
	out := make([]byte, 0, size)
	for _, v := range all {
		out = append(append(out, text(v)...), '\n')
	}
	return out
}

func sortedPackages(packages []*deb.Package) ([]*deb.Package, error) {
	all := slices.Clone(packages)
	slices.SortFunc(all, func(a, b *deb.Package) int {
		return cmp.Or(comparePackages(a, b), strings.Compare(string(a.Paragraph), string(b.Paragraph)))
	})
	all = slices.CompactFunc(all, func(a, b *deb.Package) bool { return a.Paragraph == b.Paragraph })
	kept := all[:0]
	for _, p := range all {
		if len(kept) == 0 || comparePackages(kept[len(kept)-1], p) != 0 {
			kept = append(kept, p)
			continue
		}
		// Stanzas of two suites may differ in remarks; not in the file.
		if last := kept[len(kept)-1]; last.Size != p.Size || last.SHA256 != p.SHA256 || last.SHA256.IsZero() && last.SHA512 != p.SHA512 || last.Filename != p.Filename {
			return nil, fmt.Errorf("package %s: two files, %s and %s: %w", p.ID(), last.Filename, p.Filename, bundle.ErrMalformed)
		}
	}
	return kept, nil
}

func comparePackages(a, b *deb.Package) int {
	return cmp.Or(strings.Compare(a.Name, b.Name), deb.CompareVersions(a.Version, b.Version),
		strings.Compare(a.Version, b.Version), strings.Compare(a.Architecture, b.Architecture))
}

func sortedSources(sources []*deb.Source) ([]*deb.Source, error) {
	all := slices.Clone(sources)
	slices.SortFunc(all, func(a, b *deb.Source) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), deb.CompareVersions(a.Version, b.Version),
			strings.Compare(a.Version, b.Version), strings.Compare(string(a.Paragraph), string(b.Paragraph)))
	})
	kept := all[:0]
	for _, s := range all {
		if len(kept) == 0 || kept[len(kept)-1].Name != s.Name || kept[len(kept)-1].Version != s.Version {
			kept = append(kept, s)
			continue
		}
		if last := kept[len(kept)-1]; !slices.Equal(last.Files, s.Files) {
			return nil, fmt.Errorf("source package %s (%s): two sets of files: %w", s.Name, s.Version, bundle.ErrMalformed)
		}
	}
	return kept, nil
}

// descriptionField has the digest of a description: a Translation names by it what it translates.
const descriptionField = "Description-md5"

// descriptions returns the digests by which a Translation names what it
// translates.
func descriptions(packages []*deb.Package) map[string]bool {
	wanted := make(map[string]bool, len(packages))
	for _, p := range packages {
		if sum := p.Field(descriptionField); sum != "" {
			wanted[sum] = true
		}
	}
	return wanted
}

// translation returns an index of the n stanzas that are wanted.
func translation(stanzas []deb.Paragraph, wanted map[string]bool) (content []byte, n int) {
	var all []deb.Paragraph
	for _, p := range stanzas {
		if wanted[p.Field(descriptionField)] {
			all = append(all, p)
		}
	}
	slices.Sort(all)
	all = slices.Compact(all)
	return paragraphs(all, func(p deb.Paragraph) deb.Paragraph { return p }), len(all)
}

// Translations reads the stanzas of a Translation index whose digest of the
// description one of packages has, so that what is not wanted is not held.
// Errors match bundle.ErrMalformed or are r's.
func Translations(r io.Reader, packages []*deb.Package) ([]deb.Paragraph, error) {
	wanted := descriptions(packages)
	scanner := deb.NewScanner(r, deb.Limits{})
	var all []deb.Paragraph
	for {
		p, err := scanner.Next()
		switch {
		case errors.Is(err, io.EOF):
			return all, nil
		case err != nil:
			return nil, err
		case wanted[p.Field(descriptionField)]:
			all = append(all, p)
		}
	}
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
