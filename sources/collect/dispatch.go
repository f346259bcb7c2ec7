package collect

import (
	"context"
	"fmt"

	"github.com/gapbundle/gapbundle/bundle/media"
	"github.com/gapbundle/gapbundle/internal/fetch"
)

// dispatch hands the artifacts out in plan order: each to the listing, and
// what has to be fetched to its run or to the tail. It closes ordered.
func (c *collection) dispatch(ctx context.Context, runs []media.Run, ordered chan<- []*result) error {
	defer close(ordered)
	var batch []*result // one send for each artifact costs more than all else where nothing is new
	t := newTriage(c.o.Have)
	var run chan *result
	var left int64
	defer func() {
		if run != nil {
			close(run)
		}
	}()
	for p, err := range c.resolved.artifacts() {
		if err != nil {
			return err
		}
		u := c.result(p)
		decision := t.decide(&u.file)
		if batch = append(batch, u); len(batch) == aheadItems {
			if err := send(ctx, ordered, batch); err != nil {
				return err
			}
			batch = nil
		}
		switch decision {
		case decidedKnown:
			u.settle(c.known(ctx, u))
		case decidedTail:
			err = c.toTail(ctx, u)
		case decidedSized:
			if left == 0 {
				if len(runs) == 0 {
					return errPlanMoved
				}
				if run, err = c.start(ctx, runs[0]); err != nil {
					return err
				}
				left, runs = runs[0].Count, runs[1:]
			}
			err = send(ctx, run, u)
			if left--; left == 0 {
				close(run)
				run = nil
			}
		}
		if err != nil {
			return err
		}
	}
	if left > 0 || len(runs) > 0 {
		return errPlanMoved
	}
	return send(ctx, ordered, batch)
}

// errPlanMoved: two looks at the sources' metadata did not name the same artifacts.
var errPlanMoved = &movedError{fmt.Errorf("sources: the plan changed while it was collected: %w", fetch.ErrUpstream)}

func send[T any](ctx context.Context, to chan<- T, v T) error {
	select {
	case to <- v:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// start begins to fill a run, when fewer than openRuns are being filled.
func (c *collection) start(ctx context.Context, run media.Run) (chan *result, error) {
	if err := c.running.Acquire(ctx, 1); err != nil {
		return nil, err
	}
	in := make(chan *result, aheadItems)
	c.runs.Go(func() error {
		defer c.running.Release(1)
		return c.fill(ctx, run, in)
	})
	return in, nil
}

// toTail sends u to the open-ended run after all planned volumes. It does
// not count as one of openRuns: the others may wait for it to make room.
func (c *collection) toTail(ctx context.Context, u *result) error {
	if c.tail == nil {
		in := make(chan *result, aheadItems)
		c.tail = in
		c.runs.Go(func() error { return c.fill(ctx, media.Run{First: c.last + 1}, in) })
	}
	return send(ctx, c.tail, u)
}
