package deb

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"path"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
)

// Source is one stanza of a Sources file.
type Source struct {
	Paragraph
	Name, Version string
	// Directory is relative to the repository's root, "" for the root itself.
	Directory string
	// Files are the parts, in order of their paths.
	Files []SourceFile
}

// SourceFile is one file of a source package.
type SourceFile struct {
	// Path is relative to the repository's root.
	Path string
	Size int64
	// SHA256 is zero, and SHA512 "", where the index does not have it.
	SHA256 bundle.Digest
	SHA512 string // lower-case hexadecimal digits
}

// maxSourceFiles bounds one source package; the largest real one has about 30.
const maxSourceFiles = 4096

// Sources returns every stanza of a Sources file. The sequence ends after the
// first error, which matches bundle.ErrMalformed or is r's own.
func Sources(r io.Reader, l Limits) iter.Seq2[*Source, error] {
	return func(yield func(*Source, error) bool) {
		s := NewScanner(r, l)
		for {
			text, err := s.Next()
			if errors.Is(err, io.EOF) {
				return
			}
			var source *Source
			if err == nil {
				if source, err = ParseSource(text); err != nil {
					err = fmt.Errorf("line %d: %w", s.Line(), err)
				}
			}
			if !yield(source, err) || err != nil {
				return
			}
		}
	}
}

// ParseSource reads a stanza of a Sources file. Files that neither Checksums-Sha256 nor
// Checksums-Sha512 has are taken from Files, without a digest. Errors match
// bundle.ErrMalformed.
func ParseSource(text Paragraph) (*Source, error) {
	s := &Source{Paragraph: text}
	values, err := uniqueFields(text, "Package", "Version", "Directory", "Files", "Checksums-Sha256", "Checksums-Sha512")
	if err != nil {
		return nil, err
	}
	s.Name, s.Version = values[0], values[1]
	if !isPackageName(s.Name) {
		return nil, fmt.Errorf("source package: name %.80q: %w", s.Name, bundle.ErrMalformed)
	}
	if err := CheckVersion(s.Version); err != nil {
		return nil, fmt.Errorf("source package %s: %w", s.Name, err)
	}
	directory := strings.TrimRight(values[2], "/")
	if directory != "" && path.Clean(strings.TrimLeft(directory, "/")) != "." {
		if s.Directory, err = cleanPath(directory); err != nil {
			return nil, fmt.Errorf("source package %s: field Directory: %w", s.Name, err)
		}
	}
	for _, table := range []struct {
		value  string
		digits int
	}{{values[4], 64}, {values[5], 128}, {values[3], 32}} {
		if err := s.table(table.value, table.digits); err != nil {
			return nil, fmt.Errorf("source package %s: %w", s.Name, err)
		}
	}
	if len(s.Files) == 0 {
		return nil, fmt.Errorf("source package %s: no files: %w", s.Name, bundle.ErrMalformed)
	}
	slices.SortFunc(s.Files, func(a, b SourceFile) int { return bundle.ComparePaths(a.Path, b.Path) })
	return s, nil
}

// uniqueFields returns the values of the named fields, of which none may occur
// twice.
func uniqueFields(text Paragraph, names ...string) ([]string, error) {
	values := make([]string, len(names))
	seen := make([]bool, len(names))
	for name, value := range text.Fields() {
		for i, known := range names {
			if !strings.EqualFold(name, known) {
				continue
			}
			if seen[i] {
				return nil, fmt.Errorf("source package %.80q: field %s twice: %w", values[0], known, bundle.ErrMalformed)
			}
			values[i], seen[i] = value, true
		}
	}
	return values, nil
}

// table adds the files of one hash table. Names have no slash: dpkg-source
// takes what is next to the .dsc alone.
func (s *Source) table(value string, digits int) error {
	for line := range lines(value) {
		words := strings.Fields(line)
		if len(words) != 3 || len(words[0]) != digits || strings.Contains(words[2], "/") {
			return fmt.Errorf("line %.160q: want %s, size and name: %w", line, bundle.Count(digits, "hex digit"), bundle.ErrMalformed)
		}
		f := SourceFile{Path: words[2]}
		if s.Directory != "" {
			f.Path = s.Directory + "/" + words[2]
		}
		var err error
		if f.Size, err = parseSize(words[1]); err != nil {
			return err
		}
		if err := bundle.CheckPath(f.Path); err != nil {
			return err
		}
		switch digits {
		case 64:
			if f.SHA256, err = bundle.ParseHex(words[0]); err != nil {
				return err
			}
		case 128:
			f.SHA512 = words[0]
		}
		if err := s.addFile(f); err != nil {
			return err
		}
	}
	return nil
}

func (s *Source) addFile(f SourceFile) error {
	for i := range s.Files {
		have := &s.Files[i]
		if have.Path != f.Path {
			continue
		}
		if have.SHA512 == "" {
			have.SHA512 = f.SHA512
		}
		if have.Size != f.Size || !f.SHA256.IsZero() && have.SHA256 != f.SHA256 || f.SHA512 != "" && have.SHA512 != f.SHA512 {
			return fmt.Errorf("file %.160q: two sizes or two hashes: %w", f.Path, bundle.ErrMalformed)
		}
		return nil
	}
	if len(s.Files) == maxSourceFiles {
		return fmt.Errorf("more than %d files: %w", maxSourceFiles, bundle.ErrMalformed)
	}
	s.Files = append(s.Files, f)
	return nil
}
