//go:build clients

package rpm

import (
	"maps"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/test/webtest"
)

// TestEntriesAreWhatDNFLists: the contents lists have the packages and versions that dnf
// repoquery prints of the same repositories, whole and chosen.
func TestEntriesAreWhatDNFLists(t *testing.T) {
	for name, test := range map[string]struct {
		spec  func(w *world) string
		repos []string
	}{
		"whole":  {(*world).full, []string{"flat", "nested", "xz", "zstd"}},
		"chosen": {(*world).part, []string{"some", "some-nested", "some-flat"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.fill()
			w.publish("set", test.spec(w))
			base := webtest.Start(t, webtest.Serve, w.mirror).URL
			for _, repo := range test.repos {
				d := w.newDNF(base, repo)
				listed := map[string]bool{}
				for _, line := range strings.Split(d.must("repoquery", "-q", "--setopt=*.module_hotfixes=1", "--qf", "entry %{name} %{evr} %{arch}\n"), "\n") {
					if text, ok := strings.CutPrefix(line, "entry "); ok {
						listed[text] = true
					}
				}
				if got := w.entries(repo); len(listed) == 0 || !maps.Equal(got, listed) {
					t.Errorf("%s: the contents list has\n%v\ndnf repoquery prints\n%v", repo, got, listed)
				}
			}
		})
	}
}

// entries returns name, version and architecture of what a source has by name.
func (w *world) entries(source string) map[string]bool {
	w.t.Helper()
	all := map[string]bool{}
	w.Entries(func(repo string, e bundle.Entry) {
		if repo == source && e.Type == bundle.TypeRPM {
			all[e.Name+" "+e.Version+" "+e.Arch] = true
		}
	})
	return all
}
