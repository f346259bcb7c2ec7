//go:build !unix

package store

import (
	"os"
	"time"
)

func create(f *Folder, name string) (*file, error) {
	return f.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, Mode)
}

func chtimes(f *Folder, name string, t time.Time) error { return f.root.Chtimes(name, t, t) }

func link(from *Folder, name string, to *Folder, newName string) error {
	return from.above.Link(from.path+"/"+name, to.path+"/"+newName)
}

func rename(from *Folder, name string, to *Folder, newName string) error {
	return from.above.Rename(from.path+"/"+name, to.path+"/"+newName)
}
