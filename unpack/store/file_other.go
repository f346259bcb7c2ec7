//go:build !linux

package store

import "os"

// file is a new file that is open for writing.
type file = os.File

func newFile(fd int, path string) *file { return os.NewFile(uintptr(fd), path) }

func hasMode(f *file) bool {
	fi, err := f.Stat()
	return err == nil && fi.Mode() == Mode
}
