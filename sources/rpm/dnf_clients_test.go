//go:build clients

package rpm

import (
	"fmt"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/internal/webtest"
)

const helloAndDependencies = "data-2.10-1.noarch hello-2.10-1.x86_64 libhello-2.10-1.x86_64"

func TestDNFVerbatim(t *testing.T) {
	w := newWorld(t)
	w.put("os/Packages", "signed/os")
	w.createrepo("os", true)
	w.publish("full", fmt.Sprintf("- name: os\n  kind: rpm\n  baseurl: %s/os\n  gpgkey: upstream.asc\n", w.url))
	s := startServe(t, w.mirror)
	d := w.newDNF(s, "os")
	out := d.must("makecache")
	t.Log(out)
	if got := d.download("--setopt=install_weak_deps=0", "hello"); got != helloAndDependencies {
		t.Errorf("downloaded %s", got)
	}
	if strings.Contains(out, "rror") {
		t.Error(out)
	}
}

func startServe(t *testing.T, dir string) string {
	t.Helper()
	return webtest.Start(t, webtest.Serve, dir).URL
}
