package serve

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/gapbundle/gapbundle/unpack/site"
)

// The links in a mirror to the published generations.
const (
	current  = "current"
	previous = "previous"
)

// Options are what a handler may be given; the zero value is right.
type Options struct {
	// AccessLog gets one line in combined form per request, by one Write
	// each, never two at once; nil: none. Errors of it are ignored: a full
	// disk does not stop the mirror.
	AccessLog io.Writer
	// Metrics counts requests; nil: nobody asks.
	Metrics *Metrics
	// Hosts answers requests by the public names that the mirror can answer for; by every
	// other name it is itself.
	Hosts bool
}

// Handler serves what a mirror publishes. Each request looks up "current"
// and is answered from that one generation, to its end, whatever is
// published or rolled back meanwhile; a file that is gone from it comes from
// "previous". A Handler is safe for concurrent use.
type Handler struct {
	mirror  *mirror
	listing chan struct{} // as many as are made at the same time
	metrics *Metrics
	hosts   bool
	logMu   sync.Mutex
	log     io.Writer
	// piece is writeTime; a test's is shorter.
	piece time.Duration
}

// New makes a handler for the mirror in dir, which must exist. Until something
// is published there, every answer is 503.
func New(dir string, o Options) (*Handler, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	h := &Handler{listing: make(chan struct{}, maxListings), mirror: &mirror{root: root, hosts: o.Hosts, open: map[string]*generation{}}, hosts: o.Hosts, metrics: cmp.Or(o.Metrics, &Metrics{}), log: o.AccessLog, piece: writeTime}
	h.metrics.watch(h.mirror)
	return h, nil
}

// Close ends the use of the mirror's folder. Answers in flight go on, further
// requests fail.
func (h *Handler) Close() error { return h.mirror.close() }

// ServeHTTP answers GET and HEAD, and the one POST that asks where objects of
// Git LFS are.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a := newAnswer(w, h.piece)
	h.metrics.begin()
	defer func() {
		h.metrics.end(a.code(), a.bytes)
		h.logLine(a, r)
	}()
	a.Header().Set("X-Content-Type-Options", "nosniff")
	a.Header().Set("Content-Security-Policy", site.ContentPolicy)
	g, err := h.mirror.acquire(current)
	if err == nil {
		defer h.mirror.release(g)
		if public, ok := h.publicName(g, r); ok {
			h.public(a, r, g, public)
			return
		}
	}
	if repository, ok := batchOf(r); ok {
		h.batch(a, r, repository)
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		refuse(a, r, http.StatusMethodNotAllowed)
		return
	}
	if errors.Is(err, fs.ErrNotExist) { // nothing is published yet: not the path's fault
		refuse(a, r, http.StatusServiceUnavailable)
		return
	}
	if err != nil {
		refuse(a, r, statusOf(err))
		return
	}
	h.answer(a, r, g, gitPath(path.Clean("/"+r.URL.Path)))
}

// answer answers with what is at p.
func (h *Handler) answer(a *answer, r *http.Request, g *generation, p string) {
	if strings.HasSuffix(r.URL.Path, "/") {
		h.folder(a, r, g, p)
		return
	}
	h.file(a, r, g, p)
}

// file answers with the file at p, or sends a client on to the folder there.
func (h *Handler) file(a *answer, r *http.Request, g *generation, p string) {
	image, ok := imageOf(p)
	referrers := ok && image.Area == "referrers"
	if referrers && !digestForm.MatchString(image.Reference) {
		refuse(a, r, http.StatusBadRequest)
		return
	}
	f, err := h.find(g, p)
	if errors.Is(err, fs.ErrNotExist) && referrers {
		h.noReferrers(a, r, g, image)
		return
	}
	if err != nil {
		refuse(a, r, statusOf(err))
		return
	}
	defer f.close()
	info, err := f.Stat()
	switch {
	case err != nil:
		refuse(a, r, statusOf(err))
	case info.IsDir() && f.of != g:
		refuse(a, r, http.StatusNotFound)
	case info.IsDir():
		to := url.URL{Path: path.Clean("/"+r.URL.Path) + "/", RawQuery: r.URL.RawQuery}
		a.Header().Set("Location", to.String())
		refuse(a, r, http.StatusMovedPermanently)
	case special(a, r, p, f.File):
	case fills(p, info):
		sendFilled(a, r, f.File, info, f.of.contentType(relative(p)))
	default:
		if digest := f.of.digestOf(p); digest != "" {
			a.Header().Set("Docker-Content-Digest", digest)
		}
		send(a, r, f.File, info, f.of.contentType(relative(p)))
	}
}

// found is an open file and the generation that it is of.
type found struct {
	*os.File
	of    *generation
	close func()
}

// find opens the file at p: g's or, if g has none, the one of the generation
// before. The caller closes what is found.
func (h *Handler) find(g *generation, p string) (*found, error) {
	f, err := g.openFile(h.mirror, relative(p))
	if err == nil {
		return &found{f, g, func() { _ = f.Close() }}, nil
	}
	if !errors.Is(err, fs.ErrNotExist) || !fallsBack(p) {
		return nil, err
	}
	before, err := h.mirror.acquire(previous)
	if err != nil {
		return nil, err
	}
	if f, err = before.openFile(h.mirror, relative(p)); err != nil {
		h.mirror.release(before)
		return nil, fmt.Errorf("%s: %w", previous, err)
	}
	return &found{f, before, func() {
		_ = f.Close()
		h.mirror.release(before)
	}}, nil
}

// fallsBack reports whether p is content, which the generation before may still
// have, and not what describes the generation that is current.
func fallsBack(p string) bool {
	return p != "/index.html" && !strings.HasPrefix(p, "/"+site.Dir+"/")
}

// folder answers with p's index.html or a listing.
func (h *Handler) folder(a *answer, r *http.Request, g *generation, p string) {
	if p == "/v2" {
		answerPing(a, r)
		return
	}
	f, index, err := h.page(a, r, g, p)
	if err == nil {
		defer f.Close()
		info, err := f.Stat()
		if err != nil || info.IsDir() {
			refuse(a, r, http.StatusNotFound)
			return
		}
		send(a, r, f, info, g.contentType(relative(index)))
		return
	}
	dir, err := g.openFile(h.mirror, relative(p))
	if err != nil {
		refuse(a, r, statusOf(err))
		return
	}
	defer dir.Close()
	if info, err := dir.Stat(); err != nil || !info.IsDir() {
		refuse(a, r, http.StatusNotFound)
		return
	}
	h.list(a, r, g, p, dir)
}

// The folder that answers for roles of Ansible, and the query that states which.
var (
	rolesFolder = regexp.MustCompile(`^/galaxy/[^/]+/v1/roles$`)
	roleQuery   = regexp.MustCompile(site.RoleQuery)
)

// roleOf returns the answer for the role that a query asks for; "": it asks for none.
func roleOf(p, query string) string {
	m := roleQuery.FindStringSubmatch(query)
	if m == nil || !rolesFolder.MatchString(p) {
		return ""
	}
	return path.Join(p, "by", m[1], m[2], "index.html")
}

// page opens the page of a folder: the answer for the role that Ansible asks for,
// and of a Python package index the page as JSON for clients that ask for it.
func (h *Handler) page(a *answer, r *http.Request, g *generation, p string) (f *os.File, at string, err error) {
	if site.IsIndexPage(p) {
		a.Header().Add("Vary", "Accept")
		if strings.Contains(r.Header.Get("Accept"), site.JSONPageType) {
			at = path.Join(p, site.JSONPage)
			if f, err = g.openFile(h.mirror, relative(at)); err == nil {
				return f, at, nil
			}
		}
	}
	at = path.Join(p, "index.html")
	f, err = g.openFile(h.mirror, relative(at))
	if role := roleOf(p, r.URL.RawQuery); err == nil && role != "" {
		if answer, err := g.openFile(h.mirror, relative(role)); err == nil {
			_ = f.Close()
			return answer, role, nil
		}
	}
	return f, at, err
}

// send answers with f, by ranges and conditions of the request. Time and size
// name the version: within a mirror no two versions of a path share a time.
// The form is nginx's, so that servers behind one address agree.
func send(a *answer, r *http.Request, f *os.File, info fs.FileInfo, contentType string) {
	if !info.Mode().IsRegular() {
		refuse(a, r, http.StatusNotFound)
		return
	}
	a.Header().Set("Content-Type", contentType)
	a.Header().Set("ETag", fmt.Sprintf(`"%x-%x"`, info.ModTime().Unix(), info.Size()))
	http.ServeContent(a, withRanges(r, info.Size()), "", info.ModTime(), f)
}

// relative returns p, a clean path with '/' before it, for a root.
func relative(p string) string { return cmp.Or(strings.TrimPrefix(p, "/"), ".") }

// statusOf returns the status for a client. Whatever is not the machine's own
// trouble is a path that does not lead to a file.
func statusOf(err error) int {
	for _, own := range []error{syscall.EIO, syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM, fs.ErrClosed, fs.ErrInvalid} {
		if errors.Is(err, own) {
			return http.StatusInternalServerError
		}
	}
	if errors.Is(err, fs.ErrPermission) {
		return http.StatusForbidden
	}
	return http.StatusNotFound
}
