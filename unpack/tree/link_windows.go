package tree

import (
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/windows"
)

// linkCount returns how many names the file has.
func linkCount(root *os.Root, name string, _ fs.FileInfo) (int64, error) {
	f, err := root.Open(name)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	var info windows.ByHandleFileInformation
	if err := windows.GetFileInformationByHandle(windows.Handle(f.Fd()), &info); err != nil {
		return 0, &fs.PathError{Op: "stat", Path: name, Err: err}
	}
	return int64(info.NumberOfLinks), nil
}

// ownerOf returns the same for all: modes and owners are another matter here.
func ownerOf(fs.FileInfo) int64 { return 0 }

// isTooManyLinks reports whether the file has as many names as it can have (NTFS: 1,024).
func isTooManyLinks(err error) bool { return errors.Is(err, windows.ERROR_TOO_MANY_LINKS) }

// isLinkless reports whether there are no hard links here: FAT, exFAT, or a store
// that is on a volume of its own.
func isLinkless(err error) bool {
	return errors.Is(err, windows.ERROR_INVALID_FUNCTION) || errors.Is(err, windows.ERROR_NOT_SUPPORTED) ||
		errors.Is(err, windows.ERROR_NOT_SAME_DEVICE)
}
