//go:build clients

package apt

import (
	"maps"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/test/webtest"
	"github.com/gapbundle/gapbundle/sources/apt/deb"
)

// entries returns name and version of what the mirror has by name for a client.
func (w *world) entries(arch string) map[string]bool {
	w.t.Helper()
	all := map[string]bool{}
	w.Entries(func(_ string, e bundle.Entry) {
		if e.Type == bundle.TypeDeb && (e.Arch == arch || e.Arch == "all") {
			all[e.Name+" "+e.Version] = true
		}
	})
	return all
}

// TestEntriesAreWhatAptLists: the contents lists have the packages and versions that
// apt-cache dumpavail prints of the same repositories, whole and chosen.
func TestEntriesAreWhatAptLists(t *testing.T) {
	for name, test := range map[string]struct {
		spec    func(w *world) string
		clients []string
	}{
		"whole":  {(*world).specFull, []string{"full-amd64", "flat", "vendor"}},
		"chosen": {func(w *world) string { return w.specPartial("") }, []string{"partial", "tools"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.fill()
			w.publish("set", test.spec(w))
			a := w.newApt(webtest.Start(t, webtest.Serve, w.mirror).URL, "amd64", test.clients...)
			a.update()
			listed := map[string]bool{}
			for p, err := range deb.Packages(strings.NewReader(a.must("apt-cache", "dumpavail")), deb.Limits{}) {
				w.Check(err)
				listed[p.Name+" "+p.Version] = true
			}
			if got := w.entries("amd64"); len(listed) == 0 || !maps.Equal(got, listed) {
				t.Errorf("the contents lists have\n%v\napt-cache dumpavail prints\n%v", got, listed)
			}
		})
	}
}
