package media

import (
	"hash/fnv"
	"math"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/windows"
)

// syncDir does nothing: Windows makes names durable with the file and does
// not let a directory be synced.
func syncDir(*os.Root) error { return nil }

// freeSpace returns what this user can still write below dir.
func freeSpace(dir string) (int64, error) {
	p, err := windows.UTF16PtrFromString(dir)
	if err != nil {
		return 0, &os.PathError{Op: "free space", Path: dir, Err: err}
	}
	var free uint64
	if err := windows.GetDiskFreeSpaceEx(p, &free, nil, nil); err != nil {
		return 0, &os.PathError{Op: "free space", Path: dir, Err: err}
	}
	return int64(min(free, math.MaxInt64/4)), nil
}

// deviceOf returns a number that stands for the volume that an open directory is on.
func deviceOf(dir *os.Root) (uint64, error) {
	device, _, err := fileSystem(dir.Name())
	return device, err
}

// spaceOf returns the room on the volume of dir.
func spaceOf(dir string) (Space, error) {
	device, size, err := fileSystem(dir)
	if err != nil {
		return Space{}, err
	}
	free, err := freeSpace(dir)
	const most = math.MaxInt64 / 64
	return Space{Free: min(free, most), Capacity: min(max(size, free), most), device: device}, err
}

// fileSystem returns a number that stands for the volume of dir, and how many bytes
// it has in all.
func fileSystem(dir string) (device uint64, size int64, err error) {
	if _, err := os.Stat(dir); err != nil {
		return 0, 0, err
	}
	p, err := windows.UTF16PtrFromString(dir)
	if err != nil {
		return 0, 0, &os.PathError{Op: "size", Path: dir, Err: err}
	}
	var total uint64
	if err := windows.GetDiskFreeSpaceEx(p, nil, &total, nil); err != nil {
		return 0, 0, &os.PathError{Op: "size", Path: dir, Err: err}
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(strings.ToLower(filepath.VolumeName(dir))))
	return h.Sum64(), int64(min(total, math.MaxInt64/4)), nil
}
