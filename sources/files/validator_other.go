//go:build !linux

package files

import (
	"fmt"
	"io/fs"
)

// validatorOf names the version of a local file by what every system has.
func validatorOf(info fs.FileInfo) string {
	return fmt.Sprintf("%d %d", info.ModTime().UnixNano(), info.Size())
}
