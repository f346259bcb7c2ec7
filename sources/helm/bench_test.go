package helm

import (
	"fmt"
	"maps"
	"runtime"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/test/plantest"
	"github.com/gapbundle/gapbundle/sources/helm/helmtest"
	"github.com/gapbundle/gapbundle/sources/helm/index"
)

// BenchmarkIndex reads one chart out of an index of 50 MB with 10,000 entries.
func BenchmarkIndex(b *testing.B) {
	var text strings.Builder
	text.WriteString("apiVersion: v1\nentries:\n")
	filler := strings.Repeat("      Some text about the chart, as annotations of Artifact Hub have it: changes, links, licenses.\n", 45)
	for chart := range 100 {
		fmt.Fprintf(&text, "  chart-%d:\n", chart)
		for version := range 100 {
			fmt.Fprintf(&text, "  - apiVersion: v2\n    name: chart-%[1]d\n    version: 1.%[2]d.0\n    appVersion: 1.%[2]d.0\n    created: \"2026-03-01T00:00:00Z\"\n    description: a chart\n"+
				"    digest: %064[2]d\n    keywords: [a, b, c]\n    maintainers:\n    - name: me\n      email: me@a.example\n    annotations:\n      artifacthub.io/changes: |\n%[3]s    urls:\n    - https://a.example/chart-%[1]d-1.%[2]d.0.tgz\n",
				chart, version+1, filler)
		}
	}
	content := []byte(text.String())
	b.SetBytes(int64(len(content)))
	b.ReportAllocs()
	for b.Loop() {
		x, err := index.Read(content, func(name string) bool { return name == "chart-7" })
		if err != nil || len(x.Charts["chart-7"]) != 100 {
			b.Fatal(err)
		}
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	b.ReportMetric(float64(m.HeapSys)/(1<<20), "MiB-heap")
}

// many returns a source of n charts; dir is the folder of the spec.
func many(b *testing.B, dir string, n int) (w *world, options []string) {
	w = newWorld(b, dir)
	options = []string{"charts:"}
	for i := range n {
		name := fmt.Sprintf("app-%d", i)
		content := helmtest.Simple(b, name, "1.0.0", fmt.Sprintf("quay.io/team/app-%d:v1", i))
		w.packages[name+"-1.0.0"] = content
		w.server.Put(root+name+"-1.0.0.tgz", content)
		w.entries[name+"-1.0.0"] = fmt.Sprintf("name: %[1]s\n    version: 1.0.0\n    created: \"2026-03-01T00:00:00Z\"\n    digest: %[2]s\n    urls: [%[1]s-1.0.0.tgz]\n", name, bundle.DigestOf(content).Hex())
		options = append(options, "- {repo: REPO, chart: "+name+"}")
	}
	w.publish()
	return w, append(options, "images: {mode: list}")
}

// BenchmarkPlan plans 200 charts that are all rendered: a child for each.
func BenchmarkPlan(b *testing.B) {
	w, options := many(b, b.TempDir(), 200)
	helmtest.Program(b)
	for b.Loop() {
		r, _ := w.mustPlan(options...)
		if n := len(listOf(b, r).Images); n != 200 {
			b.Fatal(n)
		}
	}
}

// BenchmarkUnchanged plans them again on a base that has them.
func BenchmarkUnchanged(b *testing.B) {
	w, options := many(b, b.TempDir(), 200)
	r, _ := w.mustPlan(options...)
	base := kept{plantest.Record(b, r), map[bundle.Digest][]byte{}}
	list := plantest.Artifacts(b, r, "charts")[listName]
	content, err := read(b, list)
	if err != nil {
		b.Fatal(err)
	}
	base.documents = maps.Clone(map[bundle.Digest][]byte{list.File.Digest: content})
	for b.Loop() {
		env := w.env(base)
		env.Program = "/no/such/program"
		if _, err := w.planned(env, w.spec(options...)); err != nil {
			b.Fatal(err)
		}
	}
}
