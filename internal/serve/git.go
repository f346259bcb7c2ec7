package serve

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"strings"
)

// Git repositories have more than their files: names without .git, and the
// batch API of Git LFS (docs/api/batch.md of git-lfs), for downloads.

const (
	gitFolder  = "/git/"
	batchPath  = "/info/lfs/objects/batch"
	batchType  = "application/vnd.git-lfs+json"
	maxBatch   = 1 << 20 // bytes of a question; git-lfs asks for 100 objects at a time
	maxObjects = 1000    // in one question
)

var gitFile = regexp.MustCompile(`^/git/(.+?)/(HEAD|info/refs|objects/.+)$`)

// gitPath returns p, a clean path, with the ".git" that a repository's name has in
// the mirror and that a client may leave out.
func gitPath(p string) string {
	m := gitFile.FindStringSubmatch(p)
	if m == nil || strings.HasSuffix(m[1], ".git") || strings.Contains(m[1], ".git/") {
		return p
	}
	return gitFolder + m[1] + ".git/" + m[2]
}

// batchOf returns the repository, as /git/<host>/<path>.git, that a POST asks for
// objects of Git LFS.
func batchOf(r *http.Request) (repository string, ok bool) {
	p := path.Clean("/" + r.URL.Path)
	repository, ok = strings.CutSuffix(p, batchPath)
	if r.Method != http.MethodPost || !ok || !strings.HasPrefix(p, gitFolder) || strings.Contains(p, "/.") {
		return "", false
	}
	return strings.TrimSuffix(repository, ".git") + ".git", true
}

type lfsObject struct {
	OID           string                `json:"oid"`
	Size          int64                 `json:"size"`
	Authenticated bool                  `json:"authenticated,omitempty"`
	Actions       map[string]lfsAddress `json:"actions,omitempty"`
	Error         *lfsError             `json:"error,omitempty"`
}

type lfsAddress struct {
	Href string `json:"href"`
}

type lfsError struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

var lfsName = regexp.MustCompile(`^[0-9a-f]{64}$`)

// batch reports where each object that is requested is, in the generation that is
// current now.
func (h *Handler) batch(a *answer, r *http.Request, repository string) {
	var ask struct {
		Operation string      `json:"operation"`
		Transfers []string    `json:"transfers"`
		Objects   []lfsObject `json:"objects"`
		HashAlgo  string      `json:"hash_algo"`
	}
	err := json.NewDecoder(io.LimitReader(r.Body, maxBatch)).Decode(&ask)
	switch {
	case err != nil || len(ask.Objects) > maxObjects || ask.HashAlgo != "" && ask.HashAlgo != "sha256":
		batchError(a, http.StatusUnprocessableEntity, fmt.Sprintf("want a batch of at most %d objects named by sha256", maxObjects))
		return
	case ask.Operation != "download":
		batchError(a, http.StatusForbidden, "this mirror is read-only")
		return
	}
	g, err := h.mirror.acquire(current)
	if err != nil {
		batchError(a, http.StatusServiceUnavailable, "nothing is published")
		return
	}
	defer h.mirror.release(g)
	head, err := g.openFile(h.mirror, relative(repository+"/HEAD"))
	if err != nil {
		batchError(a, http.StatusNotFound, "no such repository")
		return
	}
	_ = head.Close() // read-only
	for i := range ask.Objects {
		h.locate(r, g, repository, &ask.Objects[i])
	}
	a.Header().Set("Content-Type", batchType)
	_ = json.NewEncoder(a).Encode(map[string]any{"transfer": "basic", "objects": ask.Objects, "hash_algo": "sha256"})
}

// locate fills in where an object is, or that it is not there.
func (h *Handler) locate(r *http.Request, g *generation, repository string, o *lfsObject) {
	*o = lfsObject{OID: o.OID, Size: o.Size}
	if !lfsName.MatchString(o.OID) {
		o.OID, o.Error = "", &lfsError{http.StatusUnprocessableEntity, "not the name of an object"}
		return
	}
	p := fmt.Sprintf("%s/lfs/objects/%s/%s/%s", repository, o.OID[:2], o.OID[2:4], o.OID)
	f, err := g.openFile(h.mirror, relative(p))
	if err != nil {
		o.Error = &lfsError{http.StatusNotFound, "not in this mirror"}
		return
	}
	defer func() { _ = f.Close() }() // read-only
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		o.Error = &lfsError{http.StatusNotFound, "not in this mirror"}
		return
	}
	o.Size, o.Authenticated = info.Size(), true
	address := url.URL{Scheme: schemeOf(r), Host: r.Host, Path: p}
	o.Actions = map[string]lfsAddress{"download": {address.String()}}
}

func batchError(a *answer, status int, message string) {
	a.Header().Set("Content-Type", batchType)
	a.WriteHeader(status)
	_ = json.NewEncoder(a).Encode(map[string]string{"message": message})
}
