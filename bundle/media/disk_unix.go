//go:build unix

package media

import (
	"errors"
	"fmt"
	"math"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// syncDir makes the names in a directory durable.
func syncDir(dir *os.Root) error {
	d, err := dir.Open(".")
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// freeSpace returns what an ordinary user can still write below dir.
func freeSpace(dir string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, &os.PathError{Op: "statfs", Path: dir, Err: err}
	}
	free := float64(st.Bavail) * float64(st.Bsize) // types differ between systems
	return int64(min(free, math.MaxInt64/4)), nil
}

// deviceOf returns the device that an open directory is on.
func deviceOf(dir *os.Root) (uint64, error) {
	info, err := dir.Stat(".")
	if err != nil {
		return 0, err
	}
	at, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, fmt.Errorf("%s: its device cannot be determined: %w", dir.Name(), errors.ErrUnsupported)
	}
	return uint64(at.Dev), nil //nolint:unconvert // Dev has another type on other systems
}

// spaceOf returns the room on the file system of dir.
func spaceOf(dir string) (Space, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return Space{}, &os.PathError{Op: "statfs", Path: dir, Err: err}
	}
	device, _, err := fileSystem(dir)
	if err != nil {
		return Space{}, err
	}
	bytes := func(blocks uint64) int64 { // types differ between systems
		return int64(min(float64(blocks)*float64(st.Bsize), math.MaxInt64/64))
	}
	kept := uint64(st.Bfree) - uint64(st.Bavail)                                                                 //nolint:unconvert // the same
	return Space{Free: bytes(uint64(st.Bavail)), Capacity: bytes(uint64(st.Blocks) - kept), device: device}, nil //nolint:unconvert // the same
}

// fileSystem returns the device below dir, and how many bytes it has in all.
func fileSystem(dir string) (device uint64, size int64, err error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, 0, &os.PathError{Op: "statfs", Path: dir, Err: err}
	}
	var at unix.Stat_t
	if err := unix.Stat(dir, &at); err != nil {
		return 0, 0, &os.PathError{Op: "stat", Path: dir, Err: err}
	}
	all := float64(st.Blocks) * float64(st.Bsize)                // types differ between systems
	return uint64(at.Dev), int64(min(all, math.MaxInt64/4)), nil //nolint:unconvert // Dev has another type on other systems
}
