package oci

import (
	"net/http"
	"path/filepath"
	"testing"
	"time"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/export"
	"github.com/gapbundle/gapbundle/sources/keys"
)

// export exports a spec of these sources, again and again with one ledger.
func (w *world) export(text string, change ...func(*export.Options)) (*export.Result, error) {
	w.t.Helper()
	w.write("gapbundle.yaml", []byte("version: 1\nname: site\nsigning: {exporter: exporter.key}\nsources:\n"+text))
	o := export.Options{
		SpecPath: filepath.Join(w.dir, "gapbundle.yaml"), Targets: []string{filepath.Join(w.dir, "medium")}, Kinds: sources.Kinds{Kind()}, Tool: "test",
		Now: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC), Env: func(string) string { return "" }, Home: w.dir, NoReadback: true,
		Passphrase: func(string) ([]byte, error) { return []byte("x"), nil },
	}
	for _, c := range change {
		c(&o)
	}
	return export.Run(w.t.Context(), o)
}

func newExporting(t *testing.T) *world {
	t.Helper()
	w := newWorld(t, t.TempDir())
	private, _, _, err := keys.GenerateExporter([]byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	w.write("exporter.key", private)
	return w
}

// gets counts the manifests of an image that were read, HEAD left out.
func (w *world) gets(name string) (n int) {
	for _, d := range append(w.Digests(name), w.Tags(name)...) {
		for _, seen := range w.Seen("/v2/" + name + "/manifests/" + d) {
			if seen.Method == http.MethodGet {
				n++
			}
		}
	}
	return n
}

// An image that did not change costs no manifest, whatever else did: neither
// when it is planned nor when the whole is checked.
func TestUnchangedBesideChanged(t *testing.T) {
	w := newExporting(t)
	for _, name := range []string{"still", "moves"} {
		w.index(name, []v1.Descriptor{w.image(name, "amd64", name), w.image(name, "arm64", name+"2")}, "v1")
	}
	text := w.spec("images", "images: [HOST/still:v1, HOST/moves:v1]")
	if _, err := w.export(text); err != nil {
		t.Fatal(err)
	}
	w.index("moves", []v1.Descriptor{w.image("moves", "amd64", "new")}, "v1")
	w.ResetCounts()
	r, err := w.export(text)
	if err != nil {
		t.Fatal(err)
	}
	if r.Nothing || w.gets("still") > 0 || w.gets("moves") == 0 {
		t.Errorf("%d and %d manifests were read: %+v", w.gets("still"), w.gets("moves"), r)
	}
	// Another version of the program looks again.
	w.tagged("moves", w.image("moves", "amd64", "newer"), "v1")
	if _, err := w.export(text, func(o *export.Options) { o.Tool = "another" }); err != nil {
		t.Fatal(err)
	}
	if w.gets("still") == 0 {
		t.Error("another version of the program took the check of the one before for its own")
	}
}

// What is held back is not read, and what others have of the same image is
// among it.
func TestOnlyOneSource(t *testing.T) {
	w := newExporting(t)
	app := w.image("app", "amd64", "a")
	w.tagged("app", app, "v1")
	w.tagged("tool", w.image("tool", "amd64", "t"), "v1")
	text := w.spec("one", "images: HOST/app:v1") + w.spec("two", "images: [HOST/tool:v1, HOST/app:v1]")
	if _, err := w.export(text); err != nil {
		t.Fatal(err)
	}
	w.tagged("tool", w.image("tool", "amd64", "t2"), "v1")
	w.ResetCounts()
	r, err := w.export(text, func(o *export.Options) { o.Only = []string{"two"} })
	if err != nil {
		t.Fatal(err)
	}
	if r.Nothing || r.Full {
		t.Errorf("%+v", r)
	}
}

// A check without content goes by what the lines of the list lead to.
func TestCheckOfHeld(t *testing.T) {
	w := newWorld(t, t.TempDir())
	w.tagged("app", w.image("app", "amd64", "a"), "v1")
	tr := w.must(nil, w.spec("images", "images: HOST/app:v1"))
	tr.held = true
	if counts, err := check(t.Context(), tr); err != nil || len(counts) != 4 {
		t.Fatalf("%v, %v", counts, err)
	}
	path := w.folder() + "/app/blobs/" + describe("", noise("a", 3000)).Digest.String()
	delete(tr.files["images"], path)
	if _, err := check(t.Context(), tr); !isIncomplete(err, path) {
		t.Errorf("got %v", err)
	}
}

// What nothing but the connection speaks for counts as unpinned, with all that
// it leads to; what a digest of the spec leads to does not.
func TestUnpinned(t *testing.T) {
	w := newWorld(t, t.TempDir())
	app := w.image("app", "amd64", "a")
	w.tagged("app", app, "v1")
	for reference, want := range map[string]int{"HOST/app:v1": 4, "HOST/app:v1@" + app.Digest.String(): 0} {
		tr := w.must(nil, w.spec("images", "signatures: none", "images: '"+reference+"'"))
		got := 0
		for _, e := range tr.found {
			if e.Unpinned() {
				got++
			}
		}
		if got != want || len(tr.found) != 4 {
			t.Errorf("%s: %d of %d unpinned, want %d", reference, got, len(tr.found), want)
		}
	}
}

// Names of platforms are upstream's: none makes an export impossible.
func TestOddPlatforms(t *testing.T) {
	w := newWorld(t, t.TempDir())
	amd := w.image("app", "amd64", "a")
	var all []v1.Descriptor
	for i, version := range []string{"10.0,17763", string(noise("x", 5000)), "=", "a\nb"} {
		odd := w.image("app", "amd64", "odd", version[:1], string(rune('a'+i)))
		odd.Platform = &v1.Platform{OS: "windows", Architecture: "amd64", OSVersion: version}
		all = append(all, odd)
	}
	w.index("app", append(all, amd), "v1")
	tr := w.must(nil, w.spec("images", "images: HOST/app:v1", "platforms: [linux/amd64, linux/arm64]"))
	if want := w.Host() + "/app:v1: has no image for linux/arm64"; !slicesContain(tr.notes, want) {
		t.Errorf("notes %q, want %q", tr.notes, want)
	}
	if again := w.must(tr.base(), w.spec("images", "images: HOST/app:v1", "platforms: [linux/amd64, linux/arm64]")); !slicesContain(again.notes, w.Host()+"/app:v1: has no image for linux/arm64") {
		t.Errorf("from the base: %q", again.notes)
	}
	for p, f := range tr.files["images"] {
		if err := bundle.CheckAnnotations(f.Annotations); err != nil {
			t.Errorf("%s: %v", p, err)
		}
	}
}
