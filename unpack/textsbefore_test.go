package unpack_test

import (
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/unpack"
	"github.com/gapbundle/gapbundle/unpack/tree"
)

// rigOfBefore returns a mirror that an earlier program wrote, and the folder that it is in, where
// the bundles for it are.
func rigOfBefore(t *testing.T, name string) (dir string, r *rig) {
	t.Helper()
	dir = t.TempDir()
	if out, err := exec.Command("tar", "-xzf", "testdata/"+name+".tar.gz", "-C", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	r = &rig{t: t, dir: filepath.Join(dir, "mirror"), clock: &clock{time.Date(2026, 12, 1, 8, 0, 0, 0, time.UTC)}}
	r.reopen(unpack.Options{})
	return dir, r
}

// TestTextsOfAMirrorOfBefore: testdata/texts-before.tar.gz has a mirror that was written
// before texts had to be plain and .htaccess was refused. What beta has of both goes on,
// is listed, and is refused when it comes again; alpha and a corrected beta go on.
func TestTextsOfAMirrorOfBefore(t *testing.T) {
	dir, r := rigOfBefore(t, "texts-before")
	r.intact()
	before := r.served()
	listed := func() string {
		t.Helper()
		st, err := r.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(st.Sets) != 2 || len(st.Sets[0].Outside) > 0 {
			t.Errorf("alpha: %+v", st.Sets)
		}
		var all []string
		for _, o := range st.Sets[1].Outside {
			all = append(all, o.Path+": "+o.Problem)
		}
		return strings.Join(slices.Sorted(slices.Values(all)), "\n")
	}
	of := func(all string) {
		t.Helper()
		for _, want := range []string{`hand\u202emade`, "U+2028", `"about"`, "files/beta.example/.htaccess: ", "files/beta.example/tool: ", "U+200F"} {
			if !strings.Contains(all, want) {
				t.Errorf("status does not list %s:\n%s", want, all)
			}
		}
		if err := bundle.CheckText(strings.ReplaceAll(all, "\n", "")); err != nil {
			t.Error(err)
		}
	}
	of(listed())
	r.refused(bundle.ErrMalformed, unpack.ImportOptions{}, filepath.Join(dir, "again"))
	if now := r.served(); len(now) != len(before) || now["files/beta.example/.htaccess"] != before["files/beta.example/.htaccess"] {
		t.Error("something else is served")
	}
	r.receive(filepath.Join(dir, "alpha"))
	r.intact()
	of(listed())
	if _, err := r.SetBaseURL(t.Context(), "http://mirror.lan"); err != nil {
		t.Fatal(err)
	}
	r.receive(filepath.Join(dir, "good"))
	r.intact()
	if all := listed(); all != "" {
		t.Errorf("after the corrected bundle: %s", all)
	}
	if _, err := r.Rollback(t.Context(), unpack.RollbackOptions{}); err != nil {
		t.Fatal(err)
	}
	r.intact()
	if _, err := r.GC(t.Context(), tree.GCOptions{Keep: 3}); err != nil {
		t.Fatal(err)
	}
	of(listed())
}
