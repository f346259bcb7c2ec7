package command

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/test/settest"
	"github.com/gapbundle/gapbundle/unpack"
)

// TestAskServer: the server answers every path of a mirror as it is listed.
func TestAskServer(t *testing.T) {
	w := settest.New(t)
	files, err := w.Check(t.Context(), unpack.CheckOptions{})
	if err != nil {
		t.Fatal(err)
	}
	a, err := askServer(t.Context(), w.Dir, w.Mirror)
	if err != nil || a.Paths == 0 || a.Paths > files.Files {
		t.Errorf("%+v, %v; %d files are published", a, err, files.Files)
	}
	view, err := w.Tree("")
	if err != nil {
		t.Fatal(err)
	}
	r := view.Repositories()[0]
	gone := ""
	for f, err := range view.Files(r.Name) {
		if err != nil {
			t.Fatal(err)
		}
		gone = r.Mount + "/" + f.Path
	}
	if err := os.Remove(filepath.Join(w.Dir, "current", gone)); err != nil {
		t.Fatal(err)
	}
	a, err = askServer(t.Context(), w.Dir, w.Mirror)
	if !errors.Is(err, bundle.ErrCorrupt) || a == nil || len(a.Wrong) != 1 || a.Wrong[0].Path != gone || !strings.Contains(err.Error(), gone+": serve answers 404 not found") {
		t.Errorf("%+v, %v", a, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := askServer(ctx, w.Dir, w.Mirror); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
}

// TestAskAll: another status and another size are named; a size that nobody knows is not.
func TestAskAll(t *testing.T) {
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/a/gone" {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Length", "3")
		_, _ = w.Write([]byte("abc"))
	})
	wrong := askAll(t.Context(), h, []question{{path: "a/right", size: 3}, {path: "a/gone", size: 3}, {path: "a/other", size: 4}, {path: "a/filled", size: -1}, {set: "s", repository: "r", path: "a/last", size: 3}})
	if len(wrong) != 2 || wrong[0].Path != "a/gone" || wrong[0].Problem != "serve answers 404 not found" || wrong[1].Problem != "serve answers with 3 bytes, want 4" {
		t.Errorf("%+v", wrong)
	}
}
