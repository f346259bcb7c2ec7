//go:build clients

package apt

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/gapbundle/gapbundle/internal/test/webtest"
)

// TestAptFromFolder: a folder of the exporting machine, such as a DVD that is mounted, is
// carried whole and in part, by the entry that apt itself takes.
func TestAptFromFolder(t *testing.T) {
	w := newWorld(t)
	w.fill()
	dvd := filepath.Join(w.www, "os")
	w.publish("whole", fmt.Sprintf("- name: dvd\n  kind: apt\n  line: deb [arch=amd64] file:%s stable main contrib\n  keyring: upstream.asc\n", dvd))
	w.publish("part", fmt.Sprintf("- name: chosen\n  kind: apt\n  url: file://%s\n  suites: stable\n  architectures: amd64\n  keyring: upstream.asc\n  packages: hello\n", dvd))
	base := webtest.Start(t, webtest.Serve, w.mirror).URL
	for _, name := range []string{"dvd", "chosen"} {
		a := w.newApt(base, "amd64", name)
		a.update()
		a.must("apt-get", "install", "--download-only", "--yes", "hello")
		if got := a.downloaded(); got != helloAndDependencies {
			t.Errorf("%s: downloaded %s", name, got)
		}
	}
}
