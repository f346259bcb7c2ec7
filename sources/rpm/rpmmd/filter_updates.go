package rpmmd

import (
	"bufio"
	"encoding/xml"
	"fmt"
	"io"
	"strings"
)

// cutter leaves parts of a child out.
type cutter struct {
	cuts [][2]int
	from int
}

func (c *cutter) begin(d *document) { c.from, _ = d.span() }

// end leaves out what is between the tag that begin saw and the one that
// was read last, with the blanks before it.
func (c *cutter) end(d *document) {
	_, to := d.span()
	raw := d.raw()
	from := c.from
	for from > 0 && strings.IndexByte(" \t\r\n", raw[from-1]) >= 0 {
		from--
	}
	c.cuts = append(c.cuts, [2]int{from, to})
}

// rest returns the child without what was cut.
func (c *cutter) rest(d *document) []byte {
	raw := d.raw()
	var out []byte
	at := 0
	for _, cut := range c.cuts {
		out = append(out, raw[at:cut[0]]...)
		at = cut[1]
	}
	return append(out, raw[at:]...)
}

// FilterUpdates copies an updateinfo.xml: of each advisory the packages that
// are kept, and those advisories that have any. n is how many.
func FilterUpdates(w io.Writer, r io.Reader, keep func(name string, e EVR, arch string) bool) (n int, err error) {
	return copyChildren(w, r, "updates", func(d *document, start *token) ([]byte, error) {
		if start.name != "update" {
			return nil, nil
		}
		var cut cutter
		kept, wanted := 0, false
		err := d.each("update", func(path []string, t *token) error {
			if len(path) != 4 || path[3] != "package" {
				return nil
			}
			switch t.kind {
			case startTag:
				cut.begin(d)
				e, err := NewEVR(attr(t, "epoch"), attr(t, "version"), attr(t, "release"))
				if wanted = err == nil && keep(attr(t, "name"), e, attr(t, "arch")); wanted {
					kept++
				}
			case endTag:
				if !wanted {
					cut.end(d)
				}
			}
			return nil
		})
		if err != nil || kept == 0 {
			return nil, err
		}
		return cut.rest(d), nil
	})
}

// FilterGroups copies a comps.xml: of each group the packages that are kept,
// and those groups that have any; of environments and categories the groups
// that there still are. open is called twice: an environment may come before
// its groups. n is how many groups there are.
func FilterGroups(w io.Writer, open func() (io.ReadCloser, error), keep func(name string) bool) (n int, err error) {
	groups := map[string]bool{}
	var size groupSize
	for _, out := range []io.Writer{io.Discard, w} {
		r, err := open()
		if err != nil {
			return 0, err
		}
		_, err = copyChildren(out, r, "comps", func(d *document, start *token) ([]byte, error) {
			before := len(groups)
			child, id, err := filterGroup(d, start, groups, keep)
			if err == nil && len(groups) > before {
				err = size.add(id)
			}
			return child, err
		})
		if closed := r.Close(); err == nil {
			err = closed
		}
		if err != nil {
			return 0, err
		}
	}
	return len(groups), nil
}

// filterGroup reads one child of comps.
func filterGroup(d *document, start *token, groups map[string]bool, keep func(string) bool) (child []byte, id string, err error) {
	kind := start.name
	var cut cutter
	var text strings.Builder
	kept, lists := 0, 0
	err = d.each(kind, func(path []string, t *token) error {
		last := path[len(path)-1]
		item := len(path) == 3 && (last == "packagereq" || last == "groupid") || kind == "langpacks" && last == "match"
		isID := len(path) == 2 && last == "id"
		switch t.kind {
		case startTag:
			if item || isID {
				text.Reset()
			}
			if item {
				cut.begin(d)
				lists++
				if kind == "langpacks" {
					text.WriteString(attr(t, "name"))
				}
			}
		case charData:
			if (item || isID) && kind != "langpacks" && text.Len() < maxText {
				text.Write(t.text)
			}
		case endTag:
			name := strings.TrimSpace(text.String())
			switch {
			case isID:
				id = name
			case item && last == "groupid" && groups[name], item && last != "groupid" && keep(name):
				kept++
			case item:
				cut.end(d)
			}
		}
		return nil
	})
	if err != nil || kept == 0 && kind != "langpacks" || kind == "langpacks" && kept == 0 && lists > 0 {
		return nil, "", err
	}
	if kind == "group" {
		groups[id] = true
	}
	return cut.rest(d), id, nil
}

// copyChildren copies what one returns of each child of the root. n is how many.
func copyChildren(w io.Writer, r io.Reader, root string, one func(*document, *token) ([]byte, error)) (n int, err error) {
	d, err := newDocument(r, root)
	if err != nil {
		return 0, err
	}
	out := bufio.NewWriter(w)
	_, _ = fmt.Fprintf(out, "%s<%s%s>\n", xml.Header, root, d.head) // Flush reports it
	for {
		start, err := d.next()
		if err == io.EOF {
			break
		}
		var raw []byte
		if err == nil {
			raw, err = one(d, start)
		}
		if err != nil {
			return 0, err
		}
		if raw != nil {
			n++
			_, _ = out.Write(raw)
			_ = out.WriteByte('\n')
		}
	}
	_, _ = fmt.Fprintf(out, "</%s>\n", root)
	return n, out.Flush()
}
