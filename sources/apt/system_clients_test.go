//go:build clients

package apt

import (
	"path/filepath"
	"strings"

	"github.com/gapbundle/gapbundle/internal/test/systemtest"
)

// systemOf makes an upstream of three suites, as Debian has them, of which a system is really set
// up: its packages have the programs of this machine. What the newest of them depend on is in the
// suite of security updates alone.
func (w *world) systemOf(arch string) {
	w.t.Helper()
	s := systemtest.Of(w.t)
	packaged := func(name, version, priority, fields string, files []string) systemtest.Package {
		return systemtest.Package{Name: name, Version: version, Priority: priority, Fields: fields, Files: files}
	}
	const required = systemtest.Essential + "\nPre-Depends: libc6 (>= 2), libnew"
	for repo, packages := range map[string][]systemtest.Package{
		"os": append(s.Minimal("1"), []systemtest.Package{
			packaged("debconf", "1", "important", "", nil),
			packaged("manual", "1", "standard", "Depends: pager", nil),
			packaged("pager", "1", "optional", "", nil),
			packaged("hello", "1", "optional", "Depends: libc6 (>= 1)", nil),
			packaged("unwanted", "1", "optional", "", nil),
		}...),
		"updates": {
			packaged("hello", "2", "optional", "Depends: libhello", nil),
			packaged("libhello", "2", "optional", "Depends: libc6 (>= 2)", nil),
		},
		"security": {
			packaged("libc6", "2", "optional", "", s.LibC),
			packaged("dpkg", "2", "required", required, s.Packager),
			packaged("libnew", "2", "optional", "", nil),
			packaged("apt", "2", "required", "Depends: libapt-pkg (= 2), gpgv | gpgv2", s.Fetcher),
			packaged("libapt-pkg", "2", "optional", "", s.LibAPT),
		},
	} {
		for _, p := range packages {
			p.Build(w.t, filepath.Join(w.www, repo, "pool/main", p.Name), arch)
		}
	}
	for _, s := range []string{"os bookworm", "updates bookworm-updates", "security bookworm-security"} {
		repo, suite, _ := strings.Cut(s, " ")
		w.suite(repo, suite, []string{"main"}, []string{arch})
	}
}
