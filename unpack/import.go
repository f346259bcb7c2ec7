package unpack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/unpack/site"
	"github.com/gapbundle/gapbundle/unpack/state"
	"github.com/gapbundle/gapbundle/unpack/store"
	"github.com/gapbundle/gapbundle/unpack/tree"
	"github.com/gapbundle/gapbundle/verify"
)

// Import imports verified bundles as Receive does. They must have been opened
// with this mirror's Receiver.
func (m *Mirror) Import(ctx context.Context, bundles []*verify.Bundle, o ImportOptions) (res *Result, err error) {
	arrived := &arrivals{}
	for _, b := range bundles {
		arrived.all = append(arrived.all, &arrival{Bundle: b})
	}
	slices.SortStableFunc(arrived.all, func(a, b *arrival) int {
		if c := strings.Compare(a.set(), b.set()); c != 0 {
			return c
		}
		return int(min(1, max(-1, a.sequence()-b.sequence())))
	})
	if m.o.DryRun {
		return rehearse(ctx, m.state, m.trees, arrived, o.Changes)
	}
	err = m.write(ctx, func(w *writer) error {
		if err := w.sweep(); err != nil {
			return err
		}
		res, err = w.importAll(ctx, arrived, o)
		return err
	})
	return res, err
}

// importing is one run of importAll.
type importing struct {
	*writer
	options ImportOptions
	arrived *arrivals
	res     *Result
	stored  atomic.Int64
	// tookOver says what was taken over from a state of before, empty: nothing.
	tookOver string
}

func (w *writer) importAll(ctx context.Context, arrived *arrivals, o ImportOptions) (*Result, error) {
	if o.BaseURL != "" {
		if err := site.CheckBase(o.BaseURL); err != nil {
			return nil, err
		}
	}
	r := &importing{writer: w, options: o, arrived: arrived, res: &Result{}}
	err := r.run(ctx)
	r.res.NewBytes = r.stored.Load()
	if g, gerr := w.trees.Published(); gerr == nil && g != nil {
		r.res.Files, r.res.Bytes = tree.Totals(g.Sets)
		r.res.Waiting = g.Waiting()
	}
	return r.res, err
}

func (r *importing) run(ctx context.Context) error {
	choices, unexcused := r.arrived.choices()
	if len(unexcused) > 0 {
		return r.refuse(unexcused)
	}
	if err := r.checkRatchets(choices); err != nil {
		return err
	}
	if err := checkConflicts(r.state.State, r.trees.Trees, choices); err != nil {
		return errors.Join(err, r.state.Note(r.conflictEntries(choices, err)...))
	}
	var targets []*arrival
	var errs []error
	for _, c := range choices {
		target, err := r.choose(ctx, c)
		if err != nil {
			errs = append(errs, err)
		} else if target != nil {
			targets = append(targets, target)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return errors.Join(err, r.fail(ctx, choices, err))
	}
	if len(targets) == 0 {
		return r.nothingNew(ctx, choices)
	}
	err := r.publishAll(ctx, choices, targets)
	if errors.Is(err, bundle.ErrIncomplete) || errors.Is(err, bundle.ErrCorrupt) {
		// The store does not have what was recorded as placed: read it again.
		for _, t := range targets {
			err = errors.Join(err, r.state.ForgetPlaced(t.Name()))
		}
	}
	return err
}

// checkRatchets asks again, now that the lock is held.
func (r *importing) checkRatchets(choices []*choice) error {
	for _, c := range choices {
		t, err := r.state.Ratchet(c.set)
		if err != nil {
			return err
		}
		for _, a := range c.candidates {
			switch {
			case t.Stream != "" && t.Stream != a.Manifest().Stream:
				return &verify.StreamError{Set: c.set, Have: t.Stream, Got: a.Manifest().Stream}
			case t.Has(a.Root()) || a.sequence() <= t.Sequence && !slices.Contains(a.Overrides(), verify.OverrideRollback):
				return &verify.ReplayError{Set: c.set, Have: t.Sequence, Got: a.sequence()}
			}
		}
	}
	return nil
}

// refuse puts refusals on record and gives their errors.
func (r *importing) refuse(refused []refusal) error {
	var errs []error
	var entries []state.Entry
	for _, f := range refused {
		errs = append(errs, f.err)
		entries = append(entries, refusalEntry(f, r.state.Now()))
		r.res.Bundles = append(r.res.Bundles, refusalResult(f))
	}
	return errors.Join(append(errs, r.state.Note(entries...))...)
}

func refusalEntry(f refusal, at time.Time) state.Entry {
	return state.Entry{Time: at, What: "import", Outcome: state.Refused, Set: f.set, Sequence: f.sequence, Detail: f.err.Error()}
}

func refusalResult(f refusal) BundleResult {
	return BundleResult{Name: f.name, Set: f.set, Sequence: f.sequence, Outcome: state.Refused, Reason: f.err.Error(), Report: f.report}
}

// sweep removes what crashes left of imports, but for the partial blobs that
// some pending bundle accounts for.
func (w *writer) sweep() error {
	if err := w.state.SweepPending(); err != nil {
		return err
	}
	names, err := w.state.Pendings()
	if err != nil {
		return err
	}
	claimed := map[bundle.Digest]bool{}
	for _, name := range names {
		p, err := w.state.ReadPending(name)
		if err != nil {
			return err
		}
		for d := range p.Segments {
			claimed[d] = true
		}
	}
	if err := w.lists.Sweep(nil); err != nil {
		return err
	}
	return w.blobs.Sweep(func(d bundle.Digest) bool { return claimed[d] })
}

// choose places what is at hand of a set and gives the bundle that is to be
// published, nil if there is none that is new. A candidate that nobody named
// and that still lacks volumes is passed over for an older one.
func (r *importing) choose(ctx context.Context, c *choice) (*arrival, error) {
	for i, a := range c.candidates {
		err := r.admit(ctx, a)
		if err == nil {
			c.passed = append(c.passed, c.candidates[i+1:]...)
			c.candidates = c.candidates[i : i+1]
			return a, nil
		}
		if !a.background || !errors.Is(err, bundle.ErrIncomplete) {
			return nil, err
		}
	}
	return nil, nil
}

// admit judges a bundle by its lists, gets its blobs, and judges it by those that
// clients trust.
func (r *importing) admit(ctx context.Context, a *arrival) (err error) {
	if a.survey, err = lookAt(r.state.State, a.Bundle); err == nil {
		err = r.acquire(ctx, a)
	}
	if err == nil {
		err = r.judge(a)
	}
	return r.dropRefused(a.Bundle, err)
}

// acquire gets all blobs of a bundle into the store: from its own volumes, and
// where those do not have them from the other bundles at hand.
func (r *importing) acquire(ctx context.Context, a *arrival) error {
	p, err := r.state.Await(a.Bundle, r.state.Now())
	if err != nil {
		return err
	}
	if err := r.place(ctx, a.Bundle, p, &r.stored); err != nil {
		return err
	}
	absent := r.absent(a, p)
	if absent == nil && len(r.arrived.all) == 1 {
		return nil // verify has found everything else in the store
	}
	lacking, err := r.lacking(a.Bundle)
	if err != nil || len(lacking) == 0 {
		return err
	}
	var errs []error
	for _, other := range slices.Backward(r.arrived.all) {
		if other == a || other.Known() || !slices.ContainsFunc(lacking, other.Carries) {
			continue
		}
		errs = append(errs, r.borrow(ctx, other))
		if lacking, err = r.lacking(a.Bundle); err != nil || len(lacking) == 0 {
			return err
		}
	}
	if absent != nil {
		return errors.Join(append(errs, absent)...)
	}
	return errors.Join(append(errs, fmt.Errorf("%s: %d blobs are not here: %w", a.Name(), len(lacking), bundle.ErrIncomplete))...)
}

// borrow places the volumes of a bundle that another one builds on.
func (r *importing) borrow(ctx context.Context, a *arrival) error {
	p, err := r.state.Await(a.Bundle, r.state.Now())
	if err != nil {
		return err
	}
	if err := r.place(ctx, a.Bundle, p, &r.stored); err != nil {
		return err
	}
	return r.absent(a, p)
}

// absent is an error that names the volumes that were not placed, nil if all
// were.
func (r *importing) absent(a *arrival, p *state.Waiting) error {
	e := &verify.MissingVolumesError{Name: a.Name()}
	for i, v := range a.Volumes() {
		if !p.Placed[i+1] {
			e.Volumes, e.Bytes = append(e.Volumes, v.Name), e.Bytes+v.Size
		}
	}
	if len(e.Volumes) == 0 {
		return nil
	}
	return e
}

// lacking are the blobs that the bundle's lists name and the store has not.
func (w *writer) lacking(b *verify.Bundle) ([]bundle.Digest, error) {
	var out []bundle.Digest
	for i := range b.Manifest().Repositories {
		for f, err := range b.Files(i) {
			if err != nil {
				return nil, err
			}
			if ok, err := w.blobs.Has(f.Digest, f.Size); err != nil {
				return nil, err
			} else if !ok {
				out = append(out, f.Digest)
			}
		}
	}
	return out, nil
}

// keepLists stores the lists of a bundle, which publishing, checking and later
// deltas read.
func (w *writer) keepLists(ctx context.Context, b *verify.Bundle) error {
	batch := w.lists.Begin()
	defer batch.Discard()
	for _, r := range b.Manifest().Repositories {
		for _, d := range r.Lists() {
			if err := w.keepList(b, batch, d); err != nil {
				return fmt.Errorf("repository %s: lists: %w", r.Name, err)
			}
		}
	}
	return batch.Flush(ctx)
}

func (w *writer) keepList(b *verify.Bundle, batch *store.Batch, desc v1.Descriptor) error {
	d, err := bundle.ParseDigest(string(desc.Digest))
	if err != nil {
		return err
	}
	if ok, err := w.lists.Has(d, desc.Size); ok || err != nil {
		return err
	}
	in, err := b.OpenList(d)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := batch.Create()
	if err != nil {
		return err
	}
	h := bundle.NewHash()
	if _, err := io.Copy(io.MultiWriter(out, h), in); err != nil {
		out.Abort()
		return err
	}
	if got := bundle.SumOf(h); got != d {
		out.Abort()
		return fmt.Errorf("digest mismatch: want %s, got %s: %w", d, got, bundle.ErrCorrupt)
	}
	return out.Commit(d)
}
