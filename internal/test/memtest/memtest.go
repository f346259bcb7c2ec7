// Package memtest measures memory. It is for tests only.
package memtest

import (
	"runtime"
	"runtime/metrics"
	"time"
)

// HeapPeak returns how many bytes more than before live in the heap at most while f
// runs. Garbage that is not collected yet counts; debug.SetGCPercent bounds it.
func HeapPeak(f func()) int64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	runtime.GC()
	runtime.GC() // pools
	metrics.Read(sample)
	before := sample[0].Value.Uint64()
	most := before
	done, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				metrics.Read(sample)
				most = max(most, sample[0].Value.Uint64())
			}
		}
	}()
	f()
	close(done)
	<-stopped
	return int64(most - before)
}
