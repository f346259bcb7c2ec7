//go:build !unix

package access

import "io/fs"

func mode(fi fs.FileInfo) string { return fi.Mode().String() }

func isOwn(fs.FileInfo) bool { return false }

// Writers finds nothing: modes have no meaning here.
func Writers(string, fs.FileInfo) error { return nil }

// Owner finds nothing: files have no numbers of users here.
func Owner(string, fs.FileInfo) error { return nil }

// Inode returns 0: it is not known on this system.
func Inode(fs.FileInfo) uint64 { return 0 }

// User returns "": it is not known on this system.
func User(fs.FileInfo) string { return "" }
