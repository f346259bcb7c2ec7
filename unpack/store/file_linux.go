package store

import (
	"os"

	"golang.org/x/sys/unix"
)

// file is a new file that is open for writing. It is no os.File, which asks the system
// whether the file can be waited for, and has the collector look after it: for a small file
// that is a good part of the work. Every file here is closed.
type file struct {
	fd   int    // -1: it is closed
	path string // for errors
}

func newFile(fd int, path string) *file { return &file{fd: fd, path: path} }

func (f *file) Write(b []byte) (int, error) {
	written := 0
	for written < len(b) {
		n, err := unix.Write(f.fd, b[written:])
		if n > 0 {
			written += n
		}
		if err != nil && err != unix.EINTR {
			return written, &os.PathError{Op: "write", Path: f.path, Err: err}
		}
	}
	return written, nil
}

// Close has closed the file whatever it returns: Linux frees the descriptor first, also when a signal
// comes (close(2), "Dealing with error returns from close()"). So the number is not used
// again: it may be another file's by then.
func (f *file) Close() error {
	if f.fd < 0 {
		return os.ErrClosed
	}
	fd := f.fd
	f.fd = -1
	if err := unix.Close(fd); err != nil && err != unix.EINTR {
		return &os.PathError{Op: "close", Path: f.path, Err: err}
	}
	return nil
}

// Chmod sets the permissions, mode without the bits of a type.
func (f *file) Chmod(mode os.FileMode) error {
	if err := unix.Fchmod(f.fd, uint32(mode.Perm())); err != nil {
		return &os.PathError{Op: "fchmod", Path: f.path, Err: err}
	}
	return nil
}

func hasMode(f *file) bool {
	const permissions = 0o7777
	var st unix.Stat_t
	return unix.Fstat(f.fd, &st) == nil && st.Mode&permissions == Mode
}
