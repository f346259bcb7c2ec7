package rebuild

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/gapbundle/gapbundle/sources"
)

// Read reads a made file to its end, with the parser for upstream's files of this form, and
// compares the number and names of its entries with the intended ones. It may be called more
// than once.
type Read func(r io.Reader) error

// ReadBack reads content that was made in memory. Content that a reader refuses, or leaves
// unread, is a sources.MadeError.
func ReadBack(path string, content []byte, read Read) error {
	return readBack(path, func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil }, read)
}

// Whole returns a Read of a file that was made in memory, and is read there as well.
func Whole(read func(content []byte) error) Read {
	return func(r io.Reader) error {
		content, err := io.ReadAll(r)
		if err != nil {
			return err
		}
		return read(content)
	}
}

// readBack reads what open opens.
func readBack(path string, open func() (io.ReadCloser, error), read Read) error {
	if w := watching.Load(); w != nil {
		if err := (*w)(path, open, read); err != nil {
			return &sources.MadeError{Path: path, Err: err}
		}
	}
	in, err := open()
	if err != nil {
		return err
	}
	tracked := &tracker{r: in}
	err = read(tracked)
	if err == nil && tracked.err == nil {
		if n, _ := io.Copy(io.Discard, tracked); n > 0 {
			err = fmt.Errorf("bytes after its end: %d", n)
		}
	}
	if tracked.err != nil { // the disk's, not the content's
		return errors.Join(tracked.err, in.Close())
	}
	if err != nil {
		err = &sources.MadeError{Path: path, Err: err}
	}
	return errors.Join(err, in.Close())
}

// tracker keeps the error of a file, to distinguish it from that of a parser.
type tracker struct {
	r   io.Reader
	err error
}

func (t *tracker) Read(b []byte) (int, error) {
	n, err := t.r.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		t.err = err
	}
	return n, err
}

// Watcher is called for each file before it is read back. Its error counts as what
// reading the file found.
type Watcher func(path string, open func() (io.ReadCloser, error), read Read) error

var watching atomic.Pointer[Watcher]

// Watch has w called until stop is. It is for the suite that every kind passes, which
// spoils what was made and wants each reader to notice.
func Watch(w Watcher) (stop func()) {
	watching.Store(&w)
	return func() { watching.Store(nil) }
}
