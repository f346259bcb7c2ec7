package oci

import (
	"fmt"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/sources/sourcetest"
)

func BenchmarkGrowth(b *testing.B) {
	sourcetest.Growth(b, 400, 0, func(to *sourcetest.World, n int) string {
		w := newWorld(b, to.Dir)
		var images []string
		for i := range n {
			name := fmt.Sprintf("team/app-%05d", i)
			w.tagged(name, w.image(name, "amd64", "base", fmt.Sprint("layer", i)), "v1")
			images = append(images, "HOST/"+name+":v1")
		}
		return w.spec("images", `images: ["`+strings.Join(images, `", "`)+`"]`)
	})
}
