package pypi

import (
	"fmt"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/internal/test/upstreamtest"
	"github.com/gapbundle/gapbundle/sources/pypi/piptest"
	"github.com/gapbundle/gapbundle/sources/sourcetest"
)

func BenchmarkGrowth(b *testing.B) {
	sourcetest.Growth(b, 100, 0, func(_ *sourcetest.World, n int) string {
		x := &piptest.Index{Server: upstreamtest.New(b), Projects: map[string][]*piptest.File{}}
		var names []string
		for i := range n {
			name := fmt.Sprintf("p%05d", i)
			x.Projects[name] = []*piptest.File{piptest.Wheel{Name: name, Version: "1.0"}.Build(b)}
			names = append(names, name)
		}
		x.Put()
		return "- name: python\n  kind: pypi\n  index: " + x.URL() + "\n  packages: [" + strings.Join(names, ", ") +
			"]\n  targets: [{python: \"3.12\", platform: manylinux_2_28_x86_64}]\n"
	})
}
