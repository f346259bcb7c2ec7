// Package durable writes small files so that they are there after a power cut
// or not at all: temporary name, write, sync, rename, sync of the directory.
//
// It works below an os.Root only, so no name that came from outside can lead
// a write elsewhere. It is not for payload: stores and volumes batch their
// syncs, one by one would cost milliseconds a file.
package durable

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"runtime"
)

// tempSuffix ends the name of a file that is being written. A crash leaves it
// there; the next write of the same file truncates it.
const tempSuffix = ".tmp"

// WriteFile replaces name below root by data. Readers see the old content or
// the new, never a mixture, and the new survives a power cut once WriteFile
// has returned nil.
func WriteFile(root *os.Root, name string, data []byte, perm fs.FileMode) error {
	return WriteFrom(root, name, perm, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

// NoGroup leaves a file to the group that the operating system assigns.
const NoGroup = -1

// WriteFrom works like WriteFile, for content that write produces piece by piece.
func WriteFrom(root *os.Root, name string, perm fs.FileMode, write func(io.Writer) error) error {
	return WriteFor(root, name, perm, NoGroup, write)
}

// WriteFor works like WriteFrom, for a file that belongs to a group, by its number, before anybody
// sees it under its name.
func WriteFor(root *os.Root, name string, perm fs.FileMode, group int, write func(io.Writer) error) (err error) {
	temp := name + tempSuffix
	f, err := root.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, perm)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, root.Remove(temp))
		}
	}()
	if group != NoGroup {
		err = f.Chown(-1, group)
	}
	if err := errors.Join(err, write(f), f.Chmod(perm), f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if err := root.Rename(temp, name); err != nil {
		return err
	}
	return SyncDir(root, path.Dir(name))
}

// SyncDir makes the entries of the directory name below root durable. Windows
// has no such call and orders its metadata by itself.
func SyncDir(root *os.Root, name string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := root.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Remove removes name below root durably; that it is not there is no error.
func Remove(root *os.Root, name string) error {
	if err := root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return SyncDir(root, path.Dir(name))
}
