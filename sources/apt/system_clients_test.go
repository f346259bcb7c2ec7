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
	const required = systemtest.Essential + "\nPre-Depends: libc6 (>= 2), libnew"
	for repo, packages := range map[string][]systemtest.Package{
		"os": append(s.Minimal("1"), []systemtest.Package{
			{"debconf", "1", "important", "", nil},
			{"manual", "1", "standard", "Depends: pager", nil},
			{"pager", "1", "optional", "", nil},
			{"hello", "1", "optional", "Depends: libc6 (>= 1)", nil},
			{"unwanted", "1", "optional", "", nil},
		}...),
		"updates": {
			{"hello", "2", "optional", "Depends: libhello", nil},
			{"libhello", "2", "optional", "Depends: libc6 (>= 2)", nil},
		},
		"security": {
			{"libc6", "2", "optional", "", s.LibC},
			{"dpkg", "2", "required", required, s.Packager},
			{"libnew", "2", "optional", "", nil},
			{"apt", "2", "required", "Depends: libapt-pkg (= 2), gpgv | gpgv2", s.Fetcher},
			{"libapt-pkg", "2", "optional", "", s.LibAPT},
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
