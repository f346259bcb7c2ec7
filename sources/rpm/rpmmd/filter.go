package rpmmd

import (
	"bufio"
	"encoding/xml"
	"fmt"
	"io"
	"iter"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
)

// FilterPrimary copies the packages of a primary.xml that are kept, byte for
// byte but for the location of those that are given another one. count is how many are.
func FilterPrimary(w io.Writer, r io.Reader, count int, keep func(sum Checksum, href, base string) (newHref string, ok bool)) error {
	return filter(w, r, "metadata", count, func(d *document, start *token) ([]byte, error) {
		var sum, kind string
		var href, base string
		var from, to int
		err := d.each(start.name, func(path []string, t *token) error {
			if len(path) != 2 {
				return nil
			}
			switch t.kind {
			case startTag:
				switch path[1] {
				case "checksum":
					kind, sum = attr(t, "type"), ""
				case "location":
					href, base = attr(t, "href"), attr(t, "xml:base")
					from, to = d.span()
				}
			case charData:
				if path[1] == "checksum" {
					sum += string(t.text)
				}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		c, err := checksum(kind, sum)
		if err != nil { // Primary did not read it either: it is not among those that are kept
			return nil, nil //nolint:nilerr // see above
		}
		newHref, ok := keep(c, href, base)
		raw := d.raw()
		switch {
		case !ok:
			return nil, nil
		case newHref == href && base == "":
			return raw, nil
		}
		end := ">"
		if raw[to-2] == '/' {
			end = "/>"
		}
		return fmt.Appendf(nil, `%s<location href="%s"%s%s`, raw[:from], escape(newHref), end, raw[to:]), nil
	})
}

// FilterByID copies the packages of a filelists.xml or other.xml that are kept.
func FilterByID(w io.Writer, r io.Reader, count int, keep func(pkgid string) bool) error {
	return filter(w, r, "", count, func(d *document, start *token) ([]byte, error) {
		id := strings.ToLower(attr(start, "pkgid"))
		if err := d.skip(); err != nil || !keep(id) {
			return nil, err
		}
		return d.raw(), nil
	})
}

// filter copies what one returns of each package, within the root's own tags. A
// root of "" may be any of those that list packages.
func filter(w io.Writer, r io.Reader, root string, count int, one func(*document, *token) ([]byte, error)) error {
	d, err := newDocument(r, root)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(w)
	_, _ = fmt.Fprintf(out, "%s<%s%s packages=\"%d\">\n", xml.Header, d.root, d.head, count) // Flush reports it
	copied := 0
	for {
		start, err := d.next()
		if err == io.EOF {
			break
		}
		if err == nil && start.name != "package" {
			continue
		}
		var raw []byte
		if err == nil {
			raw, err = one(d, start)
		}
		if err != nil {
			return err
		}
		if raw != nil {
			copied++
			_, _ = out.Write(raw)
			_ = out.WriteByte('\n')
		}
	}
	if copied != count {
		return fmt.Errorf("has %d of %s: %w", copied, bundle.Count(count, "chosen package"), bundle.ErrMalformed)
	}
	_, _ = fmt.Fprintf(out, "</%s>\n", d.root)
	return out.Flush()
}

// PackageIDs streams the pkgid of each package of a filelists.xml or other.xml, in lower
// case. Errors match bundle.ErrMalformed, or are those of r.
func PackageIDs(r io.Reader) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		d, err := newDocument(r, "")
		for err == nil {
			var start *token
			if start, err = d.next(); err == io.EOF {
				return
			}
			if err != nil || start.name != "package" {
				continue
			}
			id := strings.ToLower(attr(start, "pkgid"))
			if err = d.skip(); err == nil && !yield(id, nil) {
				return
			}
		}
		yield("", err)
	}
}

// FindFiles reads a filelists.xml for the paths that wanted has, and reports
// which package has each.
func FindFiles(r io.Reader, wanted map[string]bool, found func(pkgid, path string) error) error {
	d, err := newDocument(r, "filelists")
	if err != nil {
		return err
	}
	for {
		start, err := d.next()
		if err == io.EOF {
			return nil
		}
		if err == nil && start.name != "package" {
			continue
		}
		if err != nil {
			return err
		}
		id := strings.ToLower(attr(start, "pkgid"))
		var text []byte
		err = d.each(start.name, func(path []string, t *token) error {
			if len(path) != 2 || path[1] != "file" {
				return nil
			}
			switch t.kind {
			case startTag:
				text = text[:0]
			case charData:
				text = append(text, t.text...)
			case endTag:
				if wanted[string(text)] {
					return found(id, string(text))
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
}
