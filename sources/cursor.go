package sources

import (
	"fmt"
	"iter"

	"github.com/gapbundle/gapbundle/bundle"
)

// Cursor looks up recorded files of one repository in the order of their
// paths. It streams: memory does not grow with the repository. It is for one
// goroutine, and Close ends it.
type Cursor struct {
	repo    string
	next    func() (Recorded, error, bool)
	stop    func()
	current Recorded
	state   cursorState
	err     error
}

type cursorState int

const (
	cursorNew cursorState = iota
	cursorAt              // current is valid
	cursorEnd
)

// Cursor begins before the first recorded file of a repository.
func (e *Env) Cursor(repo string) *Cursor {
	if e.Base == nil {
		return &Cursor{repo: repo, stop: func() {}, state: cursorEnd}
	}
	next, stop := iter.Pull2(e.Base.Files(repo))
	return &Cursor{repo: repo, next: next, stop: stop}
}

// Lookup finds path, which must not precede one that was looked up
// already. An error of the base is returned by every call from then on.
func (c *Cursor) Lookup(path string) (Recorded, bool, error) {
	for c.err == nil && c.state != cursorEnd {
		if c.state == cursorAt {
			switch order := bundle.ComparePaths(c.current.File.Path, path); {
			case order == 0:
				return c.current, true, nil
			case order > 0:
				return Recorded{}, false, nil
			}
		}
		r, err, ok := c.next()
		switch {
		case !ok:
			c.state = cursorEnd
		case err != nil:
			c.err = fmt.Errorf("base of %s: %w", c.repo, err)
		default:
			c.current, c.state = r, cursorAt
		}
	}
	return Recorded{}, false, c.err
}

// Close releases what the cursor holds.
func (c *Cursor) Close() { c.stop() }
