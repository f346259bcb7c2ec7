package rpmmd

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"unique"
)

// BenchmarkInterner keeps one copy of each of 300,000 names that stand 10 times each in a
// list, which is what a distribution has, and compares with package unique.
func BenchmarkInterner(b *testing.B) {
	const distinct, times = 300_000, 10
	names := make([][]byte, distinct)
	for i := range names {
		names[i] = fmt.Appendf(nil, "libpackage-%06d.so.1()(64bit)", i)
	}
	held := func(b *testing.B, make func() any) {
		var before, after runtime.MemStats
		b.ReportAllocs()
		for b.Loop() {
			runtime.GC()
			runtime.ReadMemStats(&before)
			kept := make()
			runtime.GC()
			runtime.ReadMemStats(&after)
			runtime.KeepAlive(kept)
		}
		const references = times * 16 // bytes for each name
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/distinct-references, "B-held/name")
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/distinct/times, "ns/name")
	}
	b.Run("interner", func(b *testing.B) {
		held(b, func() any {
			in, all := &Interner{}, make([]string, 0, distinct*times)
			for range times {
				for _, name := range names {
					all = append(all, in.intern(name))
				}
			}
			return []any{in, all}
		})
	})
	b.Run("unique", func(b *testing.B) {
		held(b, func() any {
			all := make([]string, 0, distinct*times)
			for range times {
				for _, name := range names {
					all = append(all, unique.Make(string(name)).Value())
				}
			}
			return all
		})
	})
}

// One copy is kept of a string, whatever it was part of.
func TestIntern(t *testing.T) {
	in := &Interner{}
	long := []byte(strings.Repeat("x", 2*block))
	for _, s := range [][]byte{[]byte("a"), []byte(""), long, []byte("b"), []byte("a"), long} {
		if got := in.intern(s); got != string(s) {
			t.Errorf("got %.20q for %.20q", got, s)
		}
	}
	if n := in.Held(); n != 3*costString+int64(len(long))+2 {
		t.Errorf("%d bytes are counted", n)
	}
}
