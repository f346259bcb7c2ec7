package media

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// FileSystems returns how many bytes the file systems of directories have together,
// used or free, each once. A directory that is not there yet is looked at by the one
// that it will be made in. 0: that is not known here.
func FileSystems(dirs []string) (int64, error) {
	var total int64
	seen := map[uint64]bool{}
	for _, dir := range dirs {
		if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
			dir = filepath.Dir(filepath.Clean(dir))
		}
		device, size, err := fileSystem(dir)
		if errors.Is(err, fs.ErrNotExist) {
			return 0, nil // named when it is written to
		}
		if err != nil || size == 0 {
			return 0, err
		}
		if !seen[device] {
			seen[device] = true
			total += size
		}
	}
	return total, nil
}
