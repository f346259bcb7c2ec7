package files

import (
	"fmt"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/sources/sourcetest"
)

func BenchmarkGrowth(b *testing.B) {
	b.Run("folder", func(b *testing.B) {
		sourcetest.Growth(b, 3000, 0, func(w *sourcetest.World, n int) string {
			fill(w, n)
			return "- {name: pool, kind: files, dir: " + w.WWW + "}\n"
		})
	})
	b.Run("list", func(b *testing.B) {
		sourcetest.Growth(b, 1000, 0, func(w *sourcetest.World, n int) string {
			var list strings.Builder
			for _, path := range fill(w, n) {
				list.WriteString(w.URL + "/" + path + "\n")
			}
			w.Write(w.Dir+"/urls.txt", []byte(list.String()))
			return "- {name: pool, kind: files, list: urls.txt}\n"
		})
	})
}

// fill puts n small files into the web root.
func fill(w *sourcetest.World, n int) (paths []string) {
	for i := range n {
		path := fmt.Sprintf("d%03d/f%06d", i/500, i)
		w.Put(path, fmt.Appendf(nil, "file %d\n", i))
		paths = append(paths, path)
	}
	return paths
}
