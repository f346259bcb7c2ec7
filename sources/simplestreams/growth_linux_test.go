package simplestreams

import (
	"fmt"
	"testing"

	"github.com/gapbundle/gapbundle/sources/sourcetest"
)

func BenchmarkGrowth(b *testing.B) {
	sourcetest.Growth(b, 600, 0, func(w *sourcetest.World, n int) string {
		m := newMirror(b, w.Dir)
		for i := range n {
			m.image(fmt.Sprintf("release%05d", i), fmt.Sprintf("%d.04", 100+i), "amd64", "ga", "20261101")
		}
		m.publish()
		return m.spec()
	})
}
