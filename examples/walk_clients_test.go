//go:build clients

package examples

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestWalk runs the newcomer's walk as a newcomer does. The script looks at what each command did and at
// what the clients have installed, and ends at the first thing that is not so.
func TestWalk(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	t.Setenv("GAPBUNDLE_TO", "nowhere") // a person's own settings must not reach the walk
	out, err := exec.Command("bash", "walk/walk.sh").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{
		"$ go install ./cmd/gapbundle", "--to ../stick-1 --to ../stick-2", "# exit 5", "# exit 3", "libgreeting/version has 1.1", "libsalute/version has 1.1",
		"apt finds libgreeting 1.0 again", "\nDone\n",
	} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the walk does not show %q", want)
		}
	}
	if t.Failed() {
		t.Logf("%s", out)
	}
	left, err := filepath.Glob(filepath.Join(tmp, "gapbundle-walk-*"))
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
	if _, err := os.Stat(filepath.Join(tmp, "nowhere")); err == nil {
		t.Error("a person's setting reached the walk")
	}
}
