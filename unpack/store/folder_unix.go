//go:build unix

package store

import (
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

func link(from *Folder, name string, to *Folder, newName string) error {
	err := unix.Linkat(int(from.fd), name, int(to.fd), newName, 0)
	return two("link", from, name, to, newName, err)
}

func rename(from *Folder, name string, to *Folder, newName string) error {
	err := unix.Renameat(int(from.fd), name, int(to.fd), newName)
	return two("rename", from, name, to, newName, err)
}

func two(op string, from *Folder, name string, to *Folder, newName string, err error) error {
	if err == nil {
		return nil
	}
	return &os.LinkError{Op: op, Old: filepath.Join(from.path, name), New: filepath.Join(to.path, newName), Err: err}
}
