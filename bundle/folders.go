package bundle

import (
	"fmt"
	"strings"
)

// Folders counts the folders that a sorted stream of paths needs: each is an inode of the
// importer's file system, and costs its maker nothing.
type Folders struct {
	last  string
	count int64
}

// Add counts the folders of p that the path before it did not need.
func (f *Folders) Add(p string) {
	shared := 0
	for i := 0; i < len(p) && i < len(f.last) && p[i] == f.last[i]; i++ {
		if p[i] == '/' {
			shared = i + 1
		}
	}
	f.count += int64(strings.Count(p[shared:], "/"))
	f.last = p
}

// Begin begins another stream, below another mount.
func (f *Folders) Begin() { f.last = "" }

// Count returns how many there were.
func (f *Folders) Count() int64 { return f.count }

// CheckFolders reports whether so many files may need so many folders. Errors match
// ErrMalformed.
func CheckFolders(folders, files int64) error {
	if most := int64(SomeFolders) + FoldersPerFile*files; folders > most {
		return fmt.Errorf("%s for %s, at most %d: %w", Count(folders, "folder"), Count(files, "file"), most, ErrMalformed)
	}
	return nil
}
