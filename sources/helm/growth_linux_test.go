package helm

import (
	"testing"

	"github.com/gapbundle/gapbundle/sources/sourcetest"
)

func BenchmarkGrowth(b *testing.B) {
	sourcetest.Growth(b, 40, 0, func(to *sourcetest.World, n int) string {
		w, options := many(b, to.Dir, n)
		return w.spec(append(options[:len(options)-1], "images: {mode: none}")...)
	})
}
