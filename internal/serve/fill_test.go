package serve_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/internal/serve"
	"github.com/gapbundle/gapbundle/internal/test/webtest"
)

// A mirror without a base URL: a file for clients has the address that the client used.
func TestAddressIsFilledIn(t *testing.T) {
	const list, repo = "_gapbundle/clients/apt/debs.sources", "_gapbundle/clients/rpm/dnf/plain.repo"
	m := webtest.NewFixture(t)
	m.Publish(map[string]webtest.File{
		list:             {Content: "URIs: @BASE@/apt/debs\n# @HOST@ @INSECURE@\n"},
		repo:             {Content: "baseurl=http://mirror.lan/rpm\n"},
		"files/x/mail":   {Content: "root@BASE@there"},
		"files/x/script": {Content: "@BASE@"},
	})
	h := handler(t, m.Dir, serve.Options{})
	ask := func(at string, header ...string) *httptest.ResponseRecorder {
		return get(h, http.MethodGet, at, header...)
	}

	const want = "URIs: http://mirror.lan:8080/apt/debs\n# mirror.lan:8080 true\n"
	first := ask("http://mirror.lan:8080/" + list)
	if first.Body.String() != want || first.Header().Get("Last-Modified") != "" {
		t.Errorf("got %q, %v", first.Body, first.Header())
	}
	if w := ask("http://Mirror.LAN:8080/"+list, "X-Forwarded-Proto", "https"); w.Body.String() != "URIs: https://mirror.lan:8080/apt/debs\n# mirror.lan:8080 false\n" {
		t.Errorf("behind TLS: %q", w.Body)
	} else if w.Header().Get("ETag") == first.Header().Get("ETag") {
		t.Error("two contents with one ETag")
	}
	if w := ask("http://mirror.lan:8080/"+list, "If-None-Match", first.Header().Get("ETag")); w.Code != http.StatusNotModified {
		t.Errorf("asked again: %d", w.Code)
	}
	if w := ask("http://mirror.lan:8080/"+list, "Range", "bytes=6-"); w.Code != http.StatusPartialContent || w.Body.String() != want[6:] {
		t.Errorf("a part: %d %q", w.Code, w.Body)
	}
	if w := get(h, http.MethodHead, "http://mirror.lan:8080/"+list); w.Body.Len() != 0 || w.Header().Get("Content-Length") != "61" {
		t.Errorf("head: %v", w.Header())
	}
	if w := ask("http://other.lan/" + repo); w.Body.String() != "baseurl=http://mirror.lan/rpm\n" || w.Header().Get("Last-Modified") == "" {
		t.Errorf("a file without words: %q, %v", w.Body, w.Header())
	}
	for _, p := range []string{"files/x/mail", "files/x/script"} {
		if w := ask("http://mirror.lan/" + p); !strings.Contains(w.Body.String(), "@BASE@") {
			t.Errorf("content of %s was changed: %q", p, w.Body)
		}
	}
	for _, host := range []string{"evil\n[repo]", "a b", "x/../y?", "user@host", ""} {
		r := httptest.NewRequest(http.MethodGet, "/"+list, nil)
		r.Host = host
		w := httptest.NewRecorder()
		if h.ServeHTTP(w, r); !strings.HasPrefix(w.Body.String(), "URIs: @BASE@/") {
			t.Errorf("host %q: got %q", host, w.Body)
		}
	}
}
