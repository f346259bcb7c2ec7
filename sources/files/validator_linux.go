package files

import (
	"fmt"
	"io/fs"
	"syscall"
)

// validatorOf names the version of a local file: times to the nanosecond,
// size and inode. The change time is in it because the modification time can
// be set back by anybody.
func validatorOf(info fs.FileInfo) string {
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return ""
	}
	return fmt.Sprintf("%d.%09d %d.%09d %d %d", s.Mtim.Sec, s.Mtim.Nsec, s.Ctim.Sec, s.Ctim.Nsec, s.Size, s.Ino)
}
