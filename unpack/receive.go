package unpack

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/bundle/reach"
	"github.com/gapbundle/gapbundle/unpack/state"
	"github.com/gapbundle/gapbundle/unpack/tree"
	"github.com/gapbundle/gapbundle/verify"
)

// ImportOptions are what an operator says along with one import.
type ImportOptions struct {
	// BaseURL is the address of the mirror for clients, as site.CheckBase
	// allows it, and is remembered; empty: as before.
	BaseURL string
	// The next four are verify.Options of the same names.
	AllowRollback, AcceptExpired, AcceptKeys bool
	Confirm                                  func(keys []bundle.PublishedKey) (bool, error)
	// Changes is how many changes by name the result has of each set; 0: none are
	// looked for, contents.All: all of them.
	Changes int
}

// arrival is a verified bundle that is at hand in one run.
type arrival struct {
	*verify.Bundle
	// background: nobody named it; its root was pending.
	background bool
	// survey is what its lists show, reach what was judged: set by choose.
	survey *reach.Survey
	reach  *tree.Reach
}

func (a *arrival) set() string     { return a.Manifest().Set }
func (a *arrival) sequence() int64 { return a.Manifest().Sequence }

// refusal is a bundle that did not pass verify.Open.
type refusal struct {
	name, set string
	sequence  int64
	report    *verify.Report
	err       error
}

// arrivals are all bundles of one run, by set and sequence.
type arrivals struct {
	readers []*bundle.Reader
	all     []*arrival
	refused []refusal
}

func (a *arrivals) close() error {
	var errs []error
	for _, r := range a.readers {
		errs = append(errs, r.Close())
	}
	return errors.Join(errs...)
}

// Receive imports what is in paths, each a bundle or a folder that holds
// some. Bundles that waited for volumes are taken along when those have come.
//
// Either everything at hand that is wanted gets published, in one generation,
// or nothing does. Of several bundles of a set the newest is published; older
// ones help out with blobs, and one that is damaged or refused is an error
// only if the newest cannot do without it. The Result says what became of
// each, also where there is an error.
func (m *Mirror) Receive(ctx context.Context, paths []string, o ImportOptions) (res *Result, err error) {
	if m.o.DryRun {
		arrived, err := m.gather(ctx, paths, o)
		if err != nil {
			return nil, err
		}
		res, err = rehearse(ctx, m.state, m.trees, arrived, o.Changes)
		return res, errors.Join(err, arrived.close())
	}
	err = m.write(ctx, func(w *writer) error {
		if err := w.sweep(); err != nil {
			return err
		}
		arrived, err := m.gather(ctx, paths, o)
		if err != nil {
			return err
		}
		res, err = w.importAll(ctx, arrived, o)
		return errors.Join(err, arrived.close())
	})
	return res, err
}

// gather verifies every bundle in paths and every one that is pending.
func (m *Mirror) gather(ctx context.Context, paths []string, o ImportOptions) (_ *arrivals, err error) {
	policy, err := m.Policy()
	if err != nil {
		return nil, err
	}
	arrived := &arrivals{}
	defer func() {
		if err != nil {
			err = errors.Join(err, arrived.close())
		}
	}()
	if arrived.readers, err = discover(m.state, m.dir, paths); err != nil {
		return nil, err
	}
	known := m.receiver(nil)
	for _, r := range arrived.readers {
		b, report, err := verify.Open(ctx, r, verify.Options{
			Policy: policy, Receiver: known, Now: m.state.Now(),
			AllowRollback: o.AllowRollback, AcceptExpired: o.AcceptExpired, AcceptKeys: o.AcceptKeys, Confirm: o.Confirm,
		})
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		background := isBackground(m.dir, r)
		switch {
		case err == nil:
			arrived.all = append(arrived.all, &arrival{Bundle: b, background: background})
			if !b.Known() {
				known.with = append(known.with, b)
			}
		case !background: // one that merely waits goes on waiting
			set, sequence, _, _ := bundle.SplitDirName(r.Name())
			arrived.refused = append(arrived.refused, refusal{r.Name(), set, sequence, report, err})
		}
	}
	return arrived, nil
}

// discover finds the bundles in paths, and joins to them what is pending.
func discover(of *state.State, dir string, paths []string) ([]*bundle.Reader, error) {
	named, err := bundle.Discover(paths)
	if err != nil {
		return nil, err
	}
	waiting, err := of.Pendings()
	if err != nil || len(waiting) == 0 {
		return named, err
	}
	for _, r := range named {
		if err := r.Close(); err != nil {
			return nil, err
		}
	}
	all := slices.Clone(paths)
	for _, name := range waiting {
		all = append(all, filepath.Join(dir, filepath.FromSlash(state.PendingPath(name))))
	}
	return bundle.Discover(all)
}

// isBackground reports whether nothing of the bundle is outside the mirror in
// mirrorDir.
func isBackground(mirrorDir string, r *bundle.Reader) bool {
	inside := filepath.Join(mirrorDir, filepath.FromSlash(state.PendingDir)) + string(filepath.Separator)
	return !slices.ContainsFunc(r.Dirs(), func(dir string) bool { return !strings.HasPrefix(dir, inside) })
}

// choice is what there is of one set in one run.
type choice struct {
	set string
	// candidates were never accepted and none accepted is newer at hand;
	// newest first.
	candidates []*arrival
	// known were accepted before; passed are older than one that is known.
	known, passed []*arrival
}

// choices sorts what is at hand by set, and returns the refusals that nothing
// newer makes up for.
func (a *arrivals) choices() (all []*choice, unexcused []refusal) {
	bySet := map[string]*choice{}
	newest := map[string]int64{}
	for _, b := range slices.Backward(a.all) {
		c := bySet[b.set()]
		if c == nil {
			c = &choice{set: b.set()}
			bySet[b.set()], all = c, append(all, c)
		}
		switch {
		case b.Known():
			c.known = append(c.known, b)
		case len(c.known) > 0:
			c.passed = append(c.passed, b)
		default:
			c.candidates = append(c.candidates, b)
		}
		newest[b.set()] = max(newest[b.set()], b.sequence())
	}
	for _, r := range a.refused {
		if newest[r.set] < r.sequence {
			unexcused = append(unexcused, r)
		}
	}
	slices.SortFunc(all, func(a, b *choice) int { return strings.Compare(a.set, b.set) })
	return all, unexcused
}
