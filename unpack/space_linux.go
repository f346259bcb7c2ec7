package unpack

import "golang.org/x/sys/unix"

// freeOn returns what is free on the file system of dir for whoever runs this, -1: not
// told. File systems that make inodes as they are needed say that they have none at all.
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
