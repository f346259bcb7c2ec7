package upstream

import (
	"fmt"
	"hash"
	"io"

	"github.com/gapbundle/gapbundle/bundle"
)

// Verifier checks more about content than its checksum: a signature that a package
// carries. Write gets all of it and never fails; Verdict is asked after the last
// byte; Close ends the check, also one that was not completed.
type Verifier interface {
	io.Writer
	Verdict() error
	Close()
}

// Checked reads in and returns its last byte only after everything holds: size and
// sum of want, as far as they are known, and v, if it is not nil. Other content is
// bundle.ErrCorrupt, which Collect takes for a file that changed meanwhile. where
// names the content in errors. Close closes in and v.
func Checked(in io.ReadCloser, where string, want Want, v Verifier) io.ReadCloser {
	return &checked{in: in, where: where, want: want, sum: want.Sum.hash(), verify: v, buf: make([]byte, chunk)}
}

// checked holds back at least one byte until the verdict.
type checked struct {
	in     io.ReadCloser
	where  string
	want   Want
	sum    hash.Hash // nil: there is no checksum
	verify Verifier  // nil: the checksum alone is checked
	n      int64
	buf    []byte
	held   []byte // part of buf: read and not returned
	err    error  // what follows held
}

// chunk is how much is read at once.
const chunk = 64 << 10 // bytes

func (c *checked) Read(p []byte) (int, error) {
	for {
		ready := c.held
		if c.err != io.EOF && len(ready) > 0 {
			ready = ready[:len(ready)-1]
		}
		switch {
		case len(ready) > 0:
			n := copy(p, ready)
			c.held = c.held[n:]
			return n, nil
		case c.err != nil:
			return 0, c.err
		}
		kept := copy(c.buf, c.held)
		n, err := c.in.Read(c.buf[kept:])
		c.take(c.buf[kept : kept+n])
		c.held = c.buf[:kept+n]
		switch {
		case err == nil && c.want.Size >= 0 && c.n > c.want.Size: // it may never end
			err = c.verdict()
		case err == io.EOF:
			if err = c.verdict(); err == nil {
				err = io.EOF
			}
		}
		c.err = err
	}
}

func (c *checked) take(p []byte) {
	c.n += int64(len(p))
	if c.sum != nil {
		_, _ = c.sum.Write(p) // never fails
	}
	if c.verify != nil {
		_, _ = c.verify.Write(p) // never fails
	}
}

// verdict judges the whole content.
func (c *checked) verdict() error {
	have := Want{Size: c.n}
	if c.sum != nil {
		have.Sum = c.want.Sum.of(c.sum)
	}
	if c.want.Size >= 0 && c.n != c.want.Size || have.Sum != c.want.Sum {
		return fmt.Errorf("%s: want %s, got %s: %w", c.where, c.want, have, bundle.ErrCorrupt)
	}
	if c.verify == nil {
		return nil
	}
	return c.verify.Verdict()
}

func (c *checked) Close() error {
	if c.verify != nil {
		c.verify.Close()
	}
	return c.in.Close()
}
