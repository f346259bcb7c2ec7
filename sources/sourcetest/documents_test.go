package sourcetest

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/export"
)

// notebookRig returns a connected side with a source that keeps its manifest; found is
// the document that the last plan was given.
func notebookRig(t *testing.T) (r *rig, w *warehouse, found *string) {
	found = new(string)
	s := notebookSuite(func(_ string, document []byte) { *found = string(document) })
	s.key = newKey(t)
	w = newWarehouse(t)
	s.New = func(t *testing.T, _ string) *Upstream { return notebookUpstream(w) }
	return newRig(t, s), w, found
}

func notebookSuite(seen func(string, []byte)) Suite {
	return Suite{
		Kinds: sources.Kinds{Notebooks(seen)}, NoChoice: true,
		New: func(t *testing.T, _ string) *Upstream { return notebookUpstream(newWarehouse(t)) },
	}
}

// notebookUpstream returns the warehouse without its parcels.
func notebookUpstream(w *warehouse) *Upstream {
	u := w.upstream()
	text := func() string {
		return "- name: book\n  kind: notebooks\n  url: " + w.server.URL("/r/manifest.json") + "\n"
	}
	u.Sources = text()
	for i, next := range u.Next {
		u.Next[i] = func() string { next(); return text() }
	}
	u.Forgeries, u.Nothing, u.Unsigned = nil, nil, text
	return u
}

func TestNotebooks(t *testing.T) { Run(t, notebookSuite(nil)) }

func to(destination string) func(*export.Options) {
	return func(o *export.Options) { o.Destination, o.NewDestination = destination, true }
}

// TestDocuments: each of two destinations gets the document of the state that it
// has, whatever was exported to the other since; an unchanged manifest is read once.
func TestDocuments(t *testing.T) {
	r, w, found := notebookRig(t)
	states := []string{w.text}
	r.must(to("ship"))
	if *found != "" {
		t.Errorf("a first export has a document: %q", *found)
	}
	r.next(2)
	states = append(states, w.text)
	r.must(to("yard"))
	if *found != "" {
		t.Errorf("a full bundle has a document: %q", *found)
	}
	r.next(3)
	states = append(states, w.text)
	reads := w.server.Requests("/r/manifest.json")
	for i, destination := range []string{"ship", "yard"} {
		r.must(to(destination))
		if *found != states[i] {
			t.Errorf("%s: document %q, want that of state %d, %q", destination, *found, i+1, states[i])
		}
	}
	if n := w.server.Requests("/r/manifest.json") - reads; n != 3 { // HEAD, GET, HEAD
		t.Errorf("%d requests for the manifest, want 3", n)
	}
	r.next(2)
	r.must(to("ship"))
	if *found != states[2] {
		t.Errorf("document %q, want that of state 3", *found)
	}
}

// TestDocumentsAdopted: a lost ledger gets its documents back from a bundle; what
// is lost or damaged is not given, and the export works without.
func TestDocumentsAdopted(t *testing.T) {
	r, w, found := notebookRig(t)
	w.manifest.Parcels = []string{strings.Repeat("x", 3<<20)} // over several volumes
	w.publish()
	first := w.text
	dirs := r.must(func(o *export.Options) { o.VolumeSize = bundle.MinVolumeSize })
	state := filepath.Join(r.dir, ".gapbundle")
	if err := os.RemoveAll(state); err != nil {
		t.Fatal(err)
	}
	r.next(2)
	second := w.text
	r.must(func(o *export.Options) { o.Adopt, o.Base = dirs[0], "1" })
	if *found != first {
		t.Errorf("adopted: document %q, want %q", *found, first)
	}
	r.next(3)
	r.must()
	if *found != second {
		t.Errorf("document %q, want %q", *found, second)
	}
	files, err := filepath.Glob(filepath.Join(state, "site", "documents", strings.Repeat("?", 64)))
	if err != nil || len(files) == 0 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		b[0] ^= 1
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r.next(2)
	r.must()
	if *found != "" {
		t.Errorf("a damaged document is given: %q", *found)
	}
}

// TestDocumentBounds: what is too large to be kept is refused by its name, at plan.
func TestDocumentBounds(t *testing.T) {
	r, w, _ := notebookRig(t)
	w.manifest.Parcels = []string{strings.Repeat("x", 4<<20)}
	w.publish()
	_, err := export.Plan(t.Context(), r.options())
	if !errors.Is(err, bundle.ErrUsage) || !strings.Contains(err.Error(), "source book, manifest.json: ") || !strings.Contains(err.Error(), "at most 4194304") {
		t.Errorf("got %v", err)
	}
	r.refused(bundle.ErrUsage, "source book, manifest.json: ")
}
