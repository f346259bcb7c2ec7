package store

import (
	"errors"
	"io/fs"
	"os"
	"time"

	"github.com/gapbundle/gapbundle/bundle/durable"
)

// Folder is an open directory below an os.Root. Its methods take names of
// files directly in it, and cost one system call each, where a path from the
// root costs two more for every folder on the way: over a million files that
// is most of the time.
type Folder struct {
	root *os.Root // opened at the folder
	file *os.File // the same, for calls that name two folders
	fd   uintptr  // of file: asking for it costs system calls
	// above and path are for systems without such calls.
	above *os.Root
	path  string
}

// OpenFolder opens the directory path below root. The caller closes it. A link is not
// followed: it is a *durable.FolderError.
func OpenFolder(root *os.Root, path string) (*Folder, error) {
	if err := durable.CheckFolder(root, path); err != nil {
		return nil, err
	}
	r, err := root.OpenRoot(path)
	if err != nil {
		return nil, err
	}
	f, err := r.Open(".")
	if err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return &Folder{root: r, file: f, fd: f.Fd(), above: root, path: path}, nil
}

// Close closes the directory.
func (f *Folder) Close() error { return errors.Join(f.file.Close(), f.root.Close()) }

// Lstat calls os.Root.Lstat.
func (f *Folder) Lstat(name string) (fs.FileInfo, error) { return f.root.Lstat(name) }

// OpenFile calls os.Root.OpenFile.
func (f *Folder) OpenFile(name string, flag int, perm fs.FileMode) (*os.File, error) {
	return f.root.OpenFile(name, flag, perm)
}

// create makes a file that is not there yet, for writing. It is no file that can be
// waited for, so nobody tries to.
func (f *Folder) create(name string) (*file, error) { return create(f, name) }

// Chtimes sets both times of a file; a symbolic link is not followed.
func (f *Folder) Chtimes(name string, t time.Time) error { return chtimes(f, name, t) }

// Remove calls os.Root.Remove.
func (f *Folder) Remove(name string) error { return f.root.Remove(name) }

// Link makes a new name in to for the file name in from; a symbolic link is
// not followed.
func Link(from *Folder, name string, to *Folder, newName string) error {
	return link(from, name, to, newName)
}

// rename moves a file, replacing what has the new name.
func (f *Folder) rename(name string, to *Folder, newName string) error {
	return rename(f, name, to, newName)
}
