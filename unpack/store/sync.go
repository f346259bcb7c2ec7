package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// MakeDir makes the directory name below root with exactly mode perm, whatever
// the umask; one that exists is left as it is.
func MakeDir(root *os.Root, name string, perm fs.FileMode) error {
	err := root.Mkdir(name, perm)
	if errors.Is(err, fs.ErrExist) {
		fi, err := root.Lstat(name)
		if err == nil && !fi.IsDir() {
			err = fmt.Errorf("%s: %w", name, fs.ErrExist)
		}
		return err
	}
	if err != nil {
		return err
	}
	return root.Chmod(name, perm)
}
