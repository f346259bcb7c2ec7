package serve_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/internal/serve"
	"github.com/gapbundle/gapbundle/internal/test/webtest"
)

const (
	indexType = "application/vnd.oci.image.index.v1+json"
	subject   = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" // of nothing
)

func registry(t *testing.T) http.Handler {
	f := webtest.NewFixture(t)
	files := files()
	for i := range 7 {
		files[fmt.Sprintf("v2/docker.io/lib/i/manifests/t%d", i)] = webtest.File{Content: "{}", MediaType: indexType}
	}
	files["v2/docker.io/lib/i/referrers/"+subject] = webtest.File{
		Content: `{"schemaVersion":2,"x":1,"manifests":[{"artifactType":"a/b","y":2},{"artifactType":"c/d"},{"artifactType":"a/b"}]}`, MediaType: indexType,
	}
	files["v2/docker.io/lib/bad/referrers/"+subject] = webtest.File{Content: `{"manifests":`, MediaType: indexType}
	f.Publish(files)
	return handler(t, f.Dir, serve.Options{})
}

// Parts of a tag list, each from where the Link of the one before leads.
func TestTagsByParts(t *testing.T) {
	h := registry(t)
	for _, name := range []string{"docker.io/lib/i", "lib/i"} {
		var got []string
		next, answers := "/v2/"+name+"/tags/list?n=3", 0
		for ; next != ""; answers++ {
			w := get(h, "GET", next)
			var list struct {
				Name string
				Tags []string
			}
			if err := json.Unmarshal(w.Body.Bytes(), &list); err != nil || w.Code != 200 || list.Name != name || len(list.Tags) > 3 {
				t.Fatalf("%s: %d %s %v", next, w.Code, w.Body, err)
			}
			got = append(got, list.Tags...)
			next, _ = strings.CutPrefix(strings.TrimSuffix(w.Header().Get("Link"), `>; rel="next"`), "<")
		}
		if want := []string{"1", "t0", "t1", "t2", "t3", "t4", "t5", "t6"}; !slices.Equal(got, want) || answers != 3 {
			t.Errorf("%s: %q in %d answers", name, got, answers)
		}
	}
	for query, want := range map[string]string{
		"n=0": `[]`, "n=100": `["1","t0","t1","t2","t3","t4","t5","t6"]`, "n=1&last=t3": `["t4"]`, "last=t4": `["t5","t6"]`, "last=t6&n=5": `[]`,
		"last=t45": `["t5","t6"]`, "n=8": `["1","t0","t1","t2","t3","t4","t5","t6"]`,
	} {
		w := get(h, "GET", "/v2/lib/i/tags/list?"+query)
		if w.Code != 200 || !strings.Contains(w.Body.String(), `"tags":`+want) || w.Header().Get("Content-Type") != "application/json" || (w.Header().Get("Link") != "") != (query == "n=1&last=t3") {
			t.Errorf("%s: %d %q, %v", query, w.Code, w.Body, w.Header())
		}
		if w := get(h, "HEAD", "/v2/lib/i/tags/list?"+query); w.Body.Len() != 0 || w.Header().Get("Content-Length") == "" {
			t.Errorf("HEAD: %q %v", w.Body, w.Header())
		}
	}
	for _, query := range []string{"n=-1", "n=x", "n=99999999999999999999", "n="} {
		if w := get(h, "GET", "/v2/lib/i/tags/list?"+query); w.Code != 400 || !strings.Contains(w.Body.String(), `"UNSUPPORTED"`) {
			t.Errorf("%s: %d %q", query, w.Code, w.Body)
		}
	}
	if w := get(h, "GET", "/v2/none/tags/list?n=1"); w.Code != 404 || !strings.Contains(w.Body.String(), "NAME_UNKNOWN") {
		t.Errorf("%d %q", w.Code, w.Body)
	}
	if w := get(h, "GET", "/files/x/a.txt?n=1&last=2"); w.Body.String() != "content" {
		t.Errorf("another file: %q", w.Body)
	}
}

func TestReferrers(t *testing.T) {
	h := registry(t)
	other := "sha256:" + strings.Repeat("b", 64)
	for _, c := range []struct {
		path   string
		status int
		body   string
	}{
		{"lib/i/referrers/" + other, 200, `"manifests":[]}`},
		{"lib/i/referrers/sha512:" + strings.Repeat("0", 128), 200, `"manifests":[]}`},
		{"lib/i/referrers/" + subject, 200, `"x":1`},
		{"lib/i/referrers/" + subject + "?artifactType=" + url.QueryEscape("c/d"), 200, `{"manifests":[{"artifactType":"c/d"}],"schemaVersion":2,"x":1}`},
		{"lib/i/referrers/" + subject + "?artifactType=e%2Ff", 200, `"manifests":[]`},
		{"lib/i/referrers/" + other + "?artifactType=e%2Ff", 200, `"manifests":[]`},
		{"none/referrers/" + other, 404, "NAME_UNKNOWN"},
		{"lib/i/referrers/latest", 400, "DIGEST_INVALID"},
		{"lib/i/referrers/sha256:" + strings.Repeat("A", 64), 400, "DIGEST_INVALID"},
		{"lib/i/referrers/" + subject + "0", 400, "DIGEST_INVALID"},
		{"lib/bad/referrers/" + subject, 200, ""},
		{"lib/bad/referrers/" + subject + "?artifactType=x", 500, "UNAVAILABLE"},
	} {
		w := get(h, "GET", "/v2/docker.io/"+c.path)
		if w.Code != c.status || !strings.Contains(w.Body.String(), c.body) {
			t.Errorf("%s: %d %s, want %d %s", c.path, w.Code, w.Body, c.status, c.body)
		}
		if c.status == 200 && w.Header().Get("Content-Type") != indexType {
			t.Errorf("%s: type %s", c.path, w.Header().Get("Content-Type"))
		}
		if filtered := w.Header().Get("OCI-Filters-Applied"); c.status == 200 && strings.Contains(c.path, subject+"?") != (filtered == "artifactType") {
			t.Errorf("%s: filters applied %q", c.path, filtered)
		}
	}
}
