//go:build clients

package pypi

import (
	"path/filepath"
	"testing"

	"github.com/gapbundle/gapbundle/internal/test/plantest"
	"github.com/gapbundle/gapbundle/sources/pypi/piptest"
)

// askPip has the real pip download the project lib of indexes.
func askPip(t *testing.T, documents map[string]malformedPage) map[string]plantest.Answer {
	target := targetsOf(t, targetEntry{Python: "3.12", Platform: []string{"manylinux_2_28_x86_64"}})[0]
	m := piptest.Machine{Python: target.Python, Environment: target.Env.Values, Platforms: target.Platforms()}
	var jobs []piptest.Job
	var names, folders []string
	for name, document := range documents {
		names, folders = append(names, name), append(folders, t.TempDir())
		jobs = append(jobs, piptest.Download(m, folders[len(folders)-1], malformedIndex(t, document), "lib", "--retries", "0"))
	}
	answers := map[string]plantest.Answer{}
	for i, o := range piptest.Ask(t, piptest.NewestPip, jobs) {
		found, err := filepath.Glob(filepath.Join(folders[i], "lib-1.0-*.whl"))
		if err != nil {
			t.Fatal(err)
		}
		answers[names[i]] = plantest.Answer{Reads: o.Code == 0 && len(found) == 1, Said: o.Output}
	}
	return answers
}

// TestPipOfMalformed asks the real pip about each row, and about what is published of those
// that are carried.
func TestPipOfMalformed(t *testing.T) {
	malformed().Client(t, askPip)
	malformed().Published(t, askPip, func(t *testing.T, m malformedPage) malformedPage {
		laid, err := laidMalformed(t, m)
		if err != nil {
			t.Fatal(err)
		}
		return laid
	})
}
