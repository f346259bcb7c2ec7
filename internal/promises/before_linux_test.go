//go:build before

package promises

import (
	"cmp"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// beforeEnv names the commit or the tag of the program of before. beforeCommit is used if it is not set: the
// last one before this test. From the first release on it is the release that froze format 1.
const (
	beforeEnv    = "GAPBUNDLE_BEFORE"
	beforeCommit = "2df681b0bd74640038974e2e9cab77906b29ebfa"
)

// TestProgramOfBefore: each of two programs, this one and one of before, imports what the
// other exports, full bundles and deltas on each other's receipts, and goes on where the other has
// stopped. "task compatible" runs it. It is not part of CI, because it needs the history of the
// repository, which a shallow clone does not have.
func TestProgramOfBefore(t *testing.T) {
	programs := map[string]string{"this": program(), "before": programOf(t, cmp.Or(os.Getenv(beforeEnv), beforeCommit))}
	for _, c := range [][2]string{{"this", "before"}, {"before", "this"}} {
		t.Run(c[0]+" exports, "+c[1]+" imports", func(t *testing.T) { pair(t, programs[c[0]], programs[c[1]]) })
	}
	t.Run("this goes on with all of before", func(t *testing.T) {
		s := newSite(t, map[string]string{"one": "1", "two": noise(2, 1<<20)})
		t.Setenv(programEnv, programs["before"])
		s.mirror("mirror")
		s.ok("import", s.export("usb"), "--to", "mirror")
		t.Setenv(programEnv, programs["this"])
		trip(s, programs["this"], programs["this"], "changed")
	})
}

func pair(t *testing.T, exporter, importer string) {
	s := newSite(t, map[string]string{"one": "1", "two": noise(2, 1<<20)})
	t.Setenv(programEnv, importer)
	s.mirror("mirror")
	t.Setenv(programEnv, exporter)
	bundle := s.export("usb")
	t.Setenv(programEnv, importer)
	s.ok("verify", bundle, "--mirror", "mirror")
	s.ok("import", bundle, "--to", "mirror")
	s.publishes("mirror", "data")
	trip(s, exporter, importer, "first")
	trip(s, exporter, importer, "second")
	s.ok("rollback", "mirror")
	s.ok("gc", "mirror")
	s.ok("check", "mirror", "--data")
}

// trip carries the newest receipt out and a delta in.
func trip(s *site, exporter, importer, what string) {
	s.t.Helper()
	receipts, err := filepath.Glob(s.path("mirror/state/receipts/*.json"))
	s.check(err)
	s.t.Setenv(programEnv, exporter)
	s.ok("receipts", "add", receipts[len(receipts)-1], "--destination", "inside", "--yes")
	s.write("data/"+what, what)
	s.write("data/one", what)
	bundle := s.export("usb", "--destination", "inside")
	if root := s.read(bundle + "/bundle.json"); !strings.Contains(root, `"full":false`) {
		s.t.Errorf("%s is no delta", bundle)
	}
	s.t.Setenv(programEnv, importer)
	s.ok("import", bundle, "--to", "mirror")
	s.publishes("mirror", "data")
	s.ok("check", "mirror", "--data")
}

// programOf builds the program of a commit of this repository.
func programOf(t *testing.T, commit string) string {
	t.Helper()
	dir := t.TempDir()
	archive := exec.Command("sh", "-ec", `git -C "$(git rev-parse --show-toplevel)" archive "$1" | tar -x -C "$2"`, "sh", commit, dir)
	build := exec.Command("go", "build", "-o", "gapbundle", "./cmd/gapbundle")
	build.Dir, build.Env = dir, append(os.Environ(), "CGO_ENABLED=0")
	for _, cmd := range []*exec.Cmd{archive, build} {
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("the program of %s: %v\n%s", commit, err, out)
		}
	}
	return filepath.Join(dir, "gapbundle")
}
