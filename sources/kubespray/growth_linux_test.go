package kubespray

import (
	"fmt"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources/sourcetest"
)

func BenchmarkGrowth(b *testing.B) {
	sourcetest.Growth(b, 300, 0, func(w *sourcetest.World, n int) string {
		c := newCheckout(b, w.Dir)
		var list, table strings.Builder
		table.WriteString("kubelet_checksums:\n  amd64:\n")
		for i := range n {
			path, content := fmt.Sprintf("/release/v1.%d.1/bin/linux/amd64/kubelet", i), fmt.Appendf(nil, "kubelet %d", i)
			c.server.Put(path, content)
			list.WriteString(c.server.URL(path) + "\n")
			fmt.Fprintf(&table, "    1.%d.1: sha256:%s\n", i, bundle.DigestOf(content).Hex())
		}
		c.write("kubespray/galaxy.yml", "namespace: x\nversion: 2.31.0\n")
		c.write("kubespray/"+tablePlaces[0], table.String())
		c.write("files.list", list.String())
		return "- name: cluster\n  kind: kubespray\n  checkout: kubespray\n  files: [files.list]\n"
	})
}
