package files

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"sync"

	"github.com/gapbundle/gapbundle/bundle"
)

// seen is a file as a walk found it.
type seen struct {
	name      string // in the folder
	size      int64
	validator string
	digest    bundle.Digest // of the base, if it has the file unchanged; or zero
}

// walked keeps what the first whole walk found in a file in scratch, some 100 bytes for
// each file of the folder. A plan is looked at several times: the folder is walked once,
// and each file is looked at once.
type walked struct {
	file string // in scratch
	mu   sync.Mutex
	kept bool // it is whole
	busy bool // somebody walks to write it
}

// each calls f for each file, in order, until it returns false. walk is asked where
// nothing is kept.
func (w *walked) each(scratch *os.Root, walk func(found func(seen) (bool, error)) (bool, error), f func(seen) (bool, error)) (more bool, err error) {
	w.mu.Lock()
	kept, keep := w.kept, !w.kept && !w.busy && scratch != nil
	if keep {
		w.busy = true
	}
	w.mu.Unlock()
	switch {
	case kept:
		return replay(scratch, w.file, f)
	case !keep:
		return walk(f)
	}
	more, err = record(scratch, w.file, walk, f)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.busy, w.kept = false, more && err == nil
	return more, err
}

// record walks, and writes down what is found.
func record(scratch *os.Root, name string, walk func(found func(seen) (bool, error)) (bool, error), f func(seen) (bool, error)) (more bool, err error) {
	file, err := scratch.Create(name)
	if err != nil {
		return false, err
	}
	w := bufio.NewWriterSize(file, recordBuffer)
	var line []byte
	more, err = walk(func(s seen) (bool, error) {
		line = s.append(line[:0])
		if _, err := w.Write(line); err != nil {
			return false, err
		}
		return f(s)
	})
	return more, errors.Join(err, w.Flush(), file.Close())
}

const recordBuffer = 64 << 10 // bytes

// replay calls f for what was written down.
func replay(scratch *os.Root, name string, f func(seen) (bool, error)) (more bool, err error) {
	file, err := scratch.Open(name)
	if err != nil {
		return false, err
	}
	defer file.Close()
	r := bufio.NewReaderSize(file, recordBuffer)
	for {
		s, err := readSeen(r)
		if err == io.EOF {
			return true, nil
		}
		if err != nil {
			return false, fmt.Errorf("%s: %w", file.Name(), err)
		}
		if more, err := f(s); !more || err != nil {
			return more, err
		}
	}
}

// append writes a file as name and validator, each after its length, size and digest.
func (s *seen) append(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(len(s.name)))
	b = append(b, s.name...)
	b = binary.AppendUvarint(b, uint64(len(s.validator)))
	b = append(b, s.validator...)
	b = binary.AppendUvarint(b, uint64(s.size))
	return append(b, s.digest[:]...)
}

// readSeen reads what append wrote. io.EOF is the end of the file alone.
func readSeen(r *bufio.Reader) (s seen, err error) {
	if _, err := r.Peek(1); err != nil {
		return s, err
	}
	var size uint64
	if s.name, err = readText(r); err == nil {
		s.validator, err = readText(r)
	}
	if err == nil {
		size, err = binary.ReadUvarint(r)
	}
	if err == nil {
		_, err = io.ReadFull(r, s.digest[:])
	}
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	s.size = int64(size)
	return s, err
}

func readText(r *bufio.Reader) (string, error) {
	n, err := binary.ReadUvarint(r)
	if err != nil {
		return "", err
	}
	if n > bundle.MaxAnnotationSize { // a path has less, a validator too
		return "", fmt.Errorf("text of %s: %w", bundle.Count(n, "byte"), bundle.ErrMalformed)
	}
	b := make([]byte, n)
	_, err = io.ReadFull(r, b)
	return string(b), err
}

// near opens files of a folder that come in order of their paths: the directory of the
// one before is still open, which saves two system calls for each directory on the way.
type near struct {
	dir  string // of the folder
	mu   sync.Mutex
	last *openDir
}

// openDir is a directory that files are opened in. It is closed when another one has
// taken its place and nobody uses it.
type openDir struct {
	path  string
	root  *os.Root
	users int
	left  bool
}

func (n *near) open(name string) (*os.File, error) {
	in, base := path.Split(name)
	d, err := n.take(path.Clean(in))
	if err != nil {
		return nil, err
	}
	file, err := d.root.Open(base)
	if left := n.leave(d); err == nil {
		if left != nil {
			return nil, errors.Join(left, file.Close())
		}
		return file, nil
	}
	// A link may lead out of the directory, not out of the folder.
	root, err := os.OpenRoot(n.dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return root.Open(name)
}

func (n *near) take(dir string) (*openDir, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.last == nil || n.last.path != dir {
		root, err := os.OpenRoot(n.dir)
		if err != nil {
			return nil, err
		}
		defer root.Close()
		in, err := root.OpenRoot(dir)
		if err != nil {
			return nil, err
		}
		if old := n.last; old != nil {
			if old.left = true; old.users == 0 {
				_ = old.root.Close() // read-only
			}
		}
		n.last = &openDir{path: dir, root: in}
	}
	n.last.users++
	return n.last, nil
}

func (n *near) leave(d *openDir) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if d.users--; d.users == 0 && d.left {
		return d.root.Close()
	}
	return nil
}
