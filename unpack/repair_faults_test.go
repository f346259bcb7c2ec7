//go:build faults

package unpack_test

import (
	"os"
	"testing"

	"github.com/gapbundle/gapbundle/internal/test/bundletest"
)

// P34: whatever call of a repair fails, or is the last, what is served is for each name what
// was served before or what is right, and the same command then completes.
func TestRepairSurvivesFaults(t *testing.T) {
	r := newIll(t)
	overwrite(t, r.blobOf("same content"))
	overwrite(t, r.blobOf(noise("long", 3<<20)))
	overwrite(t, r.blobOf("two"))
	must(t, os.Remove(r.blobOf("c")))
	b := &bench{dir: r.dir, at: r.clock.t, each: true}
	b.torture(t, "repair", r.full, r.next)
}

// The same of an import that finds damaged blobs in the store.
func TestHealingImportSurvivesFaults(t *testing.T) {
	r := newIll(t)
	overwrite(t, r.blobOf("same content"))
	overwrite(t, r.blobOf("two"))
	made := r.e.Export(t, illRepositories(), bundletest.Options{Full: true})
	b := &bench{dir: r.dir, at: r.clock.t, each: true}
	b.torture(t, append([]string{"import"}, made.Dirs...)...)
}
