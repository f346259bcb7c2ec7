//go:build unix

package tree

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// linkCount returns how many names the file has.
func linkCount(_ *os.Root, _ string, fi fs.FileInfo) (int64, error) {
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, errors.ErrUnsupported
	}
	return int64(st.Nlink), nil // narrower on some systems
}

// ownerOf returns the number of the user who owns a file.
func ownerOf(fi fs.FileInfo) int64 {
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok {
		return 0
	}
	return int64(st.Uid)
}

// isTooManyLinks reports whether the file has as many names as it can have.
func isTooManyLinks(err error) bool { return errors.Is(err, syscall.EMLINK) }

// isLinkless reports whether there are no hard links here: FAT, some network file
// systems, or a store that is on a file system of its own.
func isLinkless(err error) bool {
	for _, e := range []error{syscall.EPERM, syscall.ENOTSUP, syscall.EOPNOTSUPP, syscall.ENOSYS, syscall.EXDEV} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}
