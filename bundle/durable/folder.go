package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// FolderError means that something else is where a mirror or a ledger has a folder: a link, even one that
// leads to a folder, or a file. Nothing is read or written through it. It is an error of the
// machine, not of a bundle.
type FolderError struct {
	Path string
	Mode fs.FileMode
}

func (e *FolderError) Error() string {
	what := "a file of mode " + e.Mode.String()
	if e.Mode&fs.ModeSymlink != 0 {
		what = "a symbolic link"
	}
	return fmt.Sprintf("%s: is %s, want a folder", e.Path, what)
}

// Unwrap makes it an error of the operating system.
func (e *FolderError) Unwrap() error { return syscall.ENOTDIR }

// CheckFolder returns a *FolderError if something else than a folder has the name or is on
// the way to it, and the operating system's error if nothing has the name.
func CheckFolder(root *os.Root, name string) error {
	fi, err := root.Lstat(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		// os.Root does not report which part of a path leads out.
		for i, c := range name {
			if c != '/' {
				continue
			}
			if up, upErr := root.Lstat(name[:i]); upErr == nil && !up.IsDir() {
				return other(root, name[:i], up)
			}
		}
	}
	if err == nil && !fi.IsDir() {
		return other(root, name, fi)
	}
	return err
}

func other(root *os.Root, name string, fi fs.FileInfo) error {
	return &FolderError{filepath.Join(root.Name(), filepath.FromSlash(name)), fi.Mode()}
}

// MakeDir makes the directory name below root with exactly mode perm, whatever
// the umask; one that exists is left as it is. Anything else that has the name is a
// *FolderError.
func MakeDir(root *os.Root, name string, perm fs.FileMode) error {
	err := root.Mkdir(name, perm)
	if errors.Is(err, fs.ErrExist) {
		return CheckFolder(root, name)
	}
	if err != nil {
		return err
	}
	return root.Chmod(name, perm)
}
