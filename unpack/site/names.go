package site

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"html"
	"io"
	"io/fs"
	"iter"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
)

// For each repository there are plain pages with the names of what it holds, for a
// person with a browser. A page ends before a name that its hash marks, and its address
// is that hash. So a name that is added changes the page that it is on and moves no
// other one, and pages that stay keep their bytes, their address and their time. The
// pages are listed on index.html; where that would be too long, on pages between, which
// are cut and called in the same way.

const (
	namesDir = Dir + "/names"
	// maxPage bounds a page; pageRoom is what of it is left to rows. The rest is the
	// page's own text, with the names of the set and of the repository.
	maxPage  = 350_000 // bytes
	pageRoom = maxPage - 50_000
	// pageEvery is how many rows a page has on average: a page ends before a row whose
	// hash is a multiple of it. Where a page would be too long it ends before the last
	// row whose hash is a multiple of pageEvery/pageWeak.
	pageEvery = 512
	pageWeak  = 16
	// pageLevel is how many pages one page above lists, on average.
	pageLevel = 256
	// maxCell bounds how much of a name's versions or architectures is shown.
	maxCell = 2048 // bytes
	// firstPage has the names before the first one that begins a page.
	firstPage = "0"
)

// nameRow is a row of a page. hash decides whether a page begins with it.
type nameRow struct {
	html        string
	first, last string // names
	hash        uint64
}

// pager cuts rows into pages and writes them.
type pager struct {
	w           *writer
	dir, prefix string
	title       string
	every       uint64
	rows        []nameRow // of the page that is being filled
	size        int
	id          string
	links       []nameRow // to the pages that were written
}

// names writes the pages of a repository into the folder dir and returns the page to
// begin with; empty: there are no names.
func (w *writer) names(set string, r *Repository, dir string) (string, error) {
	p := &pager{w: w, dir: dir, title: r.Name + " of " + set, every: pageEvery}
	for row, err := range nameRows(r.Contents()) {
		if err == nil {
			err = p.add(row)
		}
		if err != nil {
			return "", err
		}
	}
	links, err := p.end()
	if err != nil || len(links) == 0 {
		return "", err
	}
	start := dir + "/index.html"
	if len(links) == 1 {
		start = dir + "/" + firstName(links[0])
	}
	for level := 1; rowsSize(links) > pageRoom; level++ {
		p = &pager{w: w, dir: dir, title: p.title, every: p.every * pageLevel, prefix: fmt.Sprintf("index%d-", level)}
		for _, row := range links {
			if err := p.add(row); err != nil {
				return "", err
			}
		}
		if links, err = p.end(); err != nil {
			return "", err
		}
	}
	return start, w.page(dir+"/index.html", p.title, links)
}

// firstName returns the file that a link row leads to.
func firstName(link nameRow) string {
	_, rest, _ := strings.Cut(link.html, `href="./`)
	name, _, _ := strings.Cut(rest, `"`)
	return name
}

func rowsSize(rows []nameRow) (size int) {
	for _, row := range rows {
		size += len(row.html)
	}
	return size
}

func (p *pager) add(row nameRow) error {
	if row.hash%p.every == 0 {
		if err := p.flush(len(p.rows)); err != nil {
			return err
		}
		p.id = pageID(row)
	}
	for len(p.rows) > 0 && p.size+len(row.html) > pageRoom {
		if err := p.flush(p.weakCut()); err != nil {
			return err
		}
		p.id = pageID(append(p.rows, row)[0])
	}
	p.rows, p.size = append(p.rows, row), p.size+len(row.html)
	return nil
}

func (p *pager) end() ([]nameRow, error) {
	err := p.flush(len(p.rows))
	return p.links, err
}

func pageID(row nameRow) string { return fmt.Sprintf("%016x", row.hash) }

// weakCut returns how many rows of a page that would be too long stay on it.
func (p *pager) weakCut() int {
	for i := len(p.rows) - 1; i > 0; i-- {
		if p.rows[i].hash%(p.every/pageWeak) == 0 {
			return i
		}
	}
	return len(p.rows)
}

// flush writes a page of the first n rows, if there are any.
func (p *pager) flush(n int) error {
	if n == 0 {
		return nil
	}
	rows, id := p.rows[:n], p.id
	if id == "" {
		id = firstPage
	}
	name := p.prefix + id + ".html"
	first, last := rows[0].first, rows[n-1].last
	p.links = append(p.links, nameRow{
		html:  fmt.Sprintf("<tr><td><a href=\"./%s\">%s</a><td>to<td>%s\n", name, html.EscapeString(first), html.EscapeString(last)),
		first: first, last: last, hash: rows[0].hash,
	})
	if err := p.w.page(p.dir+"/"+name, p.title, rows); err != nil {
		return err
	}
	p.rows = slices.Clone(p.rows[n:])
	p.size = rowsSize(p.rows)
	return nil
}

const (
	pageHead = `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Names: %[1]s</title>
<style>
:root { color-scheme: light dark }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 64rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; width: 100%% }
td { padding: .25rem .75rem .25rem 0; border-bottom: 1px solid #8886; vertical-align: top; overflow-wrap: anywhere }
</style>
</head>
<body>
<main>
<p><a href="../../../index.html">Mirror</a>, <a href="./index.html">all pages</a></p>
<h1>%[1]s</h1>
<table>
`
	pageFoot = "</table>\n</main>\n</body>\n</html>\n"
)

// page writes a page. One that the generation before has with the same bytes stays the
// same file, so that its time shows when it changed.
func (w *writer) page(name, title string, rows []nameRow) error {
	var page bytes.Buffer
	fmt.Fprintf(&page, pageHead, html.EscapeString(title))
	for _, row := range rows {
		page.WriteString(row.html)
	}
	page.WriteString(pageFoot)
	if w.sameBefore(name, page.Bytes()) {
		if err := w.folder(parent(name)); err != nil {
			return err
		}
		if w.in.Link(name) == nil {
			return nil
		}
	}
	return w.bytes(name, page.Bytes())
}

func parent(name string) string { return name[:strings.LastIndexByte(name, '/')] }

// sameBefore reports whether the generation before has a file with this content.
func (w *writer) sameBefore(name string, content []byte) bool {
	if w.in.Previous == nil || w.in.Link == nil {
		return false
	}
	f, err := w.in.Previous.Open(name)
	if err != nil {
		return false
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, int64(len(content))+1))
	return err == nil && bytes.Equal(b, content)
}

// linkNames makes the pages links to those of the generation before, which were made of
// the same list. An error costs only time.
func (w *writer) linkNames(dir string) error {
	entries, err := fs.ReadDir(w.in.Previous.FS(), dir)
	if err != nil {
		return err
	}
	if err := w.folder(dir); err != nil {
		return err
	}
	for _, e := range entries {
		if err := w.in.Link(dir + "/" + e.Name()); err != nil {
			w.last = ""
			return errors.Join(err, w.root.RemoveAll(dir))
		}
	}
	return nil
}

// nameRows makes a row of each name and type. It holds the entries of one name at a
// time, and of those what is shown.
func nameRows(entries iter.Seq2[bundle.Entry, error]) iter.Seq2[nameRow, error] {
	return func(yield func(nameRow, error) bool) {
		var row rowInMaking
		for e, err := range entries {
			if err != nil {
				yield(nameRow{}, err)
				return
			}
			if row.entry.Name != e.Name || row.entry.Type != e.Type {
				if row.entry.Name != "" && !yield(row.made(), nil) {
					return
				}
				row = rowInMaking{entry: e}
			}
			row.add(&e)
		}
		if row.entry.Name != "" {
			yield(row.made(), nil)
		}
	}
}

// rowInMaking collects what is shown of a name.
type rowInMaking struct {
	entry           bundle.Entry // the first one of the name
	versions, archs cell
	older           bool
}

// cell is distinct texts as far as they are shown.
type cell struct {
	texts []string
	size  int
	more  bool
}

func (c *cell) add(text string) {
	switch {
	case text == "" || c.more || slices.Contains(c.texts, text):
	case c.size+len(text) > maxCell:
		c.more = true
	default:
		c.texts, c.size = append(c.texts, text), c.size+len(text)+2
	}
}

func (c *cell) html() string {
	text := html.EscapeString(strings.Join(c.texts, ", "))
	if c.more {
		text += " and more"
	}
	return text
}

func (r *rowInMaking) add(e *bundle.Entry) {
	if r.entry.Summary == "" {
		r.entry.Summary = e.Summary
	}
	r.archs.add(e.Arch)
	if e.Rank > 1 {
		r.older = true
		return
	}
	r.versions.add(e.Version)
}

func (r *rowInMaking) made() nameRow {
	versions := r.versions.html()
	if r.older {
		versions += " and older"
	}
	sum := bundle.DigestOf([]byte(r.entry.Name + "\x00" + r.entry.Type))
	return nameRow{
		html: fmt.Sprintf("<tr><td>%s<td>%s<td>%s<td>%s<td>%s\n",
			html.EscapeString(r.entry.Name), versions, r.archs.html(), html.EscapeString(r.entry.Type), html.EscapeString(r.entry.Summary)),
		first: r.entry.Name, last: r.entry.Name, hash: binary.BigEndian.Uint64(sum[:]),
	}
}
