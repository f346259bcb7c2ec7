package fetch

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

type sums struct {
	urls        []string
	begun, read int64
	grown       int64
	ended       int
}

func (s *sums) Begin(url string, size int64) func() {
	s.urls, s.begun = append(s.urls, url), s.begun+size
	return func() { s.ended++ }
}
func (s *sums) Read(n int)   { s.read += int64(n) }
func (s *sums) Grow(n int64) { s.grown += n }

type answers func(*http.Request) *http.Response

func (f answers) RoundTrip(req *http.Request) (*http.Response, error) { return f(req), nil }

// TestReading: what is read is told with the address that was asked first, and the sum of
// sizes is in the end what was read, also without a size and where somebody stops early.
func TestReading(t *testing.T) {
	for _, c := range []struct {
		what         string
		status       int
		size         int64
		take         int64
		read, growth int64
		told         bool
	}{
		{"whole", 200, 7, 7, 7, 0, true},
		{"a part, and no more", 200, 7, 3, 3, -4, true},
		{"size unknown", 200, -1, 7, 7, 7, true},
		{"an answer without content", 404, 7, 7, 0, 0, false},
	} {
		s := &sums{}
		first, err := http.NewRequestWithContext(WithReading(t.Context(), s), http.MethodGet, "https://up.example/a?secret=1", nil)
		if err != nil {
			t.Fatal(err)
		}
		req, err := http.NewRequestWithContext(first.Context(), http.MethodGet, "https://cdn.example/b", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Response = &http.Response{Request: first}
		resp, err := (&told{answers(func(*http.Request) *http.Response {
			return &http.Response{StatusCode: c.status, ContentLength: c.size, Body: io.NopCloser(strings.NewReader("content"))}
		})}).RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.CopyN(io.Discard, resp.Body, c.take); err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		resp.Body.Close()
		if c.told != (len(s.urls) == 1) || c.told && !strings.HasPrefix(s.urls[0], "https://up.example/a") || strings.Contains(strings.Join(s.urls, ""), "secret=1") {
			t.Errorf("%s: told %q", c.what, s.urls)
		}
		if s.read != c.read || s.grown != c.growth {
			t.Errorf("%s: read %d, grown by %d; want %d and %d", c.what, s.read, s.grown, c.read, c.growth)
		}
		if s.ended != len(s.urls) {
			t.Errorf("%s: %d begun, %d ended", c.what, len(s.urls), s.ended)
		}
	}
}
