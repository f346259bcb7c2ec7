//go:build unix

package state

import (
	"io/fs"
	"syscall"

	"github.com/gapbundle/gapbundle/bundle/durable"
)

// groupOf returns the number of the group that a file belongs to.
func groupOf(info fs.FileInfo) int {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(s.Gid)
	}
	return durable.NoGroup
}
