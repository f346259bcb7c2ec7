package serve

import (
	"bufio"
	"fmt"
	"html"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path"
	"slices"
	"strings"
	"time"
)

// maxListed bounds a listing: what is held in memory to sort it, and what a
// browser has to show. Clients find files by their indexes, not by listings.
const maxListed = 10_000

// list answers with the names in dir, folders first.
func (h *Handler) list(a *answer, r *http.Request, g *generation, p string, dir *os.File) {
	select {
	case h.listing <- struct{}{}:
		defer func() { <-h.listing }()
	case <-r.Context().Done():
		return
	}
	entries, err := dir.ReadDir(maxListed + 1)
	if err != nil && len(entries) == 0 && err != io.EOF {
		refuse(a, r, statusOf(err))
		return
	}
	cut := len(entries) > maxListed
	entries = entries[:min(len(entries), maxListed)]
	var infos []fs.FileInfo
	links := 0
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") {
			continue
		}
		if e.Type()&fs.ModeSymlink != 0 {
			if links++; links > maxResolved {
				infos = append(infos, unresolved{e.Name()})
				continue
			}
		}
		if info, err := h.statEntry(g, p, e); err == nil {
			infos = append(infos, info)
		}
	}
	slices.SortFunc(infos, func(x, y fs.FileInfo) int {
		if x.IsDir() != y.IsDir() {
			if x.IsDir() {
				return -1
			}
			return 1
		}
		return strings.Compare(x.Name(), y.Name())
	})
	a.Header().Set("Content-Type", "text/html; charset=utf-8")
	a.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead {
		return
	}
	writeList(a, path.Clean("/"+r.URL.Path), infos, cut)
}

func writeList(a *answer, p string, infos []fs.FileInfo, cut bool) {
	b := bufio.NewWriterSize(a, 32<<10)
	title := html.EscapeString(strings.TrimSuffix(p, "/") + "/")
	fmt.Fprintf(b, "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Index of %s</title></head>\n<body><h1>Index of %s</h1>\n<pre>\n", title, title)
	if p != "/" {
		fmt.Fprintln(b, `<a href="../">../</a>`)
	}
	for _, info := range infos {
		name, size, date := info.Name(), fmt.Sprint(info.Size()), info.ModTime().UTC().Format("2006-01-02 15:04")
		switch _, isLink := info.(unresolved); {
		case isLink:
			size, date = "-", "-"
		case info.IsDir():
			name, size = name+"/", "-"
		}
		// "./": a name with ':' must not read as a scheme.
		href := "./" + (&url.URL{Path: name}).EscapedPath()
		fmt.Fprintf(b, "<a href=\"%s\">%s</a>%*s  %16s %15s\n", html.EscapeString(href), html.EscapeString(name),
			max(0, 60-len(name)), "", date, size)
	}
	fmt.Fprintln(b, "</pre>")
	if cut {
		fmt.Fprintf(b, "<p>Only %d of the names are shown.</p>\n", maxListed)
	}
	fmt.Fprintln(b, "</body></html>")
	_ = b.Flush() // the client went away
}

// namedInfo is what a link stands for, under the link's own name.
type namedInfo struct {
	fs.FileInfo
	name string
}

func (i namedInfo) Name() string { return i.name }

// unresolved is a link that is not followed for size and date.
type unresolved struct{ name string }

func (u unresolved) Name() string     { return u.name }
func (unresolved) Size() int64        { return 0 }
func (unresolved) Mode() fs.FileMode  { return fs.ModeSymlink }
func (unresolved) ModTime() time.Time { return time.Time{} }
func (unresolved) IsDir() bool        { return false }
func (unresolved) Sys() any           { return nil }

// statEntry returns what e is; of a link, what the link leads to.
func (h *Handler) statEntry(g *generation, p string, e fs.DirEntry) (fs.FileInfo, error) {
	if e.Type()&fs.ModeSymlink == 0 {
		return e.Info()
	}
	f, err := g.openFile(h.mirror, relative(path.Join(p, e.Name())))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	return namedInfo{info, e.Name()}, err
}
