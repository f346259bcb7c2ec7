package media

import (
	"math"
	"os"

	"golang.org/x/sys/windows"
)

// syncDir does nothing: Windows makes names durable with the file and does
// not let a directory be synced.
func syncDir(*os.Root) error { return nil }

// freeSpace is what this user can still write below dir.
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
