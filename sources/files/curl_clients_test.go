//go:build clients

package files

import (
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/internal/test/webtest"
	"github.com/gapbundle/gapbundle/sources/sourcetest"
)

// TestCurl: curl gets every file of the client file's list from each server, whole
// and in part, by the URL that is there.
func TestCurl(t *testing.T) {
	w := sourcetest.NewWorld(t, Kind())
	contents := map[string]string{"/r/a file+1~.txt": "the first", "/r/b.tar.gz": strings.Repeat("0123456789", 1000)}
	for path, content := range contents {
		w.Put(path, []byte(content))
	}
	w.Put("/r/q.txt", []byte("by a path of its own"))
	w.Publish("site", "- name: web\n  kind: files\n  urls:\n    - \""+w.URL+"/r/a%20file+1~.txt\"\n    - "+w.URL+"/r/b.tar.gz\n    - {url: \""+w.URL+"/r/q.txt?v=1\", path: own/q.txt}\n")
	contents["/r/q.txt?v=***"] = "by a path of its own"
	w.Each(t, func(t *testing.T, s *webtest.Server) {
		found := 0
		for line := range strings.Lines(string(w.Client(Name, "web.txt"))) {
			original, mirrored, ok := strings.Cut(strings.TrimSpace(line), " ")
			if !ok || strings.HasPrefix(line, "#") {
				continue
			}
			found++
			_, path, _ := strings.Cut(strings.TrimPrefix(original, "http://"), "/")
			want := contents[strings.ReplaceAll("/"+path, "%20", " ")]
			if got := w.Run("", nil, "curl", "-fsSg", mirrored); string(got) != want || want == "" {
				t.Errorf("%s for %s: %d bytes, want %d", mirrored, original, len(got), len(want))
			}
			if got := w.Run("", nil, "curl", "-fsSg", "-r", "2-4", mirrored); string(got) != want[2:5] {
				t.Errorf("%s: bytes 2-4: %q", mirrored, got)
			}
		}
		if found != len(contents) {
			t.Errorf("%d files in the list, want %d:\n%s", found, len(contents), w.Client(Name, "web.txt"))
		}
	})
}
