package galaxy

import (
	"fmt"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/sources/galaxy/galaxytest"
	"github.com/gapbundle/gapbundle/sources/sourcetest"
)

func BenchmarkGrowth(b *testing.B) {
	sourcetest.Growth(b, 190, 200, func(w *sourcetest.World, n int) string {
		server := galaxytest.New(b)
		var list strings.Builder
		list.WriteString("collections:\n")
		for i := range n {
			server.Add(&galaxytest.Collection{Namespace: "acme", Name: fmt.Sprintf("c%05d", i), Version: "1.0.0"})
			fmt.Fprintf(&list, "- acme.c%05d\n", i)
		}
		w.Write(w.Dir+"/requirements.yml", []byte(list.String()))
		return "- name: galaxy\n  kind: galaxy\n  server: " + server.Root() + "\n  requirements: requirements.yml\n"
	})
}
