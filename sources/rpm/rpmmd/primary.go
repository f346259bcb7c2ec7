package rpmmd

import (
	"encoding/xml"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
)

const (
	// maxPackages bounds a repository: each of its packages is held in memory.
	// Fedora's everything has 70,000.
	maxPackages = 2_000_000
	// maxRelations bounds the relations of one package; a kernel provides 6,000.
	maxRelations = 200_000
	// maxText bounds a name, a path and the like, in bytes.
	maxText = 16 << 10
)

// Detail says how much of a package is read.
type Detail int

const (
	// Files are what a mirror has to know: name, version, checksum, size, place.
	Files Detail = iota
	// Relations are everything but the description.
	Relations
)

// Primary streams the packages of a primary.xml. Strings are kept by in, which
// may be shared by several lists that are read one after the other. Errors
// match bundle.ErrMalformed, or are those of r.
func Primary(r io.Reader, detail Detail, in *Interner) iter.Seq2[*Package, error] {
	return func(yield func(*Package, error) bool) {
		d, err := newDocument(r, "metadata")
		if err != nil {
			yield(nil, err)
			return
		}
		for n := 0; ; {
			start, err := d.next()
			if err == io.EOF {
				return
			}
			if err == nil && start.Name.Local != "package" {
				continue
			}
			if n++; err == nil && n > maxPackages {
				err = fmt.Errorf("more than %d packages: %w", maxPackages, bundle.ErrMalformed)
			}
			var p *Package
			if err == nil {
				p, err = readPackage(d, detail, in)
			}
			if !yield(p, err) || err != nil {
				return
			}
		}
	}
}

// packageReader fills one package.
type packageReader struct {
	p      *Package
	in     *Interner
	detail Detail
	text   []byte // of the element that is being read
	end    func(text string) error
	size   int
}

func readPackage(d *document, detail Detail, in *Interner) (*Package, error) {
	r := &packageReader{p: &Package{PackageSize: -1}, in: in, detail: detail}
	depth := 0
	err := d.each("package", func(path []string, t xml.Token) error {
		switch t := t.(type) {
		case xml.StartElement:
			if err := r.finish(); err != nil {
				return err
			}
			depth = len(path)
			return r.start(path[1:], t)
		case xml.CharData:
			if r.end != nil && len(path) == depth {
				if r.text = append(r.text, t...); len(r.text) > maxText && detail == Relations {
					r.text = r.text[:maxText]
				}
			}
		}
		return nil
	})
	if err == nil {
		err = r.finish()
	}
	if err == nil {
		err = r.check()
	}
	r.p.fit()
	if err != nil {
		err = fmt.Errorf("package %.100s: %w", r.p.NEVRA(), err)
	}
	return r.p, err
}

// finish ends the element whose text was collected.
func (r *packageReader) finish() error {
	end := r.end
	r.end = nil
	if end == nil {
		return nil
	}
	text := string(r.text)
	r.text = r.text[:0]
	return end(text)
}

func (r *packageReader) check() error {
	p := r.p
	switch {
	case p.Name == "" || p.Arch == "" || p.EVR.Version == "":
		return fmt.Errorf("without name, version or architecture: %w", bundle.ErrMalformed)
	case p.Checksum.Hex == "":
		return fmt.Errorf("without checksum: %w", bundle.ErrMalformed)
	case p.Location == "":
		return fmt.Errorf("without location: %w", bundle.ErrMalformed)
	case p.PackageSize < 0:
		return fmt.Errorf("without size: %w", bundle.ErrMalformed)
	}
	return nil
}

// kept collects a text, interned.
func (r *packageReader) kept(to *string) {
	r.end = func(text string) error {
		*to = r.in.Intern(strings.TrimSpace(text))
		return nil
	}
}

// start looks at an element; path is below the package.
func (r *packageReader) start(path []string, t xml.StartElement) error {
	if len(path) == 1 {
		return r.top(path[0], t)
	}
	if path[0] != "format" || r.detail != Relations {
		return nil
	}
	if len(path) == 2 {
		switch path[1] {
		case "license":
			r.kept(&r.p.License)
		case "vendor":
			r.kept(&r.p.Vendor)
		case "group":
			r.kept(&r.p.Group)
		case "sourcerpm":
			r.kept(&r.p.SourceRPM)
		case "header-range":
			return r.numbers(t, map[string]*int64{"start": &r.p.HeaderStart, "end": &r.p.HeaderEnd})
		case "file":
			r.end = func(text string) error {
				if r.size++; r.size > maxRelations {
					return fmt.Errorf("more than %d relations and files: %w", maxRelations, bundle.ErrMalformed)
				}
				r.p.Files = append(r.p.Files, r.in.Intern(text))
				return nil
			}
		}
		return nil
	}
	if len(path) == 3 && path[2] == "entry" {
		return r.relation(path[1], t)
	}
	return nil
}

// top looks at an element directly below the package.
func (r *packageReader) top(name string, t xml.StartElement) (err error) {
	p := r.p
	if name == "name" && p.Name != "" || name == "checksum" && p.Checksum.Hex != "" || name == "location" && p.Location != "" {
		return fmt.Errorf("%s stands twice: readers differ in which one they take: %w", name, bundle.ErrMalformed)
	}
	switch name {
	case "name":
		r.kept(&p.Name)
	case "arch":
		r.kept(&p.Arch)
	case "version":
		p.EVR, err = NewEVR(attr(t, "epoch"), r.in.Intern(attr(t, "ver")), r.in.Intern(attr(t, "rel")))
	case "checksum":
		kind := attr(t, "type")
		r.end = func(text string) (err error) {
			p.Checksum, err = checksum(kind, text)
			p.Checksum.Type = r.in.Intern(p.Checksum.Type)
			return err
		}
	case "summary":
		if r.detail == Relations {
			r.kept(&p.Summary)
		}
	case "time":
		err = r.numbers(t, map[string]*int64{"file": &p.FileTime, "build": &p.BuildTime})
	case "size":
		err = r.numbers(t, map[string]*int64{"package": &p.PackageSize, "installed": &p.InstalledSize, "archive": &p.ArchiveSize})
	case "location":
		p.Location, p.BaseURL = strings.Clone(attr(t, "href")), r.in.Intern(attr(t, "base"))
		if len(p.Location) > maxText {
			err = fmt.Errorf("location of %d bytes: %w", len(p.Location), bundle.ErrMalformed)
		}
	}
	return err
}

func (r *packageReader) numbers(t xml.StartElement, into map[string]*int64) error {
	for _, a := range t.Attr {
		to := into[a.Name.Local]
		if to == nil || a.Value == "" {
			continue
		}
		whole, _, _ := strings.Cut(a.Value, ".")
		n, err := size(whole, 0)
		if err != nil {
			return err
		}
		*to = n
	}
	return nil
}

// relation reads an entry of the list called name.
func (r *packageReader) relation(name string, t xml.StartElement) error {
	p := r.p
	list := p.relations(name)
	if list == nil {
		return nil
	}
	if r.size++; r.size > maxRelations {
		return fmt.Errorf("more than %d relations and files: %w", maxRelations, bundle.ErrMalformed)
	}
	one := Relation{Name: attr(t, "name"), Pre: attr(t, "pre") == "1"}
	if one.Name == "" || len(one.Name) > maxRich {
		return fmt.Errorf("%s: a relation without a name, or of %d bytes: %w", name, len(one.Name), bundle.ErrMalformed)
	}
	var ok bool
	if one.Op, ok = ParseOp(attr(t, "flags")); !ok {
		return fmt.Errorf("%s: %.60s: flags %.20q: %w", name, one.Name, attr(t, "flags"), bundle.ErrMalformed)
	}
	if one.Op != Any {
		var err error
		if one.EVR, err = NewEVR(attr(t, "epoch"), attr(t, "ver"), attr(t, "rel")); err != nil {
			return fmt.Errorf("%s: %.60s: %w", name, one.Name, err)
		}
	}
	*list = append(*list, r.in.Relation(one))
	return nil
}

// relations is the list of a name; nil: it is none.
func (p *Package) relations(name string) *[]*Relation {
	switch name {
	case "provides":
		return &p.Provides
	case "requires":
		return &p.Requires
	case "conflicts":
		return &p.Conflicts
	case "obsoletes":
		return &p.Obsoletes
	case "recommends":
		return &p.Recommends
	case "supplements":
		return &p.Supplements
	case "suggests":
		return &p.Suggests
	case "enhances":
		return &p.Enhances
	}
	return nil
}

// fit gives back what lists have grown beyond their content: a repository has
// millions of entries.
func (p *Package) fit() {
	for _, list := range []*[]*Relation{&p.Provides, &p.Requires, &p.Conflicts, &p.Obsoletes, &p.Recommends, &p.Supplements, &p.Suggests, &p.Enhances} {
		*list = slices.Clone(*list)
	}
	p.Files = slices.Clone(p.Files)
}
