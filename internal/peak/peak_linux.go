// Package peak makes the peak memory of child processes measurable: tests and benchmarks compare
// it with bounds.
package peak

import (
	"os"
	"runtime/debug"
)

// Forget makes what this process needed so far, and does not need now, no part of the peaks of
// the programs that it starts from now on: the kernel begins a child's (getrusage(2), ru_maxrss)
// at its parent's. Memory that this process needs now still counts.
func Forget() error {
	debug.FreeOSMemory()
	const peak = "5" // proc(5), clear_refs: the peak is what is in use now
	return os.WriteFile("/proc/self/clear_refs", []byte(peak), 0)
}
