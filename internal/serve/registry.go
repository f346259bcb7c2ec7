package serve

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"path"
	"regexp"
	"strconv"
	"strings"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/gapbundle/gapbundle/unpack/site"
)

// A registry has more than its files: OCI distribution specification,
// "Endpoints", those for reading.

const (
	// maxTags bounds the tags of one answer to a client that asks for a part
	// of a list: what is held in memory. A Link header leads to the rest.
	maxTags = 10_000
	// maxReferrers bounds a list of referrers that is filtered, because that
	// is held in memory.
	maxReferrers = 4 << 20 // bytes
)

// digestForm is what a manifest, a blob and referrers are asked for by.
var digestForm = regexp.MustCompile(`^(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$`)

// imageOf takes p, a clean path with '/' before it, apart.
func imageOf(p string) (site.ImagePath, bool) { return site.SplitImagePath(relative(p)) }

// digestOf returns the digest of the content at p, a path of an image, in g; "" if it
// is not known.
func (g *generation) digestOf(p string) string {
	image, ok := imageOf(p)
	if !ok || image.Area == "referrers" {
		return ""
	}
	if digestForm.MatchString(image.Reference) {
		return image.Reference
	}
	digest, err := g.root.Readlink(site.DigestPath(relative(p)))
	if err != nil || !digestForm.MatchString(digest) {
		return ""
	}
	return digest
}

// special answers in place of sending the file at p, where the query asks for
// a part of it. f is left to the caller.
func special(a *answer, r *http.Request, p string, f *os.File) (done bool) {
	if !strings.HasPrefix(p, "/v2/") || r.URL.RawQuery == "" {
		return false
	}
	query := r.URL.Query()
	if strings.HasSuffix(p, "/tags/list") && (query.Has("n") || query.Has("last")) {
		someTags(a, r, p, f)
		return true
	}
	if image, ok := imageOf(p); ok && image.Area == "referrers" && query.Get("artifactType") != "" {
		someReferrers(a, r, f, query.Get("artifactType"))
		return true
	}
	return false
}

// someTags answers with up to n tags after last ("Listing Tags"). The file is
// what an import generated: sorted, one object.
func someTags(a *answer, r *http.Request, p string, f io.Reader) {
	query := r.URL.Query()
	n, last := maxTags, query.Get("last")
	if query.Has("n") {
		var err error
		if n, err = strconv.Atoi(query.Get("n")); err != nil || n < 0 {
			refuse(a, r, http.StatusBadRequest)
			return
		}
	}
	list := struct {
		Name string   `json:"name"`
		Tags []string `json:"tags"`
	}{strings.TrimSuffix(strings.TrimPrefix(p, "/v2/"), "/tags/list"), []string{}}
	limit, more := min(n, maxTags), false
	for tag, err := range site.Tags(f) {
		if err != nil {
			refuse(a, r, http.StatusInternalServerError)
			return
		}
		if tag <= last && last != "" {
			continue
		}
		if more = len(list.Tags) == limit; more {
			break
		}
		list.Tags = append(list.Tags, tag)
	}
	if more && limit > 0 {
		next := url.URL{Path: path.Clean("/" + r.URL.Path), RawQuery: url.Values{"n": {strconv.Itoa(n)}, "last": {list.Tags[limit-1]}}.Encode()}
		a.Header().Set("Link", "<"+next.String()+`>; rel="next"`)
	}
	sendJSON(a, r, "application/json", list)
}

// someReferrers answers with those of one type ("Listing Referrers"). A list
// that is cut off by the bound does not parse.
func someReferrers(a *answer, r *http.Request, f io.Reader, artifactType string) {
	b, err := io.ReadAll(io.LimitReader(f, maxReferrers))
	index := map[string]json.RawMessage{}
	var all []json.RawMessage
	if err == nil {
		err = errors.Join(json.Unmarshal(b, &index), json.Unmarshal(index["manifests"], &all))
	}
	if err != nil {
		refuse(a, r, http.StatusInternalServerError)
		return
	}
	some := []json.RawMessage{}
	for _, m := range all {
		var d v1.Descriptor
		if json.Unmarshal(m, &d) == nil && d.ArtifactType == artifactType {
			some = append(some, m)
		}
	}
	if index["manifests"], err = json.Marshal(some); err != nil {
		refuse(a, r, http.StatusInternalServerError)
		return
	}
	a.Header().Set("OCI-Filters-Applied", "artifactType")
	sendJSON(a, r, v1.MediaTypeImageIndex, index)
}

// noReferrers answers for a manifest that nothing refers to. Nobody but a
// registry that has the name can report it.
func (h *Handler) noReferrers(a *answer, r *http.Request, g *generation, image site.ImagePath) {
	f, err := h.find(g, path.Join("/v2", image.Name, "manifests"))
	if err != nil {
		refuse(a, r, statusOf(err))
		return
	}
	f.close()
	none := v1.Index{MediaType: v1.MediaTypeImageIndex, Manifests: []v1.Descriptor{}}
	none.SchemaVersion = 2
	sendJSON(a, r, v1.MediaTypeImageIndex, none)
}

func sendJSON(a *answer, r *http.Request, contentType string, v any) {
	var b bytes.Buffer
	if err := json.NewEncoder(&b).Encode(v); err != nil {
		refuse(a, r, http.StatusInternalServerError)
		return
	}
	a.Header().Set("Content-Type", contentType)
	a.Header().Set("Content-Length", strconv.Itoa(b.Len()))
	a.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		_, _ = a.Write(b.Bytes())
	}
}

// registryError returns the body of an error below /v2/.
func registryError(p string, status int) string {
	code := "NAME_UNKNOWN"
	switch image, _ := imageOf(p); {
	case status == http.StatusMethodNotAllowed:
		code = "UNSUPPORTED"
	case status == http.StatusForbidden:
		code = "DENIED"
	case status == http.StatusBadRequest && image.Area == "referrers":
		code = "DIGEST_INVALID"
	case status == http.StatusBadRequest:
		code = "UNSUPPORTED"
	case status != http.StatusNotFound:
		code = "UNAVAILABLE"
	case image.Area == "manifests":
		code = "MANIFEST_UNKNOWN"
	case image.Area == "blobs":
		code = "BLOB_UNKNOWN"
	}
	type entry struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}
	b, err := json.Marshal(map[string][]entry{"errors": {{code, strings.ToLower(http.StatusText(status))}}})
	if err != nil {
		return "" // strings always marshal
	}
	return string(b) + "\n"
}

// answerPing answers GET /v2/, by which a client learns that this is a registry.
func answerPing(a *answer, r *http.Request) {
	a.Header().Set("Docker-Distribution-API-Version", "registry/2.0")
	sendJSON(a, r, "application/json", struct{}{})
}
