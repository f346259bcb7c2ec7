package serve_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/internal/serve"
	"github.com/gapbundle/gapbundle/internal/test/webtest"
)

// TestManyRanges: an answer by ranges is never larger than the file.
func TestManyRanges(t *testing.T) {
	f := webtest.NewFixture(t)
	const size = 100_000
	f.Publish(map[string]webtest.File{"files/x/a": {Content: strings.Repeat("x", size)}, "files/x/small": {Content: strings.Repeat("x", 300)}})
	h, err := serve.New(f.Dir, serve.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	ranges := func(n int) string {
		var parts []string
		for i := range n {
			parts = append(parts, fmt.Sprintf("%d-%d", 2*i, 2*i))
		}
		return "bytes=" + strings.Join(parts, ",")
	}
	for _, test := range []struct {
		path   string
		n      int
		status int
	}{{"a", 1, 206}, {"a", 2, 206}, {"a", 256, 206}, {"a", 257, 200}, {"a", 5000, 200}, {"small", 1, 206}, {"small", 2, 200}, {"small", 100, 200}} {
		w := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodGet, "/files/x/"+test.path, nil)
		r.Header.Set("Range", ranges(test.n))
		h.ServeHTTP(w, r)
		if w.Code != test.status || w.Body.Len() > size {
			t.Errorf("%s, %d ranges: status %d, want %d, %d bytes", test.path, test.n, w.Code, test.status, w.Body.Len())
		}
	}
}

// followed is how many links a listing follows.
const followed = 500

// TestListingOfLinks: a listing follows some links for size and date and names all.
func TestListingOfLinks(t *testing.T) {
	f := webtest.NewFixture(t)
	f.Publish(map[string]webtest.File{"files/x/a": {Content: "x"}})
	dir, err := filepath.EvalSymlinks(filepath.Join(f.Dir, "current"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "many"), 0o755); err != nil {
		t.Fatal(err)
	}
	for i := range followed + 100 {
		if err := os.Symlink("../files/x/a", filepath.Join(dir, "many", fmt.Sprintf("link%04d", i))); err != nil {
			t.Fatal(err)
		}
	}
	h, err := serve.New(f.Dir, serve.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/many/", nil))
	if n := strings.Count(w.Body.String(), "<a href=\"./link"); n != followed+100 {
		t.Errorf("%d links are named", n)
	}
	if n := strings.Count(w.Body.String(), "               -\n"); n != 100 {
		t.Errorf("%d links are without size, want 100", n)
	}
}
