//go:build unix

package store

import (
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

func create(f *Folder, name string) (*file, error) {
	for {
		const flags = unix.O_WRONLY | unix.O_CREAT | unix.O_EXCL | unix.O_NOFOLLOW | unix.O_CLOEXEC
		fd, err := unix.Openat(int(f.fd), name, flags, Mode)
		if err == unix.EINTR {
			continue
		}
		path := filepath.Join(f.path, name)
		if err != nil {
			return nil, &os.PathError{Op: "openat", Path: path, Err: err}
		}
		return newFile(fd, path), nil
	}
}

func chtimes(f *Folder, name string, t time.Time) error {
	at, err := unix.TimeToTimespec(t)
	if err == nil {
		err = unix.UtimesNanoAt(int(f.fd), name, []unix.Timespec{at, at}, unix.AT_SYMLINK_NOFOLLOW)
	}
	if err != nil {
		return &os.PathError{Op: "chtimesat", Path: filepath.Join(f.path, name), Err: err}
	}
	return nil
}

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
