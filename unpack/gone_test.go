package unpack_test

import (
	"errors"
	"os"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/test/bundletest"
	"github.com/gapbundle/gapbundle/unpack"
)

// pulling is a Progress that pulls the disk out when a volume is begun.
type pulling struct {
	bundle.Progress
	at   int // the volume
	pull func()
}

func (p *pulling) Item(string) {
	if p.at--; p.at == 0 {
		p.pull()
	}
}

// TestMirrorGone: the disk of a mirror that goes away before or during an import leaves the
// folder it was mounted at. Nothing is written there, the import does not say that it
// published, and it goes on when the disk is back. A folder that is moved stands in for it.
func TestMirrorGone(t *testing.T) {
	for _, stays := range []bool{true, false} {
		for at := range 4 {
			e := bundletest.New(t, "site")
			r := newRig(t, e)
			files := map[string]string{"a": noise("a", 2<<20), "b": noise("b", 1<<20)}
			made := e.Export(t, []bundletest.Repository{apt(files)}, bundletest.Options{})
			away := r.dir + "-pulled-out"
			pull := func() {
				if err := os.Rename(r.dir, away); err != nil {
					t.Fatal(err)
				}
				if stays {
					if err := os.Mkdir(r.dir, 0o755); err != nil {
						t.Fatal(err)
					}
				}
			}
			r.reopen(unpack.Options{Progress: &pulling{bundle.NoProgress, at, pull}})
			if at == 0 {
				pull()
			}
			res, err := r.Receive(t.Context(), made.Dirs, unpack.ImportOptions{})
			var gone *unpack.GoneError
			if !errors.As(err, &gone) || gone.Dir != r.dir || !errors.Is(err, bundle.ErrIncomplete) {
				t.Fatalf("at %d: %v, want a GoneError", at, err)
			}
			if res != nil && res.Generation > 0 {
				t.Errorf("at %d: published generation %d", at, res.Generation)
			}
			if left, err := os.ReadDir(r.dir); stays != (err == nil) || len(left) > 0 {
				t.Errorf("at %d: written in its place: %v %v", at, left, err)
			}
			if err := errors.Join(os.RemoveAll(r.dir), os.Rename(away, r.dir)); err != nil {
				t.Fatal(err)
			}
			r.reopen(unpack.Options{})
			r.receive(made.Dirs...)
			r.expect(map[string]string{"apt/debs/a": files["a"], "apt/debs/b": files["b"]})
			r.intact()
		}
	}
}
