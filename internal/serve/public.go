package serve

import (
	"errors"
	"io/fs"
	"net/http"
	"path"
	"regexp"
	"strings"

	"github.com/gapbundle/gapbundle/unpack/site"
)

// dots finds a path that climbs, in the bytes that a client sent.
var dots = regexp.MustCompile(`(?i)(/|%2f|\\|%5c)(\.|%2e)(\.|%2e)(/|%2f|\\|%5c|$)`)

// publicAnswer is how a request by a public name is answered.
type publicAnswer struct {
	// at is the clean web path in the mirror.
	at string
	// status refuses the request where it is not 0; ping answers that this is a registry.
	status int
	ping   bool
}

// publicName decides about a request by a public name of the generation; false: the request is
// by the mirror's own name, or by one that nobody knows.
func (h *Handler) publicName(g *generation, r *http.Request) (publicAnswer, bool) {
	host := site.PublicHost(r.Host)
	if !h.hosts || g.public == nil || !g.public.Has(host) {
		return publicAnswer{}, false
	}
	raw, _, _ := strings.Cut(r.RequestURI, "?")
	_, at, ok := g.public.Lookup(host, path.Clean("/"+r.URL.Path))
	switch {
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		return publicAnswer{status: http.StatusMethodNotAllowed}, true
	case dots.MatchString(raw):
		return publicAnswer{status: http.StatusBadRequest}, true
	case !ok:
		return publicAnswer{status: http.StatusNotFound}, true
	case at == "/v2/":
		return publicAnswer{ping: true}, true
	}
	at = gitPath(at)
	for _, link := range []string{current, previous} {
		if hidden, err := h.hides(link, at); hidden || err != nil {
			return publicAnswer{status: http.StatusNotFound}, true
		}
	}
	return publicAnswer{at: at}, true
}

// public answers a request by a public name.
func (h *Handler) public(a *answer, r *http.Request, g *generation, p publicAnswer) {
	switch {
	case p.status != 0:
		refuse(a, r, p.status)
	case p.ping:
		answerPing(a, r)
	default:
		h.answer(a, r, g, p.at)
	}
}

// hides reports whether a generation marks the file at p as one that no public name leads to.
func (h *Handler) hides(link, p string) (bool, error) {
	g, err := h.mirror.acquire(link)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer h.mirror.release(g)
	info, err := g.root.Lstat(site.PrivateDir + p)
	return err == nil && info.Mode().IsRegular(), nil
}
