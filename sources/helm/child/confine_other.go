//go:build !linux

package child

import "runtime/debug"

// maxStack is what the runtime lets one stack grow to: a template that calls
// itself without end fails by it.
const maxStack = 256 << 20 // bytes

// Confine leaves the limits to the parent: those of the kernel are Linux's.
func Confine() error {
	debug.SetMaxStack(maxStack)
	return nil
}
