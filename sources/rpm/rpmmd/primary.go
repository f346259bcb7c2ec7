package rpmmd

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
)

const (
	// maxRelations bounds the relations of one package; a kernel provides 6,000.
	maxRelations = 200_000
	// maxPackageName bounds the name of a package with its architecture: each of
	// its relations is told with it.
	maxPackageName = 512 // bytes
	// long is how long the names of relations are, apart from rich ones; what is
	// longer counts wherever it is, as each may be reported.
	long = 128 // bytes
	// MaxSummary is how much of a summary is kept.
	MaxSummary = 256 // bytes
	// maxText bounds a name, a path and the like, in bytes.
	maxText = 16 << 10
)

// Detail states how much of a package is read.
type Detail int

const (
	// Files are what a mirror has to know: name, version, checksum, size, place.
	Files Detail = iota
	// Relations are those besides that a choice needs.
	Relations
)

// PackageError is what is wrong with one package of a document that is well-formed: those
// after it can be read.
type PackageError struct{ Err error }

func (e *PackageError) Error() string { return e.Err.Error() }

// Unwrap returns what is wrong.
func (e *PackageError) Unwrap() error { return e.Err }

// Primary streams the packages of a primary.xml. Strings are kept by in, which
// may be shared by several lists that are read one after the other, and which
// bounds what all of them need. Errors match bundle.ErrMalformed, or are those of r. After
// a PackageError it goes on, after another one it ends.
func Primary(r io.Reader, detail Detail, in *Interner) iter.Seq2[*Package, error] {
	return func(yield func(*Package, error) bool) {
		d, err := newDocument(r, "metadata")
		if err != nil {
			yield(nil, err)
			return
		}
		read := &packageReader{in: in, detail: detail}
		for {
			start, err := d.next()
			if err == io.EOF {
				return
			}
			if err == nil && start.name != "package" {
				continue
			}
			var p *Package
			if err == nil {
				p, err = read.read(d)
			}
			if !yield(p, err) || err != nil && !errors.As(err, new(*PackageError)) {
				return
			}
		}
	}
}

// packageReader reads packages, one after the other.
type packageReader struct {
	in     *Interner
	detail Detail
	// About the package that is being read:
	p     *Package
	lists [8][]*Relation // by listOf
	files []string
	size  int // of all lists
	// The text that is being read, and what becomes of it:
	text []byte
	to   *string // nil: not this
	end  func(*packageReader) error
	kind string // of the checksum
}

func (r *packageReader) read(d *document) (*Package, error) {
	r.p, r.size, r.files = &Package{PackageSize: -1}, 0, r.files[:0]
	for i := range r.lists {
		r.lists[i] = r.lists[i][:0]
	}
	depth := 0
	of := func(err error) error { // of the package, not of the document
		if err != nil && errors.Is(err, bundle.ErrMalformed) {
			return &PackageError{err}
		}
		return err
	}
	err := d.each("package", func(path []string, t *token) error {
		switch t.kind {
		case startTag:
			if err := r.finish(); err != nil {
				return of(err)
			}
			depth = len(path)
			return of(r.start(path[1:], t))
		case charData:
			if (r.to != nil || r.end != nil) && len(path) == depth {
				if r.text = append(r.text, t.text...); len(r.text) > maxText {
					return fmt.Errorf("%s of more than %d bytes: %w", path[len(path)-1], maxText, bundle.ErrMalformed)
				}
			}
		}
		return nil
	})
	if err == nil {
		if err = r.finish(); err == nil {
			err = r.check()
		}
		err = of(err)
	}
	if err == nil {
		err = r.in.Hold(costPackage + costListed*int64(r.size))
	}
	if err != nil {
		return nil, fmt.Errorf("package %.100s: %w", r.p.NEVRA(), err)
	}
	r.fit()
	return r.p, nil
}

// finish ends the element whose text was collected.
func (r *packageReader) finish() (err error) {
	if r.to != nil {
		*r.to = r.in.intern(bytes.TrimSpace(r.text))
	}
	if r.end != nil {
		err = r.end(r)
	}
	r.to, r.end, r.text = nil, nil, r.text[:0]
	return err
}

func (r *packageReader) check() error {
	p := r.p
	switch {
	case p.Name == "" || p.Arch == "" || p.EVR.Version == "":
		return fmt.Errorf("without name, version or architecture: %w", bundle.ErrMalformed)
	case len(p.Name)+len(p.Arch) > maxPackageName:
		return fmt.Errorf("a name of %s: %w", bundle.Count(len(p.Name)+len(p.Arch), "byte"), bundle.ErrMalformed)
	case p.Checksum.Hex == "":
		return fmt.Errorf("without checksum: %w", bundle.ErrMalformed)
	case p.Location == "":
		return fmt.Errorf("without location: %w", bundle.ErrMalformed)
	case p.PackageSize < 0:
		return fmt.Errorf("without size: %w", bundle.ErrMalformed)
	}
	return nil
}

// start looks at an element; path is below the package.
func (r *packageReader) start(path []string, t *token) error {
	if len(path) == 1 {
		return r.top(path[0], t)
	}
	if path[0] != "format" {
		return nil
	}
	switch {
	case len(path) == 2 && path[1] == "rpm:license":
		r.to = &r.p.Licence
	case len(path) == 2 && path[1] == "rpm:sourcerpm":
		r.to = &r.p.SourceRPM
	case r.detail != Relations:
	case len(path) == 2 && path[1] == "file":
		r.end = (*packageReader).file
	case len(path) == 3 && path[2] == "rpm:entry":
		return r.relation(path[1], t)
	}
	return nil
}

// file ends the text of a path.
func (r *packageReader) file() error {
	r.files = append(r.files, r.in.intern(r.text))
	return r.count()
}

// count counts a relation or file.
func (r *packageReader) count() error {
	if r.size++; r.size > maxRelations {
		return fmt.Errorf("more than %d relations and files: %w", maxRelations, bundle.ErrMalformed)
	}
	return nil
}

// summary ends the text of a summary.
func (r *packageReader) summary() error {
	text := bytes.TrimSpace(r.text)
	r.p.Summary = string(text[:min(len(text), MaxSummary)])
	return r.in.Hold(int64(len(r.p.Summary)))
}

// sum ends the text of a checksum.
func (r *packageReader) sum() error {
	c, err := checksum(r.kind, string(r.text))
	r.p.Checksum = Checksum{Type: r.in.intern([]byte(c.Type)), Hex: r.in.keep([]byte(c.Hex))}
	return err
}

// top looks at an element directly below the package.
func (r *packageReader) top(name string, t *token) (err error) {
	p := r.p
	if name == "name" && p.Name != "" || name == "arch" && p.Arch != "" || name == "version" && p.EVR.Version != "" ||
		name == "checksum" && p.Checksum.Hex != "" || name == "size" && p.PackageSize >= 0 || name == "location" && p.Location != "" {
		return fmt.Errorf("%s occurs twice: readers differ in which one they take: %w", name, bundle.ErrMalformed)
	}
	switch name {
	case "name":
		r.to = &p.Name
	case "arch":
		r.to = &p.Arch
	case "summary":
		r.end = (*packageReader).summary
	case "version":
		p.EVR, err = NewEVR(attr(t, "epoch"), r.in.intern(value(t, "ver")), r.in.intern(value(t, "rel")))
	case "checksum":
		r.kind, r.end = attr(t, "type"), (*packageReader).sum
	case "size":
		for i := range t.attrs {
			if a := &t.attrs[i]; string(a.name) == "package" && len(a.value) > 0 {
				whole, _, _ := strings.Cut(string(a.value), ".")
				p.PackageSize, err = size(whole, 0)
			}
		}
	case "location":
		href := value(t, "href")
		if len(href) > maxText {
			return fmt.Errorf("location of %s: %w", bundle.Count(len(href), "byte"), bundle.ErrMalformed)
		}
		p.Location, p.BaseURL = r.in.keep(href), r.in.intern(value(t, "xml:base"))
		err = r.in.Hold(2 * int64(len(href))) // its place here and its address
	}
	return err
}

// relation reads an entry of the list called name.
func (r *packageReader) relation(list string, t *token) error {
	at := listOf(list)
	if at < 0 {
		return nil
	}
	if err := r.count(); err != nil {
		return err
	}
	name := value(t, "name")
	if len(name) == 0 || len(name) > maxRich {
		return fmt.Errorf("%s: a relation without a name, or of %s: %w", list, bundle.Count(len(name), "byte"), bundle.ErrMalformed)
	}
	op, ok := ParseOp(string(value(t, "flags")))
	if !ok {
		return fmt.Errorf("%s: %.60s: flags %.20q: %w", list, name, value(t, "flags"), bundle.ErrMalformed)
	}
	var epoch uint32
	var version, release []byte
	if op != Any {
		version, release = value(t, "ver"), value(t, "rel")
		var err error
		if epoch, err = checkEVR(value(t, "epoch"), version, release); err != nil {
			return fmt.Errorf("%s: %.60s: %w", list, name, err)
		}
	}
	r.lists[at] = append(r.lists[at], r.in.relation(name, op, epoch, version, release))
	n := int64(max(0, len(name)-long))
	if list == "rpm:requires" || list == "rpm:recommends" {
		n += costNeed
	}
	return r.in.Hold(n)
}

// listOf returns the place of an element among the lists; -1: it is none.
func listOf(name string) int {
	switch name {
	case "rpm:provides":
		return 0
	case "rpm:requires":
		return 1
	case "rpm:conflicts":
		return 2
	case "rpm:obsoletes":
		return 3
	case "rpm:recommends":
		return 4
	case "rpm:supplements":
		return 5
	case "rpm:suggests":
		return 6
	case "rpm:enhances":
		return 7
	}
	return -1
}

// fit sets the lists of the package, in no more memory than they need: a
// repository has millions of entries.
func (r *packageReader) fit() {
	p := r.p
	all := make([]*Relation, 0, r.size-len(r.files))
	for i, to := range [...]*[]*Relation{&p.Provides, &p.Requires, &p.Conflicts, &p.Obsoletes, &p.Recommends, &p.Supplements, &p.Suggests, &p.Enhances} {
		if n := len(all); len(r.lists[i]) > 0 {
			all = append(all, r.lists[i]...)
			*to = all[n:len(all):len(all)]
		}
	}
	if len(r.files) > 0 {
		p.Files = slices.Clone(r.files)
	}
}
