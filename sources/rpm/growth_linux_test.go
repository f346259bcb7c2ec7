package rpm

import (
	"fmt"
	"testing"

	"github.com/gapbundle/gapbundle/sources/rpm/rpmtest"
	"github.com/gapbundle/gapbundle/sources/sourcetest"
)

func BenchmarkGrowth(b *testing.B) {
	sourcetest.Growth(b, 100, 0, func(w *sourcetest.World, n int) string {
		a := newArchive(b, w.Dir)
		a.Packages = []*rpmtest.Package{}
		for i := range n {
			a.Packages = append(a.Packages, a.pkg(fmt.Sprintf("package-%06d", i), "1.0", "x86_64", fmt.Sprintf("package-%06d", i/2)))
		}
		a.publish()
		return a.spec("mode: verbatim")
	})
}
