package unpack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
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

// importing is one run of importAll. Each step reads what has come, and adds to the result.
type importing struct {
	*writer
	options ImportOptions
	arrived *arrivals
	res     *Result
	stored  atomic.Int64
	// tookOver describes what was taken over from the state of an older program; empty: nothing.
	tookOver string
}

func (w *writer) importAll(ctx context.Context, arrived *arrivals, o ImportOptions) (*Result, error) {
	if o.BaseURL != "" {
		if err := site.CheckBase(o.BaseURL); err != nil {
			return nil, err
		}
	}
	r := &importing{writer: w, options: o, arrived: arrived, res: &Result{}}
	err := errors.Join(r.run(ctx), r.noteForward())
	r.res.NewBytes = r.stored.Load()
	if g, gerr := w.trees.Published(); gerr == nil && g != nil {
		r.res.Files, r.res.Bytes = tree.Totals(g.Sets)
		r.res.Waiting = g.Waiting()
	}
	return r.res, err
}

// run publishes every set that can be published, each by itself, and returns the errors of
// the others.
func (r *importing) run(ctx context.Context) error {
	choices, unexcused := r.arrived.choices()
	r.res.Notes = append(r.res.Notes, arrivalNotes(r.arrived.all)...)
	errs := []error{r.refuse(unexcused)}
	if err := r.checkRatchets(choices); err != nil {
		return err
	}
	if err := settleConflicts(r.state.State, r.trees.Trees, choices); err != nil {
		return err
	}
	if err := r.checkSpace(ctx, choices); err != nil {
		return errors.Join(err, r.fail(choices, err))
	}
	var targets []*arrival
	for _, c := range choices {
		target, err := r.choose(ctx, c)
		if err != nil {
			return errors.Join(err, r.fail(choices, err))
		}
		if target != nil {
			targets = append(targets, target)
		}
	}
	mended, err := r.mendDamaged(ctx)
	if err != nil {
		return errors.Join(err, r.fail(choices, err))
	}
	if mended != nil {
		r.res.Notes = append(r.res.Notes, fmt.Sprintf("the bundle replaced damaged content of %s", bundle.Count(int64(len(mended.Mended))+mended.More, "published name")))
	}
	if err := r.publishTargets(ctx, choices, targets); err != nil {
		return err
	}
	return errors.Join(append(errs, r.recordFailures(choices), r.discardFailed(ctx, choices))...)
}

// checkSpace refuses before anything is written what the file system has no room for.
func (r *importing) checkSpace(ctx context.Context, choices []*choice) error {
	current, err := r.trees.Published()
	if err != nil {
		return err
	}
	r.res.Need, err = measure(ctx, r.o, r.dir, r.state.State, r.blobs, current, choices)
	var space *SpaceError
	if err == nil || !errors.As(err, &space) || len(choices) < 2 {
		return err
	}
	// A set that has no room by itself does not take it from the others.
	for _, c := range choices {
		_, alone := measure(ctx, r.o, r.dir, r.state.State, r.blobs, current, []*choice{c})
		switch {
		case alone == nil:
		case errors.As(alone, &space):
			c.drop(alone)
		default:
			return alone
		}
	}
	r.res.Need, err = measure(ctx, r.o, r.dir, r.state.State, r.blobs, current, choices)
	return err
}

// publishTargets publishes the targets together. Where something about one of them is in
// the way, each is published by itself, so that it does no harm to the others.
func (r *importing) publishTargets(ctx context.Context, choices []*choice, targets []*arrival) error {
	if len(targets) == 0 {
		return r.nothingNew(ctx, choices)
	}
	err := r.publishAll(ctx, choices, targets)
	if err == nil || outcomeOf(err) == state.Failed {
		return err
	}
	for _, t := range targets {
		i := slices.IndexFunc(choices, func(c *choice) bool { return slices.Contains(c.candidates, t) })
		alone := err
		if len(targets) > 1 {
			alone = r.publishAll(ctx, choices[i:i+1], []*arrival{t})
		}
		if alone == nil {
			continue
		}
		if outcomeOf(alone) == state.Failed {
			return alone
		}
		if errors.Is(alone, bundle.ErrIncomplete) || errors.Is(alone, bundle.ErrCorrupt) {
			// The store does not have what was recorded as placed: read it again.
			alone = errors.Join(alone, r.state.Queue().Forget(t.Name()))
		}
		choices[i].drop(alone)
	}
	for _, c := range choices {
		if !slices.ContainsFunc(targets, func(t *arrival) bool { return slices.Contains(c.candidates, t) }) {
			r.res.Bundles = append(r.res.Bundles, unpublished(r.state.State, c, state.Pending)...)
		}
	}
	r.excuse()
	return nil
}

// recordFailures puts on record what could not be published, and returns the errors.
func (r *importing) recordFailures(choices []*choice) error {
	var errs []error
	var entries []state.Entry
	for _, c := range choices {
		told := map[error]bool{}
		for _, f := range c.failed {
			if !told[f.err] {
				told[f.err] = true
				errs = append(errs, f.err)
			}
			entries = append(entries, r.entry(f.arrival, outcomeOf(f.err), f.err.Error()))
		}
	}
	if len(entries) > 0 {
		errs = append(errs, r.state.Note(entries...))
	}
	return errors.Join(errs...)
}

// checkRatchets asks again, now that the lock is held. The error is of reading them.
func (r *importing) checkRatchets(choices []*choice) error {
	for _, c := range choices {
		t, err := r.state.Ratchet(c.set)
		if err != nil {
			return err
		}
		for _, a := range c.candidates {
			switch {
			case t.Stream != "" && t.Stream != a.Manifest().Stream:
				c.drop(&verify.StreamError{Set: c.set, Have: t.Stream, Got: a.Manifest().Stream})
			case t.Has(a.Root()) || a.sequence() <= t.Sequence && !slices.Contains(a.Overrides(), verify.OverrideRollback):
				c.drop(&verify.ReplayError{Set: c.set, Have: t.Sequence, Got: a.sequence()})
			}
			if len(c.candidates) == 0 {
				break
			}
		}
	}
	return nil
}

// settleConflicts gives up what could not be published together with the other sets.
// If two sets come in one run and want the same place, the one that wants it
// although another set has it already; where neither has it, both: nobody here knows
// whose it is.
func settleConflicts(of *state.State, trees *tree.Trees, choices []*choice) error {
	for {
		err := checkConflicts(of, trees, choices)
		var conflict *tree.ConflictError
		if err == nil || !errors.As(err, &conflict) {
			return err
		}
		var both, alone []*choice
		for _, c := range choices {
			if slices.Contains(conflict.Sets[:], c.set) && len(c.candidates) > 0 {
				both = append(both, c)
				if checkConflicts(of, trees, []*choice{c}) != nil {
					alone = append(alone, c)
				}
			}
		}
		if len(both) == 0 {
			return err
		}
		if len(alone) > 0 {
			both = alone
		}
		for _, c := range both {
			c.drop(err)
		}
	}
}

// refuse records refusals in the journal and returns their errors, joined.
func (r *importing) refuse(refused []refusal) error {
	if len(refused) == 0 {
		return nil
	}
	var errs []error
	var entries []state.Entry
	for _, f := range refused {
		errs = append(errs, f.named())
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
	if err := w.state.Queue().Sweep(); err != nil {
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

// tidy removes what crashes left, and finishes what an import that was interrupted had begun to repair.
func (w *writer) tidy(ctx context.Context) error {
	if err := w.sweep(); err != nil {
		return err
	}
	_, err := w.mendDamaged(ctx)
	return err
}

// choose places what is at hand of a set and returns the bundle that is to be published,
// nil if there is none. A candidate that cannot be published is passed over for an older
// one, and is a failure unless nobody named it and it still lacks volumes. An error is of
// the machine, and ends the run.
func (r *importing) choose(ctx context.Context, c *choice) (*arrival, error) {
	for i, a := range c.candidates {
		err := r.admit(ctx, a)
		switch {
		case err == nil:
			c.passed = append(c.passed, c.candidates[i+1:]...)
			c.candidates = c.candidates[i : i+1]
			return a, nil
		case ctx.Err() != nil || outcomeOf(err) == state.Failed:
			return nil, err
		case a.background && errors.Is(err, bundle.ErrIncomplete):
		default:
			c.failed = append(c.failed, failed{a, err})
		}
	}
	c.candidates = slices.DeleteFunc(c.candidates, func(a *arrival) bool {
		return slices.ContainsFunc(c.failed, func(f failed) bool { return f.arrival == a })
	})
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
	p, err := r.bring(ctx, a.Bundle)
	if err != nil {
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
	return errors.Join(append(errs, fmt.Errorf("%s: %s are not here: %w", a.Name(), bundle.Count(len(lacking), "blob"), bundle.ErrIncomplete))...)
}

// borrow places the volumes of a bundle that another one builds on.
func (r *importing) borrow(ctx context.Context, a *arrival) error {
	p, err := r.bring(ctx, a.Bundle)
	if err != nil {
		return err
	}
	return r.absent(a, p)
}

// absent returns an error that names the volumes that were not placed, nil if all
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

// lacking returns the blobs that the bundle's lists name and the store has not.
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
	ok, err := w.lists.Has(d, desc.Size)
	if err != nil {
		return err
	}
	if ok && (!b.CarriesList(d) || w.lists.Verify(d) == nil) {
		return nil
	}
	return copyList(b, batch, d)
}

// copyList puts a list of a bundle into a batch.
func copyList(b *verify.Bundle, batch *store.Batch, d bundle.Digest) error {
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
