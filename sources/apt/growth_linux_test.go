package apt

import (
	"fmt"
	"testing"

	"github.com/gapbundle/gapbundle/sources/sourcetest"
)

func BenchmarkGrowth(b *testing.B) {
	sourcetest.Growth(b, 2000, 0, func(w *sourcetest.World, n int) string {
		a := newArchive(b, w.Dir)
		var stanzas []string
		for i := range n {
			stanzas = append(stanzas, pkg(fmt.Sprintf("package-%06d", i), "1.2.3-4", "amd64", fmt.Sprintf("Depends: package-%06d", i/2)))
		}
		a.packages = map[string][]string{"main amd64": stanzas}
		a.publish()
		return a.spec("mode: verbatim")
	})
}
