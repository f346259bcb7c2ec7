package site

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"
)

// place puts files into a generation, with one time and fixed modes.
type place struct {
	root *os.Root
	time time.Time
	last string // the folder made last: lists are sorted, so it is mostly the next one too
}

// folder makes dir and what is above it. Mostly what is above is there.
func (p *place) folder(dir string) error {
	if dir == "." || dir == p.last {
		return nil
	}
	err := p.root.Mkdir(dir, 0o755)
	if errors.Is(err, fs.ErrNotExist) {
		if err := p.folder(path.Dir(dir)); err != nil {
			return err
		}
		err = p.root.Mkdir(dir, 0o755)
	}
	if err == nil {
		err = p.root.Chmod(dir, 0o755)
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	p.last = dir
	return nil
}

// file makes a new file from what fill writes. A name that is taken is an
// error: nothing generated replaces anything.
func (p *place) file(name string, fill func(io.Writer) error) error {
	return p.unbuffered(name, func(w io.Writer) error {
		b := bufio.NewWriterSize(w, 64<<10)
		return errors.Join(fill(b), b.Flush())
	})
}

func (p *place) unbuffered(name string, fill func(io.Writer) error) (err error) {
	if err := p.folder(path.Dir(name)); err != nil {
		return err
	}
	f, err := p.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	defer func() {
		if cerr := f.Close(); err == nil {
			err = cerr
		}
		if err == nil {
			err = p.root.Chtimes(name, p.time, p.time)
		}
	}()
	if err := f.Chmod(0o644); err != nil {
		return err
	}
	if err := fill(f); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// bytes makes a new file that holds content.
func (p *place) bytes(name string, content []byte) error {
	return p.unbuffered(name, func(w io.Writer) error {
		_, err := w.Write(content)
		return err
	})
}

// link makes name a relative symbolic link to target, both relative to the
// web root: it holds wherever the generation is renamed to.
func (p *place) link(target, name string) error {
	if err := p.folder(path.Dir(name)); err != nil {
		return err
	}
	return p.root.Symlink(strings.Repeat("../", strings.Count(name, "/"))+target, name)
}
