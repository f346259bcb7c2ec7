package git

import (
	"fmt"
	"testing"

	"github.com/gapbundle/gapbundle/internal/test/gittest"
	"github.com/gapbundle/gapbundle/sources/sourcetest"
)

func BenchmarkGrowth(b *testing.B) {
	sourcetest.Growth(b, 500, 0, func(_ *sourcetest.World, n int) string {
		up, host := gittest.New(b), gittest.NewHost(b, true)
		up.Grow(n)
		host.Publish("a", up)
		return fmt.Sprintf("- name: code\n  kind: git\n  url: %q\n", host.URL("a"))
	})
}
