package helm

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources/helm/helmtest"
	"github.com/gapbundle/gapbundle/sources/oci"
	"github.com/gapbundle/gapbundle/sources/sourcetest"
)

// newGap returns an exporter with a mirror, and an upstream whose chart repository and registry
// have one address.
func newGap(t *testing.T) (*sourcetest.World, *world) {
	t.Helper()
	g := sourcetest.NewWorld(t, Kind(), oci.Kind())
	g.Program = helmtest.Program(t)
	return g, withRegistry(t, g.Dir)
}

// TestImageTakenAway: an image that a chart needs and that is lost on the medium or in the
// mirror is noticed. TestImageGone and the shared suite take it away before that.
func TestImageTakenAway(t *testing.T) {
	g, w := newGap(t)
	w.image("team/app", "v1")
	w.simple("app", "1.0.0", w.host()+"/team/app:v1")
	dirs := g.Export("site", w.spec("charts: {repo: REPO, chart: app}", "images: {plain-http: [\"HOST\"]}"))
	take := func(root string, is func(path string) bool) (back func()) {
		var from string
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() && from == "" && is(path) {
				from = path
			}
			return err
		})
		if err == nil {
			err = os.Rename(from, from+".away")
		}
		if err != nil {
			t.Fatal(err)
		}
		return func() {
			if err := os.Rename(from+".away", from); err != nil {
				t.Fatal(err)
			}
		}
	}
	back := take(dirs[0], func(path string) bool { return filepath.Base(path) == bundle.VolumeName(1) })
	if err := g.TryReceive(dirs); !errors.Is(err, bundle.ErrIncomplete) {
		t.Errorf("a medium without the volume of the image: %v", err)
	}
	back()
	g.Receive(dirs)
	take(filepath.Join(g.Mirror, "current")+"/", func(path string) bool { return strings.Contains(path, "/team/app/manifests/") })
	if err := g.TryCheck(); !errors.Is(err, bundle.ErrCorrupt) || !strings.Contains(err.Error(), "team/app") {
		t.Errorf("a mirror without the image: %v", err)
	}
}
