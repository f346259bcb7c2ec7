//go:build clients

package apt

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/internal/test/webtest"
)

// TestAptTakesSHA512Alone: apt uses a repository whose Release, Packages and Sources have no
// other checksum that it takes, from the mirror of the whole and of a part.
func TestAptTakesSHA512Alone(t *testing.T) {
	w := newWorld(t)
	w.deb("os", "", "hello", "1", "amd64")
	w.source("os", "", "hello", "1")
	root := filepath.Join(w.www, "os")
	only := []string{"-o", "APT::FTPArchive::MD5=false", "-o", "APT::FTPArchive::SHA1=false", "-o", "APT::FTPArchive::SHA256=false"}
	w.index(filepath.Join(root, "Packages"), w.run(root, "apt-ftparchive", append(only, "packages", ".")...), "gz")
	// The field Files has MD5 and names the parts: every Sources file has it.
	w.index(filepath.Join(root, "Sources"), w.run(root, "apt-ftparchive", append(only[2:], "sources", ".")...), "gz")
	w.sign(root, only...)
	text, err := os.ReadFile(filepath.Join(root, "InRelease"))
	w.Check(err)
	if !strings.Contains(string(text), "\nSHA512:\n") || strings.Contains(string(text), "\nSHA256:\n") {
		t.Fatalf("upstream's Release is\n%s", text)
	}
	for set, more := range map[string]string{"whole": "", "part": "  packages: [hello]\n"} {
		w.publish(set, fmt.Sprintf("- name: %s-os\n  kind: apt\n  url: %s/os\n  suites: /\n  architectures: amd64\n  sources: true\n  keyring: upstream.asc\n%s", set, w.url, more))
	}
	base := webtest.Start(t, webtest.Serve, w.mirror).URL
	for _, name := range []string{"whole-os", "part-os"} {
		a := w.newApt(base, "amd64", name)
		a.update()
		a.must("apt-get", "install", "--download-only", "--yes", "hello")
		if got := a.downloaded(); got != "hello_1_amd64.deb" {
			t.Errorf("%s: downloaded %s", name, got)
		}
		a.must("apt-get", "source", "--download-only", "hello")
	}
}
