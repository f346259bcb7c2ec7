package helm

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/export"
	"github.com/gapbundle/gapbundle/sources/helm/helmtest"
	"github.com/gapbundle/gapbundle/sources/keys"
	"github.com/gapbundle/gapbundle/sources/oci"
)

// exporter exports the world's sources into a medium, again and again.
func (w *world) exporter() func(spec string) (*export.Result, error) {
	w.t.Helper()
	private, _, _, err := keys.GenerateExporter([]byte("x"))
	if err != nil {
		w.t.Fatal(err)
	}
	write(w.t, filepath.Join(w.dir, "exporter.key"), string(private))
	now := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	return func(spec string) (*export.Result, error) {
		now = now.Add(time.Hour)
		write(w.t, filepath.Join(w.dir, "gapbundle.yaml"), "version: 1\nname: site\nsigning: {exporter: exporter.key}\nsources:\n"+spec)
		return export.Run(w.t.Context(), export.Options{
			SpecPath: filepath.Join(w.dir, "gapbundle.yaml"), Targets: []string{filepath.Join(w.dir, "medium")}, Kinds: sources.Kinds{Kind(), oci.Kind()},
			Tool: "test", Program: helmtest.Program(w.t), Now: now, Env: func(string) string { return "" }, Home: w.dir, NoReadback: true,
			Passphrase: func(string) ([]byte, error) { return []byte("x"), nil },
		})
	}
}

// TestDelta: a new version of a chart with the same images costs the chart and what is
// made of it: no image is asked for again, and no other chart.
func TestDelta(t *testing.T) {
	w := withRegistry(t, t.TempDir())
	layer := w.image("team/app", "v1")
	w.simple("app", "1.0.0", w.host()+"/team/app:v1")
	w.simple("tool", "1.0.0", w.host()+"/team/app:v1")
	spec := w.spec("charts:", "- {repo: REPO, chart: app, newest: 2}", "- {repo: REPO, chart: tool}", "images: {plain-http: [\"HOST\"]}")
	run := w.exporter()
	if _, err := run(spec); err != nil {
		t.Fatal(err)
	}
	w.simple("app", "1.1.0", w.host()+"/team/app:v1")
	w.server.ResetCounts()
	res, err := run(spec)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]int{root + "app-1.1.0.tgz": 1, root + "app-1.0.0.tgz": 0, root + "tool-1.0.0.tgz": 0} {
		if n := w.server.Requests(path); n != want {
			t.Errorf("%s: %d requests, want %d", path, n, want)
		}
	}
	if n := w.server.Requests("/v2/team/app/blobs/" + descriptor("", layer).Digest.String()); n != 0 {
		t.Errorf("the image was fetched again: %d requests", n)
	}
	signed, err := os.ReadFile(filepath.Join(res.Dirs[0], bundle.RootName))
	if err != nil {
		t.Fatal(err)
	}
	m, err := bundle.ParseManifest(signed)
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(m.Repositories, func(r bundle.Repository) bool { return r.Name == "charts/oci" })
	if m.Base == nil || i < 0 {
		t.Fatal(m)
	}
	// The list of the images is the base's, so not one of their files is carried. Why they
	// are in the mirror is new: another version of the chart names them.
	if !slices.Equal(m.Repositories[i].Carried, []string{bundle.CarriedContents, bundle.CarriedEvidence}) {
		t.Errorf("%+v", m.Repositories[i])
	}
	w.server.ResetCounts()
	again, err := run(spec)
	if err != nil || !again.Nothing {
		t.Errorf("unchanged: %+v %v", again, err)
	}
	if n := w.server.Requests(root + "app-1.1.0.tgz"); n != 0 {
		t.Errorf("unchanged: a package was fetched %d times", n)
	}
}

// TestImageGone: an image that a chart needs and that is not there stops the plan, and
// the export with it: nothing is carried by halves.
func TestImageGone(t *testing.T) {
	w := withRegistry(t, t.TempDir())
	w.simple("app", "1.0.0", w.host()+"/team/app:v1")
	spec := w.spec("charts: {repo: REPO, chart: app}", "images: {plain-http: [\"HOST\"]}")
	run := w.exporter()
	res, err := run(spec)
	if err == nil || !strings.Contains(err.Error(), "team/app") || res != nil && len(res.Dirs) > 0 {
		t.Errorf("%+v %v", res, err)
	}
	w.image("team/app", "v1")
	r, _ := w.mustPlan("charts: {repo: REPO, chart: app}", "images: {plain-http: [\"HOST\"]}")
	if len(r.Repositories) != 2 || r.Repositories[1].Name != "charts/oci" {
		t.Fatalf("%d repositories", len(r.Repositories))
	}
	if _, err := run(spec); err != nil || errors.Is(err, bundle.ErrIncomplete) {
		t.Error(err)
	}
}
