package helm

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/export"
	"github.com/gapbundle/gapbundle/sources/helm/helmtest"
	"github.com/gapbundle/gapbundle/sources/keys"
	"github.com/gapbundle/gapbundle/sources/oci"
	"github.com/gapbundle/gapbundle/unpack"
	"github.com/gapbundle/gapbundle/verify"
)

// carried is a set that was exported, and a mirror that trusts its exporter.
type carried struct {
	dirs   []string // of the medium
	mirror *unpack.Mirror
	root   string // of the mirror
}

// carry exports a spec and makes a mirror for it.
func (w *world) carry(spec string) carried {
	w.t.Helper()
	check := func(err error) {
		w.t.Helper()
		if err != nil {
			w.t.Fatal(err)
		}
	}
	private, public, id, err := keys.GenerateExporter([]byte("x"))
	check(err)
	write(w.t, filepath.Join(w.dir, "exporter.key"), string(private))
	write(w.t, filepath.Join(w.dir, "gapbundle.yaml"), "version: 1\nname: site\nsigning: {exporter: exporter.key}\nsources:\n"+spec)
	res, err := export.Run(w.t.Context(), export.Options{
		SpecPath: filepath.Join(w.dir, "gapbundle.yaml"), Targets: []string{filepath.Join(w.dir, "medium")}, Kinds: sources.Kinds{Kind(), oci.Kind()},
		Tool: "test", Program: helmtest.Program(w.t), Now: time.Now(), Env: func(string) string { return "" }, Home: w.dir, NoReadback: true,
		Passphrase: func(string) ([]byte, error) { return []byte("x"), nil },
	})
	check(err)
	c := carried{dirs: res.Dirs, root: filepath.Join(w.dir, "mirror")}
	c.mirror, err = unpack.Create(c.root, unpack.Options{})
	check(err)
	w.t.Cleanup(func() { _ = c.mirror.Close() })
	check(c.mirror.Trust().Update(w.t.Context(), "test", func(p *verify.Policy) error {
		return p.Add(verify.Key{Role: verify.RoleExporter, Set: "any", ID: id, PEM: string(public), Added: time.Now()})
	}))
	return c
}

func (c carried) receive(ctx context.Context) error {
	_, err := c.mirror.Receive(ctx, c.dirs, unpack.ImportOptions{AcceptKeys: true})
	return err
}

// check runs the checks of both kinds on what is published.
func (c carried) check(ctx context.Context) error {
	for _, kind := range []sources.Kind{Kind(), oci.Kind()} {
		tree, err := c.mirror.Tree(kind.Name)
		if err == nil {
			_, err = kind.Check(ctx, tree)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// ship exports a spec and imports it into a new mirror.
func (w *world) ship(spec string) (mirror string) {
	w.t.Helper()
	c := w.carry(spec)
	if err := errors.Join(c.receive(w.t.Context()), c.check(w.t.Context())); err != nil {
		w.t.Fatal(err)
	}
	return c.root
}

// TestImageTakenAway: an image that a chart needs and that is lost on the medium or in the
// mirror is noticed. TestImageGone and the shared suite take it away before that.
func TestImageTakenAway(t *testing.T) {
	w := withRegistry(t, t.TempDir())
	w.image("team/app", "v1")
	w.simple("app", "1.0.0", w.host()+"/team/app:v1")
	c := w.carry(w.spec("charts: {repo: REPO, chart: app}", "images: {plain-http: [\"HOST\"]}"))
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
	back := take(c.dirs[0], func(path string) bool { return filepath.Base(path) == bundle.VolumeName(1) })
	if err := c.receive(t.Context()); !errors.Is(err, bundle.ErrIncomplete) {
		t.Errorf("a medium without the volume of the image: %v", err)
	}
	back()
	if err := errors.Join(c.receive(t.Context()), c.check(t.Context())); err != nil {
		t.Fatal(err)
	}
	take(filepath.Join(c.root, "current")+"/", func(path string) bool { return strings.Contains(path, "/team/app/manifests/") })
	res, err := c.mirror.Check(t.Context(), unpack.CheckOptions{})
	if !errors.Is(err, bundle.ErrCorrupt) || !strings.Contains(err.Error(), "team/app") {
		t.Errorf("a mirror without the image: %+v %v", res, err)
	}
}
