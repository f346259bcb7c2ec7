package collect

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources"
)

// BenchmarkContents makes a contents list as an export does: entries in the order of paths,
// sorted through scratch, with ranks. It reports the most that was alive meanwhile.
func BenchmarkContents(b *testing.B) {
	for _, n := range []int{63_440, 1_000_000, 2_000_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				peak := makeContents(b, n)
				b.ReportMetric(float64(peak)/1e6, "MB-alive")
			}
		})
	}
}

func makeContents(b *testing.B, n int) (peak uint64) {
	runtime.GC()
	var before, now runtime.MemStats
	runtime.ReadMemStats(&before)
	names := newNamer(b, 0)
	for i := range n {
		name := fmt.Sprintf("package-%d", i*7919%n)
		f := bundle.File{Path: fmt.Sprintf("pool/main/p/%s/%s_1.2.3-4_amd64.deb", name, name), Digest: bundle.DigestOf([]byte(name)), Size: 12345}
		e := bundle.Evidence{Vouched: bundle.VouchedIndex, Origin: "https://archive.example/debian/" + f.Path, Reason: "bookworm main"}
		entry := sources.Entry{Name: name, Type: bundle.TypeDeb, Version: "1.2.3-4", Arch: "amd64", Group: "bookworm/main", Source: name, Summary: "what " + name + " is for, in a line as long as usual"}
		if err := names.add(&f, &e, sources.NewEntries(entry), nil); err != nil {
			b.Fatal(err)
		}
		if i%(n/8) == n/8-1 {
			runtime.GC()
			runtime.ReadMemStats(&now)
			peak = max(peak, now.HeapAlloc-before.HeapAlloc)
		}
	}
	if _, count, err := names.finish(); err != nil || count != int64(n) {
		b.Fatal(count, err)
	}
	return peak
}
