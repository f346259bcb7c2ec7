package simple

import (
	"errors"
	"io"
)

// tailSize is how much of a file's end is read first: a wheel's list of files
// and, in nearly all of them, its METADATA are there.
const tailSize = 256 << 10 // bytes

// Tail reads single places of a file that can be opened at any byte and not be
// held: the end of a wheel by HTTP ranges, or of a stream. Its end is read once.
type Tail struct {
	size int64
	open func(at int64) (io.ReadCloser, error)
	end  piece
	last piece // that was read elsewhere
}

type piece struct {
	at      int64
	content []byte
}

// copy copies what p has from at on.
func (p piece) copy(to []byte, at int64) int {
	if at < p.at || at >= p.at+int64(len(p.content)) {
		return 0
	}
	return copy(to, p.content[at-p.at:])
}

// NewTail reads the end of a file of size bytes. open opens it at a byte.
func NewTail(size int64, open func(at int64) (io.ReadCloser, error)) (*Tail, error) {
	t := &Tail{size: size, open: open}
	var err error
	t.end, err = t.read(max(0, size-tailSize), size)
	return t, err
}

func (t *Tail) read(from, to int64) (piece, error) {
	in, err := t.open(from)
	if err != nil {
		return piece{}, err
	}
	p := piece{from, make([]byte, to-from)}
	_, err = io.ReadFull(in, p.content)
	return p, errors.Join(err, in.Close())
}

// ReadAt implements io.ReaderAt. Bytes before the end that is held are read
// once more, tailSize bytes at a time.
func (t *Tail) ReadAt(p []byte, at int64) (n int, err error) {
	for n < len(p) && at >= 0 && at < t.size {
		read := max(t.end.copy(p[n:], at), t.last.copy(p[n:], at))
		if read == 0 {
			if t.last, err = t.read(at, min(at+tailSize, t.size)); err != nil {
				return n, err
			}
			continue
		}
		n, at = n+read, at+int64(read)
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}
