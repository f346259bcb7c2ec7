package serve_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/internal/serve"
)

// FuzzRequests: whatever is asked, the server answers, with nothing of outside the mirror
// and with nothing that acts in its origin.
func FuzzRequests(f *testing.F) {
	dir := f.TempDir()
	g := filepath.Join(dir, "generations/000001")
	for name, content := range map[string]string{
		"files/x/a": "content of a", "v2/lib/x/manifests/1": `{"schemaVersion":2}`, "v2/lib/x/tags/list": `{"name":"lib/x","tags":["1"]}`,
		"git/h/r.git/HEAD": "ref: refs/heads/main\n", "index.html": "<title>page</title>",
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(g, name)), 0o755); err != nil {
			f.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(g, name), []byte(content), 0o644); err != nil {
			f.Fatal(err)
		}
	}
	const secret = "what nobody may read"
	if err := os.MkdirAll(filepath.Join(dir, "state"), 0o700); err != nil {
		f.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "state/receipt.key"), []byte(secret), 0o600); err != nil {
		f.Fatal(err)
	}
	if err := os.Symlink("generations/000001", filepath.Join(dir, "current")); err != nil {
		f.Fatal(err)
	}
	h, err := serve.New(dir, serve.Options{})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { h.Close() })
	f.Add("GET", "/files/x/a", "", "Range", "bytes=0-2,4-5", "")
	f.Add("GET", "/files/x/../../state/receipt.key", "", "Accept", "*/*", "")
	f.Add("GET", "/v2/lib/x/manifests/1", "", "Accept", "application/vnd.oci.image.index.v1+json", "")
	f.Add("GET", "/v2/lib/x/referrers/sha256:00", "artifactType=a", "If-Range", `"x"`, "")
	f.Add("GET", "/v2/lib/x/tags/list", "n=1&last=0", "Accept-Encoding", "gzip", "")
	f.Add("POST", "/git/h/r.git/info/lfs/objects/batch", "", "Content-Type", "application/vnd.git-lfs+json", `{"operation":"download","objects":[{"oid":"00","size":1}]}`)
	f.Add("HEAD", "/files/x/", "", "Host", "a.example", "")
	f.Fuzz(func(t *testing.T, method, path, query, header, value, body string) {
		r, err := http.NewRequestWithContext(t.Context(), method, "http://mirror.example/", strings.NewReader(body))
		if err != nil {
			return // no request that a client can make
		}
		r.URL = &url.URL{Scheme: "http", Host: "mirror.example", Path: path, RawQuery: query}
		r.RequestURI = "/" + strings.TrimPrefix(path, "/")
		r.Header.Set(header, value)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code >= http.StatusInternalServerError && w.Code != http.StatusNotImplemented {
			t.Errorf("status %d", w.Code)
		}
		if strings.Contains(w.Body.String(), secret) {
			t.Error("a file of outside what is published")
		}
		if w.Header().Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("status %d without nosniff", w.Code)
		}
	})
}
