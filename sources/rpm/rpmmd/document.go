package rpmmd

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
)

// document reads the children of an XML document's root one by one.
type document struct {
	in   *scanner
	root string
	// head has the root's own declarations of namespaces, as attributes.
	head string
	path []string // of each
}

// newDocument reads up to the root, which has to be called root; "" is a list
// of files or of changes.
func newDocument(r io.Reader, root string) (*document, error) {
	d := &document{in: newScanner(r), root: root, path: make([]string, 0, maxDepth)}
	for {
		t, err := d.in.next()
		if err != nil {
			return nil, d.fail(err)
		}
		if t.kind != startTag {
			continue
		}
		if root == "" && (t.name == "filelists" || t.name == "otherdata") {
			root, d.root = t.name, t.name
		}
		if t.name != root {
			return nil, fmt.Errorf("<%.60s> instead of <%s>: %w", t.name, root, bundle.ErrMalformed)
		}
		d.head = namespaces(t)
		return d, nil
	}
}

// next returns the next child of the root; io.EOF after the last, when the root
// is closed and nothing but blanks and comments follow it.
func (d *document) next() (*token, error) {
	for len(d.in.open) > 1 {
		if _, err := d.token(); err != nil {
			return nil, err
		}
	}
	for {
		d.in.forget()
		t, err := d.in.next()
		if err == io.EOF {
			return nil, io.EOF
		}
		if err != nil {
			return nil, d.fail(err)
		}
		if t.kind == startTag {
			return t, nil
		}
	}
}

// token returns the next token within a child.
func (d *document) token() (*token, error) {
	t, err := d.in.next()
	if err != nil {
		return nil, d.fail(err)
	}
	return t, nil
}

// each calls f for every tag and text within the child, with the names of the
// elements around it, the child's own first; to its end.
func (d *document) each(child string, f func(path []string, t *token) error) error {
	path := append(d.path[:0], child)
	for len(path) > 0 {
		t, err := d.token()
		if err != nil {
			return err
		}
		switch t.kind {
		case startTag:
			path = append(path, t.name)
			err = f(path, t)
		case charData:
			err = f(path, t)
		case endTag:
			err = f(path, t)
			path = path[:len(path)-1]
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// skip passes over the rest of the child.
func (d *document) skip() error {
	for len(d.in.open) > 1 {
		if _, err := d.token(); err != nil {
			return err
		}
	}
	return nil
}

// raw returns the child that was read to its end, byte for byte. It is valid until
// the next is asked for.
func (d *document) raw() []byte { return d.in.buf[d.in.keep:d.in.at] }

// span returns where raw has the token that was read last.
func (d *document) span() (from, to int) {
	return d.in.from - d.in.keep, d.in.at - d.in.keep
}

func (d *document) fail(err error) error {
	if errors.Is(err, errElement) {
		return fmt.Errorf("element of more than %s: %w", bundle.Count(d.in.most, "byte"), bundle.ErrMalformed)
	}
	return err
}

// namespaces returns a tag's declarations: what is copied depends on them.
func namespaces(t *token) string {
	var b strings.Builder
	for _, a := range t.attrs {
		if name := string(a.name); name == "xmlns" || strings.HasPrefix(name, "xmlns:") {
			fmt.Fprintf(&b, ` %s="%s"`, name, escape(string(a.value)))
		}
	}
	return b.String()
}

// attr returns the value of an attribute as it is written; "": there is none. One of
// another prefix is another one: dnf knows no namespaces.
func attr(t *token, name string) string { return string(value(t, name)) }

// value returns attr, valid as long as the token.
func value(t *token, name string) []byte {
	for i := range t.attrs {
		if a := &t.attrs[i]; string(a.name) == name {
			return a.value
		}
	}
	return nil
}
