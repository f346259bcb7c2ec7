package unpack_test

import (
	"errors"
	"maps"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/unpack"
)

// TestKeyFilesOfAMirrorOfBefore: testdata/keys-before.tar.gz has a mirror that was
// written before key files were judged, with two generations of a set whose files
// below keys/ are no keys, and the next bundle of that set. What is published stays
// and can be published again; the next bundle is refused.
func TestKeyFilesOfAMirrorOfBefore(t *testing.T) {
	dir, r := rigOfBefore(t, "keys-before")
	want := func(a string) map[string]string {
		return map[string]string{"apt/debs/a": a, "keys/upstream.asc": "another key", "keys/unlisted.asc": "unlisted"}
	}
	r.expect(want("2"))
	r.intact()
	before := r.served()
	_, err := r.refused(bundle.ErrUntrusted, unpack.ImportOptions{}, filepath.Join(dir, "next"))
	if !strings.Contains(err.Error(), "keys/unlisted.asc") {
		t.Errorf("%v: does not name the file", err)
	}
	if !maps.Equal(r.served(), before) {
		t.Error("something else is served")
	}
	if _, err := r.SetBaseURL(t.Context(), "http://mirror.lan"); err != nil {
		t.Error(err)
	}
	r.expect(want("2"))
	if _, err := r.Rollback(t.Context(), unpack.RollbackOptions{To: 1}); err != nil {
		t.Error(err)
	}
	r.expect(want("1"))
	r.intact()
	if _, err := r.Receive(t.Context(), []string{filepath.Join(dir, "next")}, unpack.ImportOptions{AcceptKeys: true}); !errors.Is(err, bundle.ErrUntrusted) {
		t.Errorf("with accepted keys: %v", err)
	}
}
