package child

import (
	"fmt"
	"os"
	"runtime/debug"

	"golang.org/x/sys/unix"
)

// maxStack is what the runtime lets one stack grow to: a template that calls
// itself without end fails by it.
const maxStack = 256 << 20 // bytes

// Confine sets the limits of this process, the child, before it reads a byte
// of its request. There is no way back.
func Confine() error {
	debug.SetMaxStack(maxStack)
	held, err := addressSpace()
	if err != nil {
		return err
	}
	for _, l := range []struct {
		name     string
		resource int
		most     uint64
	}{
		{"RLIMIT_AS", unix.RLIMIT_AS, held + MaxMemory},
		{"RLIMIT_CPU", unix.RLIMIT_CPU, uint64(MaxCPU.Seconds())},
		{"RLIMIT_NOFILE", unix.RLIMIT_NOFILE, maxFiles},
		{"RLIMIT_CORE", unix.RLIMIT_CORE, 0},
		{"RLIMIT_FSIZE", unix.RLIMIT_FSIZE, 0},
	} {
		if err := unix.Setrlimit(l.resource, &unix.Rlimit{Cur: l.most, Max: l.most}); err != nil {
			return fmt.Errorf("%s: %w", l.name, err)
		}
	}
	return nil
}

// addressSpace returns what this process has reserved already: the runtime reserves
// some hundred megabytes that it does not use, and how many depends on how the
// program was built.
func addressSpace() (uint64, error) {
	text, err := os.ReadFile("/proc/self/statm") // proc(5): the first number is the size in pages
	if err != nil {
		return 0, err
	}
	var pages uint64
	if _, err := fmt.Sscan(string(text), &pages); err != nil {
		return 0, fmt.Errorf("/proc/self/statm: %w", err)
	}
	return pages * uint64(os.Getpagesize()), nil
}
