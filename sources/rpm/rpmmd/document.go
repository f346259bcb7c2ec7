package rpmmd

import (
	"bufio"
	"encoding/xml"
	"errors"
	"fmt"
	"io"

	"github.com/gapbundle/gapbundle/bundle"
)

const (
	// maxElement bounds one child of a document's root, which is held in
	// memory: a single text of gigabytes would fill it. texlive's list of
	// files, the largest known, has 20 MB.
	maxElement = 64 << 20 // bytes
	// maxDepth bounds how deep elements are nested.
	maxDepth = 64
)

// document reads the children of an XML document's root one by one. Entities
// that a document declares itself are not known here: one that uses them is
// refused, so none grows.
type document struct {
	dec  *xml.Decoder
	in   *window
	root string
	// depth counts open elements: 1 is in the root.
	depth int
	start int64 // offset of the child that next gave
	at    int64 // offset of the token that token gave
	// Head is the root's own start tag.
	head xml.StartElement
}

// newDocument reads up to the root, which has to be called root; "" is a list
// of files or of changes.
func newDocument(r io.Reader, root string) (*document, error) {
	d := &document{in: &window{r: bufio.NewReaderSize(r, 1<<16), most: maxElement, left: maxElement}, root: root}
	d.dec = xml.NewDecoder(d.in)
	for {
		t, err := d.dec.Token()
		if err != nil {
			return nil, d.fail(err)
		}
		if start, ok := t.(xml.StartElement); ok {
			if root == "" && (start.Name.Local == "filelists" || start.Name.Local == "otherdata") {
				root, d.root = start.Name.Local, start.Name.Local
			}
			if start.Name.Local != root {
				return nil, fmt.Errorf("<%.60s> where <%s> has to be: %w", start.Name.Local, root, bundle.ErrMalformed)
			}
			d.depth, d.head = 1, start.Copy()
			return d, nil
		}
	}
}

// next gives the next child of the root; io.EOF behind the last, when the root
// is closed and nothing but blanks and comments stand behind it.
func (d *document) next() (xml.StartElement, error) {
	for d.depth > 1 {
		if _, err := d.token(); err != nil {
			return xml.StartElement{}, err
		}
	}
	for {
		d.start = d.dec.InputOffset()
		d.in.forget(d.start)
		t, err := d.dec.Token()
		if err == io.EOF && d.depth == 0 {
			return xml.StartElement{}, io.EOF
		}
		if err != nil {
			return xml.StartElement{}, d.fail(err)
		}
		switch t := t.(type) {
		case xml.StartElement:
			if d.depth == 0 {
				return t, fmt.Errorf("<%.60s> behind the end: %w", t.Name.Local, bundle.ErrMalformed)
			}
			d.depth++
			return t, nil
		case xml.EndElement:
			d.depth--
		}
	}
}

// token gives the next token within a child.
func (d *document) token() (xml.Token, error) {
	d.at = d.dec.InputOffset()
	t, err := d.dec.Token()
	if err != nil {
		return nil, d.fail(err)
	}
	switch t.(type) {
	case xml.StartElement:
		if d.depth++; d.depth > maxDepth {
			return nil, fmt.Errorf("elements nested deeper than %d: %w", maxDepth, bundle.ErrMalformed)
		}
	case xml.EndElement:
		d.depth--
	}
	return t, nil
}

// each calls f for every tag and text within the child, with the names of the
// elements around it, the child's own first; to its end.
func (d *document) each(child string, f func(path []string, t xml.Token) error) error {
	path := append(make([]string, 0, 8), child)
	for len(path) > 0 {
		t, err := d.token()
		if err != nil {
			return err
		}
		switch t := t.(type) {
		case xml.StartElement:
			path = append(path, t.Name.Local)
			err = f(path, t)
		case xml.CharData:
			err = f(path, t)
		case xml.EndElement:
			err = f(path, t)
			path = path[:len(path)-1]
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// raw is the child that was read to its end, byte for byte. It is valid until
// the next is asked for.
func (d *document) raw() []byte { return d.in.since(d.start, d.dec.InputOffset()) }

// span is where in raw the token lies that was read last.
func (d *document) span() (from, to int) {
	return int(d.at - d.start), int(d.dec.InputOffset() - d.start)
}

func (d *document) fail(err error) error {
	var syntax *xml.SyntaxError
	switch {
	case errors.Is(err, errElement):
		return fmt.Errorf("element of more than %d bytes: %w", d.in.most, bundle.ErrMalformed)
	case errors.As(err, &syntax):
		return fmt.Errorf("%w: %w", err, bundle.ErrMalformed)
	case err == io.EOF:
		return fmt.Errorf("ends within <%s>: %w", d.root, bundle.ErrMalformed)
	}
	return err
}

// window is what a decoder reads from: it keeps the bytes of the present child.
type window struct {
	r    *bufio.Reader
	kept []byte
	at   int64 // offset of kept
	// most is how many bytes a child may have, left how many more this one may.
	most, left int
}

var errElement = errors.New("element too large")

// Read is there for the decoder's sake, which reads by bytes.
func (w *window) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	c, err := w.ReadByte()
	if err != nil {
		return 0, err
	}
	p[0] = c
	return 1, nil
}

// ReadByte gives the next byte, and keeps it.
func (w *window) ReadByte() (byte, error) {
	if w.left--; w.left < 0 {
		return 0, errElement
	}
	c, err := w.r.ReadByte()
	if err == nil {
		w.kept = append(w.kept, c)
	}
	return c, err
}

// forget lets go of everything before offset.
func (w *window) forget(offset int64) {
	n := copy(w.kept, w.kept[offset-w.at:])
	w.kept, w.at, w.left = w.kept[:n], offset, w.most
}

func (w *window) since(from, to int64) []byte { return w.kept[from-w.at : to-w.at] }

// attr is an attribute's value; "": there is none.
func attr(t xml.StartElement, name string) string {
	for _, a := range t.Attr {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}
