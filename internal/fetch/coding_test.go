package fetch_test

import (
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/internal/fetch"
	up "github.com/gapbundle/gapbundle/internal/test/upstreamtest"
)

func TestOwnCodingOfAFile(t *testing.T) {
	s := up.New(t)
	s.Put("/a.tar.gz", []byte("\x1f\x8b.."))
	s.FailAlways(up.Any, up.Header("Content-Encoding", "x-gzip"))
	c, _ := newClient(t, fetch.Options{})
	if got, _, err := readFrom(t, c, s.URL("/a.tar.gz"), 0, ""); err != nil || string(got) != "\x1f\x8b.." {
		t.Errorf("%q, %v", got, err)
	}
}

// TestCodingByTheNameThatWasAsked: a store's name says nothing about what it sends, and
// the bytes of a blob are judged by its digest.
func TestCodingByTheNameThatWasAsked(t *testing.T) {
	s := up.New(t)
	blob := "/v2/app/blobs/sha256:" + strings.Repeat("ab", 32)
	for path, asked := range map[string]string{"/0f3a": "/tool.tar.gz", "/0f3b": "/tool.txt", blob: blob} {
		s.Put(path, []byte("\x1f\x8b.."))
		s.FailAlways(path, up.Header("Content-Encoding", "gzip"))
		if asked != path {
			s.FailAlways(asked, up.Redirect(path))
		}
		c, _ := newClient(t, fetch.Options{Retries: -1})
		got, _, err := readFrom(t, c, s.URL(asked), 0, "")
		if want := asked != "/tool.txt"; (err == nil) != want || want && string(got) != "\x1f\x8b.." {
			t.Errorf("%s: %q, %v", asked, got, err)
		}
	}
}
