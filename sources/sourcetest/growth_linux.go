package sourcetest

import (
	"syscall"
	"testing"
	"time"

	"github.com/gapbundle/gapbundle/sources"
)

// maxGrowth is how many times the processor time may be that an export of ten times as many
// things takes.
const maxGrowth = 10.5

// Growth exports one thing, n things and ten times n, three times in turn, and reports how the
// processor time of this process and of its children grows: what an export of one takes is
// taken off first. It fails above maxGrowth. make puts an upstream of n things into the world
// and returns the sources of its spec; it is not measured.
//
// The upstream is in this process and counts too. Run it alone on the machine:
//
//	go test ./sources/... -run XXX -bench Growth -benchtime 1x
func Growth(b *testing.B, kinds sources.Kinds, n int, make func(w *World, n int) string) {
	best := map[int]time.Duration{}
	for range b.N {
		for range 3 {
			for _, count := range []int{1, n, 10 * n} {
				w := NewWorld(b, kinds...)
				text := make(w, count)
				before := processorTime(b)
				w.Export("growth", text)
				if took := processorTime(b) - before; best[count] == 0 || took < best[count] {
					best[count] = took
				}
			}
		}
	}
	few, many := best[n]-best[1], best[10*n]-best[1]
	ratio := many.Seconds() / few.Seconds()
	b.ReportMetric(few.Seconds(), "cpu-s/few")
	b.ReportMetric(many.Seconds(), "cpu-s/many")
	b.ReportMetric(ratio, "times")
	if ratio > maxGrowth {
		b.Errorf("%d things: %v, %d: %v: %.1f times, at most %.1f are wanted", n, few, 10*n, many, ratio, maxGrowth)
	}
}

// processorTime is what this process and those it waited for have used.
func processorTime(b *testing.B) (all time.Duration) {
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var u syscall.Rusage
		if err := syscall.Getrusage(who, &u); err != nil {
			b.Fatal(err)
		}
		all += time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	return all
}
