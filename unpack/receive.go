package unpack

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/bundle/certs"
	"github.com/gapbundle/gapbundle/bundle/reach"
	"github.com/gapbundle/gapbundle/unpack/state"
	"github.com/gapbundle/gapbundle/unpack/tree"
	"github.com/gapbundle/gapbundle/verify"
)

// ImportOptions are the operator's choices for one import.
type ImportOptions struct {
	// BaseURL is the address of the mirror for clients, as site.CheckBase
	// allows it, and is remembered; empty: as before.
	BaseURL string
	// The next three are verify.Options of the same names, for the one bundle that For
	// names.
	AllowRollback, AcceptExpired, AcceptKeys bool
	For                                      For
	// Confirm is verify.Options.Confirm for the bundle of that name.
	Confirm func(bundle string, keys []verify.OfferedKey) (bool, error)
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
	// differs means that another set has something of it with another media type, and
	// both publish it so already.
	differs bool
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

// named returns the error with the name of the bundle, where it has none: several may have come.
func (f refusal) named() error {
	if text := f.err.Error(); strings.Contains(text, f.name) || strings.Contains(text, "set "+f.set) {
		return f.err
	}
	return fmt.Errorf("%s: %w", f.name, f.err)
}

// arrivals are all bundles of one run, by set and sequence.
type arrivals struct {
	readers []*bundle.Reader
	all     []*arrival
	refused []refusal
	// excused are refusals that something newer of the set makes up for.
	excused []refusal
}

func (a *arrivals) close() error {
	var errs []error
	for _, r := range a.readers {
		errs = append(errs, r.Close())
	}
	return errors.Join(errs...)
}

// Receive imports what is in paths, each a bundle or a folder that holds
// some. Bundles that waited for volumes are taken along when those have come, or when
// another bundle of their set has.
//
// One set's failure does not stop the others: every set that can be published is published,
// all in one generation, and the error names each set that could not. The newest of several
// bundles of a set is published. Older ones supply missing blobs, or take the newest one's
// place if that cannot be published. A damaged or refused bundle is an error only if no
// newer one replaces it. If the machine itself fails, for example with a full disk, nothing
// is published. The Result describes every bundle, also if there is an error.
func (m *Mirror) Receive(ctx context.Context, paths []string, o ImportOptions) (res *Result, err error) {
	if m.o.DryRun {
		if err := errors.Join(guard(m.root, m.dir), audit(m.state, m.trees)); err != nil {
			return nil, err
		}
		arrived, err := gather(ctx, m, paths, o)
		if err != nil {
			return nil, err
		}
		res, err = rehearse(ctx, m, arrived, o.Changes)
		return res, errors.Join(err, arrived.close())
	}
	err = m.write(ctx, func(w *writer) error {
		if err := w.tidy(ctx); err != nil {
			return err
		}
		arrived, err := gather(ctx, m, paths, o)
		if err != nil {
			return err
		}
		res, err = w.importAll(ctx, arrived, o)
		return errors.Join(err, arrived.close())
	})
	return res, err
}

// gather verifies every bundle in paths and every one that is pending.
func gather(ctx context.Context, m *Mirror, paths []string, o ImportOptions) (_ *arrivals, err error) {
	policy, err := m.state.Policy()
	if err != nil {
		return nil, err
	}
	arrived := &arrivals{}
	defer func() {
		if err != nil {
			err = errors.Join(err, arrived.close())
		}
	}()
	named, waiting, err := discover(m.state, m.dir, paths)
	arrived.readers = named
	if err != nil {
		return nil, err
	}
	admits, err := admits(m.state, named, o)
	if err != nil {
		return nil, err
	}
	known := newReceiver(m, nil)
	open := func(r *bundle.Reader, background bool) error {
		v := verify.Options{
			Policy: policy, Receiver: known, Now: m.state.Now(), AllowRollback: admits[verify.OverrideRollback] == r.Name(),
			AcceptExpired: admits[verify.OverrideExpired] == r.Name(), AcceptKeys: admits[verify.OverrideKeys] == r.Name(),
		}
		v.Describe = DescribeKey
		if o.Confirm != nil {
			v.Confirm = func(keys []verify.OfferedKey) (bool, error) { return o.Confirm(r.Name(), keys) }
		}
		b, report, err := verify.Open(ctx, r, v)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil:
			arrived.all = append(arrived.all, &arrival{Bundle: b, background: background})
			if !b.Known() {
				known.with = append(known.with, b)
			}
		case !background: // one that merely waits goes on waiting
			set, sequence, _, _ := bundle.SplitDirName(r.Name())
			arrived.refused = append(arrived.refused, refusal{r.Name(), set, sequence, report, err})
		}
		return nil
	}
	for _, r := range named {
		if err := open(r, false); err != nil {
			return nil, err
		}
	}
	return arrived, arrived.addWaiting(m.dir, waiting, open)
}

// addWaiting opens the bundles that wait and of whose set another bundle has come: what
// a set has on a medium does not publish what another one waits with.
func (a *arrivals) addWaiting(dir string, waiting []string, open func(*bundle.Reader, bool) error) error {
	sets := map[string]bool{}
	for _, b := range a.all {
		sets[b.set()] = true
	}
	var paths []string
	for _, name := range waiting {
		if set, _, _, _ := bundle.SplitDirName(name); sets[set] {
			paths = append(paths, pendingDir(dir, name))
		}
	}
	if len(paths) == 0 {
		return nil
	}
	readers, err := bundle.Discover(paths)
	if err != nil {
		return err
	}
	a.readers = append(a.readers, readers...)
	for _, r := range readers {
		if err := open(r, true); err != nil {
			return err
		}
	}
	slices.SortStableFunc(a.all, compareArrivals)
	return nil
}

func compareArrivals(a, b *arrival) int {
	return cmp.Or(strings.Compare(a.set(), b.set()), cmp.Compare(a.sequence(), b.sequence()))
}

func pendingDir(dir, name string) string {
	return filepath.Join(dir, filepath.FromSlash(state.PendingPath(name)))
}

// discover finds the bundles in paths, and joins to each what waits of it. waiting are
// the other bundles that wait.
func discover(of *state.State, dir string, paths []string) (named []*bundle.Reader, waiting []string, err error) {
	if named, err = bundle.Discover(paths); err != nil {
		return nil, nil, err
	}
	if waiting, err = of.Pendings(); err != nil || len(waiting) == 0 {
		return named, nil, err
	}
	all := slices.Clone(paths)
	waiting = slices.DeleteFunc(waiting, func(name string) bool {
		i := slices.IndexFunc(named, func(r *bundle.Reader) bool { return r.Name() == name })
		if i < 0 || !bringsFiles(named[i]) {
			return false
		}
		all = append(all, pendingDir(dir, name))
		return true
	})
	if len(all) == len(paths) {
		return named, waiting, nil
	}
	for _, r := range named {
		err = errors.Join(err, r.Close())
	}
	if err != nil {
		return nil, nil, err
	}
	named, err = bundle.Discover(all)
	return named, waiting, err
}

// bringsFiles reports whether there is a file of a bundle in its directories: an empty folder
// with the name of one does not name it.
func bringsFiles(r *bundle.Reader) bool {
	files, err := r.Files()
	return err == nil && slices.ContainsFunc(files, func(f bundle.FileInfo) bool {
		return f.Regular && f.Size > 0 && (f.Name == bundle.RootName || strings.HasSuffix(f.Name, ".tar.zst"))
	})
}

// choice is what there is of one set in one run.
type choice struct {
	set string
	// candidates were never accepted and none accepted is newer at hand;
	// newest first.
	candidates []*arrival
	// known were accepted before; passed are older than one that is known, or than one
	// that is published.
	known, passed []*arrival
	// failed could not be published.
	failed []failed
}

// failed is a bundle that was verified and could not be published.
type failed struct {
	*arrival
	err error
}

// drop gives up everything of the set that could be published.
func (c *choice) drop(err error) {
	for _, a := range c.candidates {
		c.failed = append(c.failed, failed{a, err})
	}
	c.candidates = nil
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
	a.excused = nil
	for _, r := range a.refused {
		if newest[r.set] < r.sequence {
			unexcused = append(unexcused, r)
		} else {
			a.excused = append(a.excused, r)
		}
	}
	slices.SortFunc(all, func(a, b *choice) int { return strings.Compare(a.set, b.set) })
	return all, unexcused
}

// DescribeKey serves as verify.Options.Describe: the names in a key and its validity.
func DescribeKey(file []byte, fingerprint string, now time.Time) string {
	all, err := certs.Describe(file)
	if err != nil {
		return ""
	}
	for _, c := range all {
		if c.Fingerprint == fingerprint {
			return c.Text(now)
		}
	}
	return ""
}
