//go:build clients

package rpm

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/internal/test/prepared"
	"github.com/gapbundle/gapbundle/internal/test/webtest"
)

// TestZypper: the real zypper needs no more than the address of a repository, whole or in
// part: the key of repomd.xml's signature is next to it.
func TestZypper(t *testing.T) {
	w := newWorld(t)
	w.put("os/Packages", "signed/os")
	w.createrepo("os", true)
	w.publish("whole", fmt.Sprintf("- name: os\n  kind: rpm\n  baseurl: %s/os\n  gpgkey: upstream.asc\n", w.url))
	w.publish("part", fmt.Sprintf("- name: some\n  kind: rpm\n  baseurl: %s/os\n  gpgkey: upstream.asc\n  architectures: [x86_64]\n  packages: [hello]\n", w.url))
	base := webtest.Start(t, webtest.Serve, w.mirror).URL
	program := prepared.Zypper(t)
	for _, name := range []string{"os", "some"} {
		root := t.TempDir()
		zypper := func(args ...string) (string, error) {
			cmd := exec.CommandContext(t.Context(), program, append([]string{"--non-interactive", "--root", root}, args...)...)
			cmd.Env = append(cmd.Environ(), "LC_ALL=C", "HOME="+root)
			out, err := cmd.CombinedOutput()
			if cmd.ProcessState == nil {
				t.Fatalf("zypper: %v; .ci/clients installs it", err)
			}
			return string(out), err
		}
		if out, err := zypper("addrepo", base+"/rpm/"+name, name); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if out, err := zypper("refresh"); err == nil || !strings.Contains(out, "Do you want to reject the key") {
			t.Errorf("%s: without the key: %v\n%s", name, err, out)
		}
		if out, err := zypper("--gpg-auto-import-keys", "refresh"); err != nil {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
		if out, err := zypper("search", "-s", "hello"); err != nil || !strings.Contains(out, "| 2.10-1 ") || !strings.Contains(out, "| x86_64 | "+name) {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
		// (r): the metadata were checked by their signature.
		if out, err := zypper("repos"); err != nil || !strings.Contains(out, "(r ) Yes") {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}
