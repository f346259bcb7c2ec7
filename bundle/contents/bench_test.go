package contents_test

import (
	"bytes"
	"fmt"
	"iter"
	"runtime"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/bundle/contents"
)

// debianMain is how many packages the main component of Debian 12 has for one
// architecture, which the bounds of these lists are measured with.
const debianMain = 63_440

// written makes a repository whose list is read from its text, as all real ones are. Of
// every changed entries one has another version.
func written(t testing.TB, name string, n, changed int) contents.Repository {
	t.Helper()
	var text bytes.Buffer
	w := bundle.NewListWriter[bundle.Entry](&text)
	for i := range n {
		e := entry(fmt.Sprintf("package-with-a-name-%07d", i), "1.2.3-4+deb12u1", "amd64", fmt.Sprint(i))
		if changed > 0 && i%changed == 0 {
			e = entry(e.Name, "1.2.3-4+deb12u2", "amd64", fmt.Sprint("changed ", i))
		}
		e.Group, e.Origin, e.Path, e.Rank = "bookworm main", "https://deb.example.org/debian", "pool/main/p/package/"+e.Path+".deb", 1
		e.Reason, e.Vouched, e.Size, e.Summary = "bookworm main", bundle.VouchedIndex, 123456, "summary of a package that does something useful"
		if err := w.Write(e); err != nil {
			t.Fatal(err)
		}
	}
	raw := text.Bytes()
	return contents.Repository{Set: "demo", Name: name, Kind: "apt", List: bundle.DigestOf(raw).String(), Content: bundle.DigestOf(raw).String(),
		Entries: func() iter.Seq2[bundle.Entry, error] { return bundle.ReadContents(bytes.NewReader(raw), name) }}
}

// BenchmarkCompare compares two lists of 63,440 entries, of which 634 have another
// version. The aim is 0.5 s.
func BenchmarkCompare(b *testing.B) {
	before, after := written(b, "debian", debianMain, 0), written(b, "debian", debianMain, 100)
	for b.Loop() {
		s, err := contents.Summarise(b.Context(), "demo", []contents.Repository{before}, []contents.Repository{after}, 1000)
		if err != nil || s.Changed != 635 {
			b.Fatal(s, err)
		}
	}
}

// TestMemoryIsThatOfDifferences: what is alive while two lists are compared does not
// grow with them: one list is ten times as long as the other, with as many differences.
func TestMemoryIsThatOfDifferences(t *testing.T) {
	alive := func(n int) uint64 {
		before, after := written(t, "debian", n, 0), written(t, "debian", n, n/10)
		var least, most runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&least)
		peak, count := least.HeapAlloc, 0
		for _, err := range contents.Compare(t.Context(), []contents.Repository{before}, []contents.Repository{after}) {
			if err != nil {
				t.Fatal(err)
			}
			runtime.GC()
			runtime.ReadMemStats(&most)
			peak = max(peak, most.HeapAlloc)
			count++
		}
		if count != 10 {
			t.Fatalf("%d differences, want 10", count)
		}
		runtime.KeepAlive(before)
		runtime.KeepAlive(after)
		return peak - least.HeapAlloc
	}
	short, long := alive(2_000), alive(20_000)
	t.Logf("2,000 entries: %d bytes, 20,000: %d bytes", short, long)
	if long > short+64<<10 {
		t.Errorf("%d bytes with 20,000 entries, %d with 2,000", long, short)
	}
}
