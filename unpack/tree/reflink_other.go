//go:build !linux

package tree

import "os"

// reflink lets dst share the blocks of src; false: it cannot.
func reflink(_, _ *os.File) bool { return false }
