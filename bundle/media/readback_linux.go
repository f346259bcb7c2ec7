package media

import (
	"errors"
	"io"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/gapbundle/gapbundle/bundle"
)

// openCold opens a durable file so that what is read comes from the medium:
// its pages are dropped from the cache and seen to be gone. If that fails
// (some are held by others, or cannot be looked at), it is read past
// the cache; where that is not possible either, it returns ReadbackCached.
func openCold(root *os.Root, name string) (io.ReadCloser, string, error) {
	f, err := bundle.OpenRegular(root, name)
	if err != nil {
		return nil, "", err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, "", err
	}
	if unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED) == nil && !resident(f, info.Size()) {
		return &coldFile{f}, ReadbackDropped, nil
	}
	direct, err := root.OpenFile(name, os.O_RDONLY|unix.O_DIRECT, 0)
	if err != nil {
		return f, ReadbackCached, nil //nolint:nilerr // tmpfs and its like: they have no medium
	}
	r := &directFile{file: direct, left: info.Size(), buf: alignedBuffer(1 << 20)}
	if r.fill(); errors.Is(r.err, unix.EINVAL) {
		direct.Close()
		return f, ReadbackCached, nil
	}
	f.Close()
	return r, ReadbackDirect, nil
}

// resident reports whether the page cache holds, or may hold, something of f.
func resident(f *os.File, size int64) bool {
	if size == 0 {
		return false
	}
	const window = 1 << 30 // bytes, mapped at once
	page := int64(os.Getpagesize())
	for at := int64(0); at < size; at += window {
		n := min(size-at, window)
		m, err := unix.Mmap(int(f.Fd()), at, int(n), unix.PROT_READ, unix.MAP_SHARED)
		if err != nil {
			return true
		}
		vec := make([]byte, (n+page-1)/page)
		_, _, errno := unix.Syscall(unix.SYS_MINCORE, uintptr(unsafe.Pointer(&m[0])), uintptr(n), uintptr(unsafe.Pointer(&vec[0])))
		if err := unix.Munmap(m); err != nil || errno != 0 {
			return true
		}
		for _, v := range vec {
			if v&1 != 0 {
				return true
			}
		}
	}
	return false
}

// beginWriteback has the system write out what is cached of f, and waits for nothing.
// A file system that cannot is left to its own pace; what fails is reported by fsync.
func beginWriteback(f *os.File) {
	conn, err := f.SyscallConn()
	if err != nil {
		return
	}
	_ = conn.Control(func(fd uintptr) {
		_ = unix.SyncFileRange(int(fd), 0, 0, unix.SYNC_FILE_RANGE_WRITE)
	})
}

// coldFile frees the part of the cache that reading took, for those who need it.
type coldFile struct{ *os.File }

// Close drops the file's pages and closes it.
func (c *coldFile) Close() error {
	_ = unix.Fadvise(int(c.Fd()), 0, 0, unix.FADV_DONTNEED)
	return c.File.Close()
}

// directFile reads with O_DIRECT, which wants aligned memory and lengths.
type directFile struct {
	file *os.File
	left int64 // after the last, short piece a read would not be aligned
	buf  []byte
	data []byte
	err  error
}

func alignedBuffer(size int) []byte {
	const align = 4096 // bytes: no device wants more
	b := make([]byte, size+align)
	skip := int(-uintptr(unsafe.Pointer(&b[0])) & (align - 1))
	return b[skip : skip+size]
}

func (d *directFile) fill() {
	if d.left <= 0 {
		d.err = io.EOF
		return
	}
	n, err := d.file.Read(d.buf)
	d.data, d.err, d.left = d.buf[:n], err, d.left-int64(n)
}

func (d *directFile) Read(b []byte) (int, error) {
	if len(d.data) == 0 && d.err == nil {
		d.fill()
	}
	if len(d.data) > 0 {
		n := copy(b, d.data)
		d.data = d.data[n:]
		return n, nil
	}
	return 0, d.err
}

// Close closes the file.
func (d *directFile) Close() error { return d.file.Close() }
