package media

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/test/memtest"
)

// numbered returns content without a copy of it: a number, repeated or not.
func numbered(i, size int64) Item {
	return Item{Key: fmt.Sprintf("pool/%02d/file-%07d.txt", i%100, i), Size: size, Open: func(context.Context, int64, string) (*bundle.Content, error) {
		line := fmt.Sprintf("line of file %d, which is like many others\n", i)
		return &bundle.Content{Body: io.NopCloser(io.LimitReader(strings.NewReader(strings.Repeat(line, int(size)/len(line)+1)), size))}, nil
	}}
}

func writeNumbered(t testing.TB, n, size int64) {
	j := newJob(t, 0)
	w := j.writer()
	ctx := context.Background()
	runs, err := PlanRuns(0, func(yield func(int64, error) bool) {
		for range n {
			if !yield(size, nil) {
				return
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	i := int64(0)
	for _, r := range runs {
		rw, err := w.Run(ctx, r)
		if err != nil {
			t.Fatal(err)
		}
		for range r.Count {
			if _, err := rw.Append(ctx, numbered(i, size)); err != nil {
				t.Fatal(err)
			}
			i++
		}
		if err := rw.Close(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := j.tryFinish(w); err != nil {
		t.Fatal(err)
	}
}

// The memory of an export does not grow with what it writes, except for 64
// bytes for each blob of a run.
func TestMemoryOfSmallItems(t *testing.T) {
	const few, many = 40_000, 120_000 // both fill all buffers
	before := memtest.HeapPeak(func() { writeNumbered(t, few, 100) })
	after := memtest.HeapPeak(func() { writeNumbered(t, many, 100) })
	t.Logf("heap: %d items %d MiB, %d items %d MiB", few, before>>20, many, after>>20)
	if grown := after - before; grown > 64*(many-few)+16<<20 {
		t.Errorf("heap grew by %d bytes for %d more items", grown, many-few)
	}
}

func BenchmarkWriteLarge(b *testing.B) {
	const size = 256 << 20
	half := content(1, 16<<20)
	b.SetBytes(size)
	for b.Loop() {
		j := newJob(b, 0)
		j.tail = []testItem{{key: "large"}}
		w := j.writer()
		ctx := context.Background()
		rw, err := w.Run(ctx, Run{First: 1})
		if err != nil {
			b.Fatal(err)
		}
		open := func(context.Context, int64, string) (*bundle.Content, error) {
			var parts []io.Reader
			for range size / len(half) {
				parts = append(parts, bytes.NewReader(half))
			}
			return &bundle.Content{Body: io.NopCloser(io.MultiReader(parts...))}, nil
		}
		if _, err := rw.Append(ctx, Item{Key: "large", Size: size, Open: open}); err != nil {
			b.Fatal(err)
		}
		if err := rw.Close(ctx); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkWriteSmall(b *testing.B) {
	const n = 50_000
	for b.Loop() {
		writeNumbered(b, n, 1000)
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*n), "µs/item")
}
