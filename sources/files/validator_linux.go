package files

import (
	"io/fs"
	"strconv"
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
	var text [104]byte // on the stack; four numbers of at most 20 characters, two of 9, spaces and points
	b := append(appendTime(text[:0], s.Mtim), ' ')
	b = append(appendTime(b, s.Ctim), ' ')
	b = append(strconv.AppendInt(b, s.Size, 10), ' ')
	return string(strconv.AppendUint(b, s.Ino, 10))
}

// appendTime appends the seconds and, after a point, the nanoseconds in nine digits.
func appendTime(b []byte, t syscall.Timespec) []byte {
	const second = 1_000_000_000 // nanoseconds
	sec, nsec := t.Unix()
	b = strconv.AppendInt(b, sec, 10)
	at := len(b)
	b = strconv.AppendInt(b, second+nsec, 10)
	b[at] = '.' // in place of the 1 that keeps the zeros
	return b
}
