//go:build clients

package imagetest

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/internal/test/bundletest"
	"github.com/gapbundle/gapbundle/unpack"
)

// imported returns a mirror that took w in from a bundle.
func imported(t *testing.T, w *World) (dir string) {
	t.Helper()
	images := bundletest.Repository{Name: "images", Kind: "oci", Mount: "v2", Files: map[string]string{}, MediaTypes: map[string]string{}}
	for p, f := range w.Files {
		p = strings.TrimPrefix(p, "v2/")
		images.Files[p] = f.Content
		if f.MediaType != "" {
			images.MediaTypes[p] = f.MediaType
		}
	}
	e := bundletest.New(t, "site")
	made := e.Export(t, []bundletest.Repository{images}, bundletest.Options{})
	dir = filepath.Join(t.TempDir(), "my mirror~1, für +x")
	m, err := unpack.Create(dir, unpack.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if err := m.Trust().Update(t.Context(), "test", e.Trust); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Receive(t.Context(), made.Dirs, unpack.ImportOptions{BaseURL: "http://mirror.lan"}); err != nil {
		t.Fatal(err)
	}
	return dir
}
