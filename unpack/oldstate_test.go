package unpack_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/internal/test/bundletest"
	"github.com/gapbundle/gapbundle/unpack"
)

// TestStateOfABackup: all of state/ was put back from a backup that is older than the newest
// import. Nothing is changed, above all nothing that is served is swept; what came since can
// be imported again once the link leads to a generation that is on record.
func TestStateOfABackup(t *testing.T) {
	e := bundletest.New(t, "site")
	r := &ill{rig: newRig(t, e), e: e}
	r.receive(e.Export(t, illRepositories(), bundletest.Options{}).Dirs...)
	backup := filepath.Join(t.TempDir(), "state")
	must(t, os.CopyFS(backup, os.DirFS(filepath.Join(r.dir, "state"))))
	second := e.Export(t, []bundletest.Repository{apt(map[string]string{"new": "what is served"})}, bundletest.Options{Full: true})
	r.receive(second.Dirs...)
	must(t, os.RemoveAll(filepath.Join(r.dir, "state")))
	must(t, os.CopyFS(filepath.Join(r.dir, "state"), os.DirFS(backup)))
	must(t, os.Chmod(filepath.Join(r.dir, "state/receipt.key"), 0o600)) // as a backup keeps it
	before := treeOf(t, r.dir)
	r.reopen(unpack.Options{})
	third := e.Export(t, []bundletest.Repository{apt(map[string]string{"new": "newer"})}, bundletest.Options{Full: true})
	for what, try := range map[string]func() error{
		"gc":         func() error { _, err := r.GC(t.Context(), unpack.GCOptions{Keep: 1, Force: true}); return err },
		"an import":  func() error { _, err := r.Receive(t.Context(), third.Dirs, unpack.ImportOptions{}); return err },
		"a rollback": func() error { _, err := r.Rollback(t.Context(), unpack.RollbackOptions{}); return err },
	} {
		var state *unpack.StateError
		if err := try(); !errors.As(err, &state) || !strings.Contains(err.Error(), "generation 2 is served and not on record") {
			t.Errorf("%s: %v, want a StateError of the generation that is served", what, err)
		}
	}
	if !sameTree(before, treeOf(t, r.dir)) {
		t.Fatal("something was changed")
	}
	must(t, os.Remove(filepath.Join(r.dir, "current")))
	must(t, os.Symlink("generations/000001", filepath.Join(r.dir, "current")))
	r.reopen(unpack.Options{})
	r.receive(second.Dirs...)
	if got := readFile(t, filepath.Join(r.dir, "current/apt/debs/new")); got != "what is served" {
		t.Errorf("after the second import of bundle 2: %q", got)
	}
}
