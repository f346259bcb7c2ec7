//go:build clients

package helm

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/gapbundle/gapbundle/internal/test/plantest"
)

// askHelm has the real helm pull the chart app of repositories.
func askHelm(t *testing.T, documents map[string]malformedIndex) map[string]plantest.Answer {
	answers := map[string]plantest.Answer{}
	for name, m := range documents {
		w := malformedWorld(t, m)
		home := t.TempDir()
		cmd := exec.CommandContext(t.Context(), "helm", "pull", "app", "--repo", w.url(""), "--version", "1.0.0", "--destination", home)
		cmd.Env = []string{"HOME=" + home, "PATH=" + os.Getenv("PATH"), "NO_PROXY=*"}
		out, err := cmd.CombinedOutput()
		if cmd.ProcessState == nil {
			t.Fatalf("helm: %v; .ci/tools installs it", err)
		}
		_, missing := os.Stat(filepath.Join(home, "app-1.0.0.tgz"))
		answers[name] = plantest.Answer{Reads: err == nil && missing == nil, Said: string(out)}
	}
	return answers
}

// TestHelmOfMalformed asks the real helm about each row, and about what is published of those
// that are carried.
func TestHelmOfMalformed(t *testing.T) {
	malformed().Client(t, askHelm)
	malformed().Published(t, askHelm, func(t *testing.T, m malformedIndex) malformedIndex {
		laid, err := laidMalformed(t, m)
		if err != nil {
			t.Fatal(err)
		}
		return laid
	})
}
