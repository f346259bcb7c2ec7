package unpack

import "golang.org/x/sys/unix"

// freeOn returns what is free for this user on the file system of dir; -1: unknown. A file
// system that creates inodes as it needs them reports none at all, which counts as unknown.
func freeOn(dir string) (bytes, inodes int64, err error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return -1, -1, err
	}
	bytes, inodes = int64(s.Bavail)*s.Bsize, -1 // below 2^63 on any disk
	if s.Files > 0 {
		inodes = int64(s.Ffree)
	}
	return bytes, inodes, nil
}
