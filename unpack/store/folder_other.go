//go:build !unix

package store

func link(from *Folder, name string, to *Folder, newName string) error {
	return from.above.Link(from.path+"/"+name, to.path+"/"+newName)
}

func rename(from *Folder, name string, to *Folder, newName string) error {
	return from.above.Rename(from.path+"/"+name, to.path+"/"+newName)
}
