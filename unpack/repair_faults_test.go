//go:build faults

package unpack_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/gapbundle/gapbundle/internal/test/bundletest"
	"github.com/gapbundle/gapbundle/internal/test/faulttest"
	"github.com/gapbundle/gapbundle/unpack"
)

// P34: whatever call of a repair fails, or is the last, what is served is for each name what
// was served before or what is right, and the same command then completes.
func TestRepairSurvivesFaults(t *testing.T) {
	faulttest.InMemory(t)
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
	faulttest.InMemory(t)
	r := newIll(t)
	overwrite(t, r.blobOf("same content"))
	overwrite(t, r.blobOf("two"))
	made := r.e.Export(t, illRepositories(), bundletest.Options{Full: true})
	b := &bench{dir: r.dir, at: r.clock.t, each: true}
	b.torture(t, append([]string{"import"}, made.Dirs...)...)
}

// The same of state rebuild: whatever call fails, or is the last, what is served stays, and
// the same command then restores everything.
func TestRebuildSurvivesFaults(t *testing.T) {
	faulttest.InMemory(t)
	r := newIll(t)
	was := r.ratchet()
	for _, name := range []string{"sets/site.json", "mirror.json", "trust.json", "receipt.key", "journal.jsonl", "generations/000001.json"} {
		must(t, os.Remove(filepath.Join(r.dir, "state", name)))
	}
	b := &bench{dir: r.dir, at: r.clock.t, restored: func(t *testing.T) {
		m, err := unpack.Open(r.dir, unpack.Options{})
		must(t, err)
		defer m.Close()
		if err := unpack.Audit(m); err != nil {
			t.Error(err)
		}
		if got := r.ratchet(); !sameJSON(t, got, was) {
			t.Errorf("restored %+v\nwas %+v", got, was)
		}
	}}
	b.torture(t, "rebuild")
}

// The same where the record of what is served is lost with its copy, as in a mirror that an
// earlier program wrote: it is published again.
func TestRebuildOfWhatIsServedSurvivesFaults(t *testing.T) {
	faulttest.InMemory(t)
	r := newIll(t)
	for _, name := range []string{"generations/000002.json", "generations/000002.copy"} {
		must(t, os.Remove(filepath.Join(r.dir, "state", name)))
	}
	b := &bench{dir: r.dir, at: r.clock.t, restored: func(t *testing.T) {
		m, err := unpack.Open(r.dir, unpack.Options{})
		must(t, err)
		defer m.Close()
		if err := unpack.Audit(m); err != nil {
			t.Error(err)
		}
	}}
	b.torture(t, "rebuild")
}
