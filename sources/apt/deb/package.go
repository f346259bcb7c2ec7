package deb

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"path"
	"strconv"
	"strings"
	"unicode"

	"github.com/gapbundle/gapbundle/bundle"
)

// MultiArch is what a package declares about being used by packages of other
// architectures. The zero value is no.
type MultiArch uint8

// The values of the field Multi-Arch.
const (
	MultiArchNo MultiArch = iota
	MultiArchSame
	MultiArchForeign
	MultiArchAllowed
)

func parseMultiArch(s string) (m MultiArch, ok bool) {
	switch s {
	case "", "no":
		return MultiArchNo, true
	case "same":
		return MultiArchSame, true
	case "foreign":
		return MultiArchForeign, true
	case "allowed":
		return MultiArchAllowed, true
	}
	return MultiArchNo, false
}

// Package is one stanza of a Packages file or of dpkg's status. All strings
// are parts of Paragraph, so that a list costs its own text and little more; what is
// not a member is looked up there when asked for.
type Package struct {
	Paragraph
	Name, Version, Architecture string
	MultiArch                   MultiArch
	// Essential is also set for Protected and Important packages.
	Essential bool
	Provides  string
	// Filename is relative to the repository's root, cleaned as the path of a URL and
	// checked by bundle.CheckPath; Paragraph has it as upstream wrote it. "" in a
	// status file.
	Filename string
	// Size is that of the file in bytes, -1 in a status file.
	Size int64
	// SHA256 is zero, and SHA512 "", where the index does not have it.
	SHA256 bundle.Digest
	SHA512 string // hexadecimal digits, as upstream wrote them
}

// The fields that a Package has as members. One that occurs twice in a stanza
// is refused: two readers could take either.
const (
	fieldPackage = 1 << iota
	fieldVersion
	fieldArchitecture
	fieldMultiArch
	fieldEssential
	fieldImportant
	fieldProtected
	fieldProvides
	fieldFilename
	fieldSize
	fieldSHA256
	fieldSHA512
	fieldDepends
	fieldPreDepends
	fieldRecommends
	fieldSource
	fieldStatus
	fieldDescription
	fieldDescriptionMD5
)

// packageFields returns the names of the bits above, by their position.
func packageFields() [19]string {
	return [...]string{
		"Package", "Version", "Architecture", "Multi-Arch", "Essential", "Important", "Protected", "Provides",
		"Filename", "Size", "SHA256", "SHA512", "Depends", "Pre-Depends", "Recommends", "Source", "Status", "Description", "Description-md5",
	}
}

const (
	wantedInIndex  = fieldPackage | fieldVersion | fieldArchitecture | fieldFilename | fieldSize
	wantedInStatus = fieldPackage | fieldVersion | fieldArchitecture
)

// ParsePackage reads a stanza of a Packages file. Errors match
// bundle.ErrMalformed.
func ParsePackage(text Paragraph) (*Package, error) { return parsePackage(text, wantedInIndex, false) }

// parsePackage reads a stanza that has the fields want. client: it is also checked as by
// CheckForClient, in the same pass over the fields, which is most of the work.
func parsePackage(text Paragraph, want uint, client bool) (*Package, error) {
	p := &Package{Paragraph: text, Size: -1}
	names := packageFields()
	var seen uint
	var unreadable relationFault
	for name, value := range text.Fields() {
		if client {
			unreadable.look(name, value)
		}
		for i, known := range names {
			if len(name) != len(known) || !strings.EqualFold(name, known) {
				continue
			}
			bit := uint(1) << i
			if seen&bit != 0 {
				return nil, fmt.Errorf("package %.80q: field %s twice: %w", p.Name, known, bundle.ErrMalformed)
			}
			seen |= bit
			if err := p.set(bit, value); err != nil {
				return nil, fmt.Errorf("package %.80q: field %s: %w", p.Name, known, err)
			}
			break
		}
	}
	for i, known := range names {
		if want&^seen&(1<<i) != 0 {
			return nil, fmt.Errorf("package %.80q: no field %s: %w", p.Name, known, bundle.ErrMalformed)
		}
	}
	return p, unreadable.of(p)
}

func (p *Package) set(field uint, value string) error {
	var err error
	switch field {
	case fieldPackage:
		p.Name = value
		err = check(isPackageName(value), value)
	case fieldVersion:
		p.Version = value
		err = CheckVersion(value)
	case fieldArchitecture:
		p.Architecture = value
		err = check(isPackageName(value), value)
	case fieldMultiArch:
		var ok bool
		p.MultiArch, ok = parseMultiArch(value)
		err = check(ok, value)
	case fieldEssential, fieldImportant, fieldProtected:
		p.Essential = p.Essential || value == "yes"
	case fieldProvides:
		p.Provides = value
	case fieldFilename:
		p.Filename, err = cleanPath(value)
	case fieldSize:
		p.Size, err = parseSize(value)
	case fieldSHA256:
		p.SHA256, err = bundle.ParseHex(value)
	case fieldSHA512:
		p.SHA512 = value
	}
	return err
}

func check(ok bool, value string) error {
	if ok {
		return nil
	}
	return fmt.Errorf("%.80q: %w", value, bundle.ErrMalformed)
}

// cleanPath returns the path of a file below the repository's root, cleaned as the path
// of a URL is: apt appends the value to the address and leaves the rest to the server.
// dpkg-scanpackages and flat repositories put "./" in front, Sonatype Nexus puts "/". A
// path that leads out of the root, or that names a folder, is refused.
func cleanPath(value string) (string, error) {
	if strings.HasSuffix(value, "/") || strings.ContainsFunc(value, unicode.IsControl) {
		return value, check(false, value)
	}
	clean := path.Clean(strings.TrimLeft(value, "/"))
	return clean, bundle.CheckPath(clean)
}

// listedPath returns the path of an index that a Release lists. apt looks it up by its
// exact text, so that only "./" in front of it is removed.
func listedPath(value string) (string, error) {
	for strings.HasPrefix(value, "./") {
		value = value[2:]
	}
	return value, bundle.CheckPath(value)
}

func parseSize(value string) (int64, error) {
	if value == "" || len(value) > 18 || strings.Trim(value, "0123456789") != "" {
		return 0, fmt.Errorf("size %.40q: %w", value, bundle.ErrMalformed)
	}
	return strconv.ParseInt(value, 10, 64)
}

// Source returns name and version of the source package this one was built from.
func (p *Package) Source() (name, version string) {
	name, rest, found := strings.Cut(p.Field("Source"), " ")
	if name == "" {
		name = p.Name
	}
	if rest = strings.Trim(rest, " ()"); !found || rest == "" {
		return name, p.Version
	}
	return name, rest
}

// ID returns name, version and architecture, for people.
func (p *Package) ID() string { return p.Name + ":" + p.Architecture + " (" + p.Version + ")" }

// Packages returns every stanza of a Packages file. The sequence ends after
// the first error, which matches bundle.ErrMalformed or is r's own.
func Packages(r io.Reader, l Limits) iter.Seq2[*Package, error] {
	return packages(r, l, wantedInIndex)
}

func packages(r io.Reader, l Limits, want uint) iter.Seq2[*Package, error] {
	return func(yield func(*Package, error) bool) {
		s := NewScanner(r, l)
		for {
			text, err := s.Next()
			if errors.Is(err, io.EOF) {
				return
			}
			var p *Package
			if err == nil {
				if p, err = parsePackage(text, want, l.Client); err != nil {
					err = fmt.Errorf("line %d: %w", s.Line(), err)
				}
			}
			if !yield(p, err) || err != nil {
				return
			}
		}
	}
}

// Installed returns the packages of dpkg's status file that are installed or
// have triggers to run: those that apt takes for satisfying dependencies.
func Installed(r io.Reader, l Limits) iter.Seq2[*Package, error] {
	return func(yield func(*Package, error) bool) {
		s := NewScanner(r, l)
		for {
			text, err := s.Next()
			if errors.Is(err, io.EOF) {
				return
			}
			var p *Package
			if err == nil {
				state := strings.Fields(text.Field("Status"))
				if len(state) == 3 && state[2] != "installed" && !strings.HasPrefix(state[2], "triggers-") {
					continue
				}
				if len(state) != 3 {
					err = fmt.Errorf("line %d: package %.80q: no field Status of three words: %w", s.Line(), text.Field("Package"), bundle.ErrMalformed)
				} else if p, err = parsePackage(text, wantedInStatus, false); err != nil {
					err = fmt.Errorf("line %d: %w", s.Line(), err)
				}
			}
			if !yield(p, err) || err != nil {
				return
			}
		}
	}
}
