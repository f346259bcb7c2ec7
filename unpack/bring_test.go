package unpack_test

import (
	"os"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/test/bundletest"
	"github.com/gapbundle/gapbundle/unpack"
)

// TestDamageBetweenTwoVolumes: a blob that an unfinished import has stored is damaged before the
// rest comes. What is at hand again is read again; otherwise the volume is missing again. The
// damaged bytes are not published.
func TestDamageBetweenTwoVolumes(t *testing.T) {
	for name, damage := range map[string]func(r *rig, blob string){
		"flipped": func(_ *rig, blob string) { overwrite(t, blob) },
		"cut":     func(_ *rig, blob string) { must(t, os.Truncate(blob, 9)) },
		"gone":    func(_ *rig, blob string) { must(t, os.Remove(blob)) },
	} {
		t.Run(name, func(t *testing.T) {
			e, other := bundletest.New(t, "site"), bundletest.New(t, "other")
			r := newRig(t, e, other)
			first := noise("first", 900<<10)
			made := e.Export(t, []bundletest.Repository{apt(map[string]string{"a": first, "b": noise("second", 900<<10)})}, bundletest.Options{})
			part := t.TempDir() + "/site-000001"
			copyDir(t, made.Dirs[0], part, func(name string) bool { return name != "volume-00002.tar.zst" })
			r.refused(bundle.ErrIncomplete, unpack.ImportOptions{}, part)
			damage(r, r.blobOf(first))
			rest := t.TempDir() + "/site-000001"
			copyDir(t, made.Dirs[0], rest, func(name string) bool { return name != "volume-00001.tar.zst" })
			r.refused(bundle.ErrIncomplete, unpack.ImportOptions{}, rest)
			r.expect(map[string]string{})
			// whole, and next to a bundle of another set
			r.receive(made.Dirs[0], other.Export(t, []bundletest.Repository{shared("x", map[string]string{"x": "x"})}, bundletest.Options{}).Dirs[0])
			r.expect(map[string]string{"apt/debs/a": first, "apt/debs/b": noise("second", 900<<10), "files/x": "x"})
			r.intact()
		})
	}
}
