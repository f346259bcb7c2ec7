package collect

import (
	"iter"

	"github.com/gapbundle/gapbundle/bundle"
)

// changes compares each repository of a plan with its files in the base.
type changes struct {
	resolved *Resolved
	before   func(Planned) iter.Seq2[bundle.File, error] // nil: there is no base
	tallies  []Tally
	next     int // the first repository that was not begun
	differ   *bundle.Differ
}

// see takes the next file of repository i.
func (c *changes) see(i int, f bundle.File) error {
	if c.before == nil {
		return nil
	}
	if err := c.finish(i); err != nil {
		return err
	}
	if c.differ == nil {
		c.begin()
	}
	return c.differ.See(f)
}

func (c *changes) begin() {
	c.differ = bundle.NewDiffer(c.before(c.resolved.Repositories[c.next]))
	c.next++
}

// finish ends all repositories before n, those without a file included.
func (c *changes) finish(n int) error {
	if c.before == nil {
		return nil
	}
	for {
		switch {
		case c.differ != nil && c.next > n: // it is the one that is under way
			return nil
		case c.differ != nil:
			counts, err := c.differ.Finish()
			c.differ = nil
			if err != nil {
				return err
			}
			c.tallies[c.next-1].Changes = counts
		case c.next >= n:
			return nil
		default:
			c.begin()
		}
	}
}

// stop releases what an error left open.
func (c *changes) stop() {
	if c.differ != nil {
		_, _ = c.differ.Finish() // the error that matters was reported
	}
}
