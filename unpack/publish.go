package unpack

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gapbundle/gapbundle/unpack/state"
	"github.com/gapbundle/gapbundle/unpack/tree"
)

// proposal is what is to be published next.
type proposal struct {
	sets   []tree.GenerationSet // by name; tree numbers are not looked at
	reason string
	// baseURL replaces the one of the settings; empty: it stays.
	baseURL string
	// at is the time that an interrupted run had begun to use; zero, or no
	// longer later than what is published: another is taken.
	at time.Time
	// then is what has to be on record before the publish counts.
	then state.Record
	// instead is used in place of the published generation if the record of that is lost; nil:
	// it is not.
	instead *tree.Generation
	// changes are those of the sets in it, reported once it is published.
	changes []RepositoryChanges
}

// publishTime returns the time of a generation's files, in whole seconds. It is later than
// that of every earlier generation and than mended, the time of the last repair, even if the
// local clock is wrong: servers and clients compare these times to notice a change.
func publishTime(at, now time.Time, current *tree.Generation, mended time.Time) time.Time {
	last := mended
	if current != nil && current.Time.After(last) {
		last = current.Time
	}
	if at.IsZero() {
		at = now
	}
	at = at.UTC().Truncate(time.Second)
	if !at.After(last) {
		at = now.UTC().Truncate(time.Second)
	}
	if !at.After(last) {
		at = last.Add(time.Second)
	}
	return at
}

// publish builds the next generation out of the store and the lists, durably,
// and then switches to it. Until the switch nothing that a client can see
// changes; an error before it leaves rubbish that the next run sweeps.
func (w *writer) publish(ctx context.Context, p proposal) (*tree.Generation, error) {
	current := p.instead
	var err error
	if current == nil {
		current, err = w.trees.Published()
	}
	if err != nil {
		return nil, err
	}
	if err := w.trees.SweepBuilds(current); err != nil {
		return nil, err
	}
	s, err := w.state.Settings()
	if err != nil {
		return nil, err
	}
	if p.baseURL != "" && p.baseURL != s.BaseURL {
		s.BaseURL = p.baseURL
		p.then.Settings = &s
	}
	g := &tree.Generation{Number: 1, NextTree: 1, Reason: p.reason, BaseURL: s.BaseURL, Sets: p.sets}
	if current != nil {
		g.Number, g.NextTree = current.Number+1, current.NextTree
	}
	if p.then.Withdraw {
		if g.Withdrawn, err = w.trees.Withdrawn(current, g.Sets); err != nil {
			return nil, err
		}
	}
	g.Time = publishTime(p.at, w.state.Now(), current, s.Mended)
	if err := w.copyRatchets(g.Sets, p.then.Ratchets); err != nil {
		return nil, err
	}
	policy, err := w.state.Policy()
	if err != nil {
		return nil, err
	}
	if err := w.state.Probe(); err != nil {
		return nil, err
	}
	if g.Journal, err = w.state.HeadAfter(g.Number, p.then.Journal); err != nil {
		return nil, err
	}
	if err := w.trees.Build(ctx, g, current, policy, seniority(w.state.State)); err != nil {
		return nil, fmt.Errorf("generation %d: %w", g.Number, err)
	}
	if err := errors.Join(untilPast(ctx, g.Time), w.there()); err != nil {
		return nil, err
	}
	in, err := w.state.Intend(g.Number, p.then)
	if err != nil {
		return nil, err
	}
	if err := w.complete(in); err != nil {
		return w.published(g, err)
	}
	return g, nil
}

// published finds out whether a generation is published although publishing it failed with
// err, and returns the error that describes what is left to do.
func (w *writer) published(g *tree.Generation, err error) (*tree.Generation, error) {
	now, perr := w.trees.Published()
	if perr != nil || now == nil || now.Number != g.Number {
		return nil, fmt.Errorf("generation %d: the next command that changes the mirror publishes it: %w", g.Number, errors.Join(err, perr))
	}
	return g, &UnrecordedError{Generation: g.Number, Err: err}
}

// UnrecordedError: a generation is published, and not everything about it could be put on
// record. The next command that changes the mirror does that first.
type UnrecordedError struct {
	Generation int
	Err        error
}

func (e *UnrecordedError) Error() string {
	return fmt.Sprintf("generation %d is published; what is left to be put on record is done by the next command that changes the mirror: %v", e.Generation, e.Err)
}

// Unwrap returns what was in the way.
func (e *UnrecordedError) Unwrap() error { return e.Err }

// untilPast waits until a T that had to be later than the one before is no
// longer ahead, which takes a second at most. Servers follow RFC 9110 section
// 8.8.2.1 and send a Last-Modified that is ahead as "now": two versions that
// are published within one second would share it, and Apache was seen to
// answer 304 to a client that held the first. It is the machine's clock that
// servers go by. A clock that is wrong by more is not waited for.
func untilPast(ctx context.Context, t time.Time) error {
	ahead := time.Until(t)
	if ahead <= 0 || ahead > time.Second {
		return nil
	}
	timer := time.NewTimer(ahead)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// copyRatchets notes in each set what is accepted of it now: next, or what is
// on record.
func (w *writer) copyRatchets(sets []tree.GenerationSet, next []state.Ratchet) error {
	for i := range sets {
		t, err := w.state.Ratchet(sets[i].Set)
		if err != nil {
			return err
		}
		for _, n := range next {
			if n.Set == t.Set {
				t = n
			}
		}
		sets[i].Accepted, sets[i].AcceptedStream, sets[i].Floor = t.Sequence, t.Stream, t.Floor
	}
	return nil
}

// complete switches to the generation and puts everything on record.
func (w *writer) complete(in *state.Intent) error {
	if err := w.trees.Switch(in.Generation, in.Withdraw); err != nil {
		return fmt.Errorf("generation %d: switch: %w", in.Generation, err)
	}
	return w.state.Complete(in)
}

// resume completes what an interrupted run had decided to publish.
func (w *writer) resume() error {
	in, err := w.state.Interrupted()
	if err != nil || in == nil {
		return err
	}
	w.o.Log.Info("completing an interrupted publish", "generation", in.Generation)
	return w.complete(in)
}
