package apt

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/internal/test/plantest"
)

// bigArchive has n packages whose stanzas are as long as real ones.
func bigArchive(t testing.TB, n int) *archive {
	a := newArchive(t, t.TempDir())
	a.extra = map[string]string{}
	var stanzas []string
	long := strings.Repeat("lib-something-or-other (>= 1.2.3-4), ", 8)
	for i := range n {
		name := fmt.Sprintf("package-%06d", i)
		stanzas = append(stanzas, pkg(name, "1.2.3-4+deb12u1", "amd64", "Suggests: "+long+"hello\nHomepage: https://a.example/"+name+"\nTag: "+strings.Repeat("role::program, ", 12)+"x")+
			fmt.Sprintf("Filename: pool/main/p/%s/%s_1.2.3-4+deb12u1_amd64.deb\nSize: %d\nSHA256: %064x\n", name, name, 1000+i, i+1))
	}
	a.packages = map[string][]string{"main amd64": stanzas}
	a.publish()
	return a
}

// BenchmarkPlan plans an archive of 60,000 packages, and goes through it.
func BenchmarkPlan(b *testing.B) {
	a := bigArchive(b, 60_000)
	for name, test := range map[string]struct {
		more string
		want int
	}{"verbatim": {"mode: verbatim", 60_000}, "rebuilt": {"packages: [package-000001, package-059999]", 2}} {
		b.Run(name, func(b *testing.B) { benchmarkPlan(b, a, test.more, test.want) })
	}
}

func benchmarkPlan(b *testing.B, a *archive, more string, want int) {
	env := plantest.NewEnv(b, a.dir, nil)
	env.Site, _ = siteKey(b)
	runtime.GC()
	for b.Loop() {
		r, err := plan(b, env, a.spec(more))
		if err != nil {
			b.Fatal(err)
		}
		if n := plantest.Count(b, r); n < want {
			b.Fatalf("%d files", n)
		}
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		b.ReportMetric(float64(m.HeapAlloc)/(1<<20), "MiB-held")
		b.ReportMetric(float64(m.Sys)/(1<<20), "MiB-sys")
		runtime.KeepAlive(r)
	}
}
