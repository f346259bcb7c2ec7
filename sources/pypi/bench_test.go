package pypi

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/internal/test/upstreamtest"
	"github.com/gapbundle/gapbundle/sources/pypi/piptest"
)

const four = "targets: [{python: \"3.12\", platform: [manylinux_2_28_x86_64, manylinux_2_28_aarch64]}, {python: \"3.9\", platform: [manylinux2014_x86_64, win_amd64]}]\n"

// BenchmarkPlanNames plans 2,000 names, each a wheel.
func BenchmarkPlanNames(b *testing.B) {
	var names []string
	benchmark(b, func(x *piptest.Index) string {
		for i := range 2000 {
			name := fmt.Sprintf("p%04d", i)
			x.Projects[name] = []*piptest.File{piptest.Wheel{Name: name, Version: "1.0"}.Build(b)}
			names = append(names, name)
		}
		return strings.Join(names, ", ")
	})
}

// BenchmarkPlanFiles plans a name that has 5,000 files.
func BenchmarkPlanFiles(b *testing.B) {
	benchmark(b, func(x *piptest.Index) string {
		for i := range 1000 {
			for _, tag := range []string{"cp312-cp312-manylinux2014_x86_64", "cp39-abi3-manylinux2014_aarch64", "cp39-cp39-manylinux2014_x86_64", "cp39-cp39-win_amd64", "py3-none-any"} {
				x.Projects["big"] = append(x.Projects["big"], piptest.Wheel{Name: "big", Version: fmt.Sprintf("1.%d", i), Tag: tag}.Build(b))
			}
		}
		return "big"
	})
}

// BenchmarkPlanGraph resolves 150 packages of 20 versions, which limit each
// other, for four targets.
func BenchmarkPlanGraph(b *testing.B) {
	benchmark(b, func(x *piptest.Index) string {
		const packages, versions = 150, 20
		for i := range packages {
			name := fmt.Sprintf("p%d", i)
			for v := range versions {
				w := piptest.Wheel{Name: name, Version: fmt.Sprintf("%d.0", v+1)}
				for _, next := range []int{2*i + 1, 2*i + 2, i + 7} {
					if next < packages {
						w.Requires = append(w.Requires, fmt.Sprintf("p%d>=%d,<%d", next, v/2+1, v+2))
					}
				}
				x.Projects[name] = append(x.Projects[name], w.Build(b))
			}
		}
		return "p0"
	})
}

// benchmark plans packages of an index that fill makes, and reports requests
// and the memory that is in use at the end.
func benchmark(b *testing.B, fill func(x *piptest.Index) string) {
	x := &piptest.Index{Server: upstreamtest.New(b), Projects: map[string][]*piptest.File{}}
	spec := "packages: [" + fill(x) + "]\nindex: " + x.URL() + "\n" + four
	x.Put()
	x.Projects = nil
	for b.Loop() {
		b.StopTimer()
		s := newSite(b)
		x.Server.ResetCounts()
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		b.StartTimer()
		p := s.must(spec)
		b.StopTimer()
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(x.Server.AllRequests()), "requests")
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/(1<<20), "MiB-held")
		b.ReportMetric(float64(after.TotalAlloc-before.TotalAlloc)/(1<<20), "MiB-allocated")
		runtime.KeepAlive(p)
		b.StartTimer()
	}
}
