//go:build clients

package rpm

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/gapbundle/gapbundle/internal/test/webtest"
)

// TestDNFFromFolder: a folder of the exporting machine, such as a DVD that is mounted, is
// carried whole and in part, from the spec and from a .repo file. Its metadata has no
// signature, as on the DVDs of Rocky and RHEL.
func TestDNFFromFolder(t *testing.T) {
	w := newWorld(t)
	w.put("BaseOS", "signed/os")
	w.createrepo("BaseOS", false)
	dvd := filepath.Join(w.www, "BaseOS")
	w.Write(filepath.Join(w.dir, "dvd.repo"), []byte("[dvd]\nname=DVD\nbaseurl=file://"+dvd+"\ngpgcheck=1\n"))
	w.publish("whole", "- name: dvd\n  kind: rpm\n  repofile: dvd.repo\n  gpgkey: upstream.asc\n")
	w.publish("part", fmt.Sprintf("- name: chosen\n  kind: rpm\n  baseurl: file://%s/\n  gpgkey: upstream.asc\n  architectures: x86_64\n  packages: hello\n", dvd))
	base := webtest.Start(t, webtest.Serve, w.mirror).URL
	for _, name := range []string{"dvd", "chosen"} {
		if got := w.newDNF(base, name).download("--setopt=install_weak_deps=False", "hello"); got != helloAndDependencies {
			t.Errorf("%s: downloaded %s", name, got)
		}
	}
}
