//go:build clients

package rpm

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/internal/test/webtest"
)

// nextSpecs returns newer packages than those of specFiles: one takes the place of
// another, one is needed newly, one is recommended newly.
func nextSpecs() map[string]string {
	return map[string]string{
		"os-next": one("hello", "3.0", "Requires: libhello >= 3, /usr/bin/newdata\nRecommends: more",
			"libhello\nProvides: libhello.so", "newdata\nBuildArch: noarch\nObsoletes: data < 3\nProvides: data = 3", "more", "other"),
		"tool-next": one("tool", "4", "Requires: hello, anew", "anew"),
	}
}

// installed returns the packages in the root, sorted.
func (d *dnf) installed() string {
	d.w.t.Helper()
	all := strings.Fields(string(d.w.run(d.root, "rpm", "--root", d.root, "--dbpath", clientHome+"/.rpmdb", "-qa", "--qf", "%{NEVRA} ")))
	slices.Sort(all)
	return strings.Join(slices.DeleteFunc(all, func(s string) bool { return strings.HasPrefix(s, "gpg-pubkey") }), " ")
}

// copied returns a client with what is installed in another one, and the
// repositories of a third.
func (d *dnf) copied(repositories *dnf) *dnf {
	w := d.w
	w.t.Helper()
	c := &dnf{w: w, root: filepath.Join(w.t.TempDir(), "root")}
	w.Check(os.CopyFS(c.root, os.DirFS(d.root)))
	w.Check(os.RemoveAll(filepath.Join(c.root, "cache")))
	c.configure(filepath.Join(repositories.root, "etc/yum.repos.d"))
	return c
}

// TestDNFUpgrade: a machine that was installed from the mirror's first state, or
// only has older packages than that, does over the mirror of a delta what it does
// over upstream itself.
func TestDNFUpgrade(t *testing.T) {
	for mode, more := range map[string]string{"verbatim": "", "rebuilt": "  architectures: [x86_64]\n  recommends: true\n  packages: [hello, tool]\n"} {
		t.Run(mode, func(t *testing.T) {
			w := newWorld(t)
			spec := fmt.Sprintf("- name: os\n  kind: rpm\n  baseurl: %s/os\n  gpgkey: upstream.asc\n%s", w.url, more)
			w.put("os/Packages", "signed/os")
			w.put("os/Packages", "signed/tool")
			w.createrepo("os", true)
			w.publish("set", spec)
			base := webtest.Start(t, webtest.Serve, w.mirror).URL
			part, whole := w.newDNF(base, "os"), w.upstreamDNF("os")
			part.must("install", "hello", "tool")
			if got := part.installed(); got != "data-2.10-1.noarch extra-2.10-1.x86_64 hello-2.10-1.x86_64 libhello-2.10-1.x86_64 tool-3^git1-1.x86_64" {
				t.Fatalf("installed %s", got)
			}
			bare := w.newDNF(base, "os")
			bare.must("install", "--setopt=install_weak_deps=0", "hello")

			w.put("os/Packages", "signed/os-new") // a state that the mirror never has
			w.put("os/Packages", "signed/os-next")
			w.put("os/Packages", "signed/tool-next")
			w.createrepo("os", true)
			if made := w.publish("set", spec); made.Full || made.Base == 0 {
				t.Errorf("no delta: %+v", made)
			}
			for _, test := range []struct {
				from *dnf
				args string
				want string
			}{
				{part, "upgrade --best", "anew-4-1.x86_64 extra-2.10-1.x86_64 hello-3.0-1.x86_64 libhello-3.0-1.x86_64 more-3.0-1.x86_64 newdata-3.0-1.noarch tool-4-1.x86_64"},
				{part, "upgrade --nobest --setopt=install_weak_deps=0", "anew-4-1.x86_64 extra-2.10-1.x86_64 hello-3.0-1.x86_64 libhello-3.0-1.x86_64 newdata-3.0-1.noarch tool-4-1.x86_64"},
				{part, "install --best hello", "extra-2.10-1.x86_64 hello-3.0-1.x86_64 libhello-3.0-1.x86_64 more-3.0-1.x86_64 newdata-3.0-1.noarch tool-3^git1-1.x86_64"},
				{bare, "upgrade --nobest", "hello-3.0-1.x86_64 libhello-3.0-1.x86_64 more-3.0-1.x86_64 newdata-3.0-1.noarch"},
				{bare, "install --best --setopt=install_weak_deps=0 tool", "anew-4-1.x86_64 data-2.10-1.noarch hello-2.10-1.x86_64 libhello-2.10-1.x86_64 tool-4-1.x86_64"},
				{bare, "install --nobest --setopt=install_weak_deps=0 tool", "anew-4-1.x86_64 data-2.10-1.noarch hello-2.10-1.x86_64 libhello-2.10-1.x86_64 tool-4-1.x86_64"},
			} {
				got := map[*dnf]string{}
				for _, over := range []*dnf{whole, part} {
					c := test.from.copied(over)
					c.must(append([]string{"--refresh"}, strings.Fields(test.args)...)...)
					got[over] = c.installed()
				}
				if got[part] != got[whole] || got[part] != test.want {
					t.Errorf("%s: installed\n%s, over upstream\n%s, want\n%s", test.args, got[part], got[whole], test.want)
				}
			}
		})
	}
}
