package unpack

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/unpack/state"
	"github.com/gapbundle/gapbundle/unpack/tree"
	"github.com/gapbundle/gapbundle/verify"
)

// RebuildResult is what RebuildState restored.
type RebuildResult struct {
	// Restored lists each restored file with its origin, Notes what could not be restored.
	Restored []string `json:"restored"`
	Notes    []string `json:"notes,omitempty"`
}

// rebuild is one run of RebuildState.
type rebuild struct {
	*writer
	res         *RebuildResult
	ctx         context.Context   // of the one run
	generations []tree.Generation // in order
	unknown     int               // the generation that is served, if its record is lost; 0: it is not
	journal     []state.Entry
}

// RebuildState restores what of the mirror's own state is gone, cut, or older than its
// generations, receipts and signed roots of accepted bundles prove, never below that. Sound
// records stay as they are. Whom the mirror trusts cannot be restored: nobody is trusted
// then.
func RebuildState(ctx context.Context, dir string, o Options) (res *RebuildResult, err error) {
	res = &RebuildResult{Restored: []string{}}
	if err := restoreSettings(ctx, dir, o, res); err != nil {
		return res, err
	}
	m, err := Open(dir, o)
	if err != nil {
		return res, err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	if m.o.DryRun {
		r := &rebuild{ctx: ctx, writer: &writer{o: m.o, dir: m.dir, state: &state.Writer{State: m.state}, trees: tree.NewBuilder(m.trees, nil)}, res: res}
		return res, r.run()
	}
	return res, writeUnaudited(ctx, m, func(w *writer) error {
		if err := w.resume(); damaged(err) {
			if err := w.state.DropIntent(); err != nil {
				return err
			}
			res.Notes = append(res.Notes, "what an interrupted run had decided to publish cannot be read; import the bundle again")
		} else if err != nil {
			return err
		}
		r := &rebuild{ctx: ctx, writer: w, res: res}
		if err := r.run(); err != nil {
			return err
		}
		return audit(w.state.State, w.trees.Trees)
	})
}

// restoreSettings writes settings where there are none, or none that can be read, in a
// folder that has generations.
func restoreSettings(ctx context.Context, dir string, o Options, res *RebuildResult) (err error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	if err := errors.Join(guard(root, dir), guardOwner(root, dir)); err != nil {
		return err
	}
	of := state.New(root, dir, state.Options{Now: o.Now, RetryLock: o.RetryLock})
	was, err := of.Settings()
	if err == nil || !errors.Is(err, fs.ErrNotExist) && !damaged(err) {
		return err
	}
	kept, err := tree.New(root, dir, o.Tool, nil, nil).Records()
	if err != nil {
		return err
	}
	if len(kept.Generations) == 0 {
		return &NoMirrorError{dir, state.SettingsFile}
	}
	last := kept.Generations[len(kept.Generations)-1]
	res.Restored = append(res.Restored, fmt.Sprintf("%s: base URL of generation %d", state.SettingsFile, last.Number))
	if o.DryRun {
		return bundle.About(bundle.AboutMirrorState, fmt.Errorf("mirror %s: %s is missing; run it without --dry-run, because the rest cannot be judged before: %w", dir, state.SettingsFile, bundle.ErrUntrusted))
	}
	w, unlock, err := of.Lock(ctx)
	if err != nil {
		return err
	}
	was.Format, was.BaseURL, was.Mended = state.Format, last.BaseURL, last.Time
	return errors.Join(w.SetSettings(was), unlock())
}

func (r *rebuild) run() (err error) {
	if err := r.records(); err != nil {
		return err
	}
	if r.journal, err = r.state.History(); damaged(err) {
		r.res.Notes = append(r.res.Notes, err.Error())
	} else if err != nil {
		return err
	}
	for _, step := range []func() error{r.journalEnd, r.baseURL, r.key, r.given, r.sets, r.policy, r.served} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// restore writes what was restored, and puts it on record before.
func (r *rebuild) restore(line state.Entry, write func() error) error {
	r.res.Restored = append(r.res.Restored, line.Detail)
	if r.o.DryRun {
		return nil
	}
	line.Time, line.What = r.state.Now(), "state"
	return errors.Join(r.state.Note(line), write())
}

func nothing() error { return nil }

// newest returns the generation that is served; nil: none is, or its record is lost.
func (r *rebuild) newest() *tree.Generation {
	if len(r.generations) == 0 || r.unknown != 0 {
		return nil
	}
	return &r.generations[len(r.generations)-1]
}

// journalEnd records in the journal that its end was cut off. The lost lines cannot be
// restored.
func (r *rebuild) journalEnd() error {
	g := r.newest()
	if g == nil {
		return nil
	}
	err := auditJournal(r.state.State, g)
	var lost *StateError
	if !errors.As(err, &lost) {
		return err
	}
	return r.restore(state.Entry{Detail: lost.Error() + ": the journal goes on from here", Lost: g.Journal}, nothing)
}

func (r *rebuild) baseURL() error {
	g := r.newest()
	if g == nil || auditSettings(r.state.State, g) == nil {
		return nil
	}
	s, err := r.state.Settings()
	if err != nil {
		return err
	}
	s.BaseURL = g.BaseURL
	return r.restore(state.Entry{Detail: fmt.Sprintf("%s: base URL of generation %d", state.SettingsFile, g.Number)}, func() error { return r.state.SetSettings(s) })
}

func (r *rebuild) key() error {
	err := auditKey(r.state.State)
	var lost *StateError
	if !errors.As(err, &lost) {
		return err
	}
	return r.restore(state.Entry{Detail: state.ReceiptKeyFile + ": a new key, which the exporting side has to be told: receipts were signed with another"}, r.state.NewReceiptKey)
}

// given restores what operators gave to sets from the journal.
func (r *rebuild) given() error {
	if r.newest() == nil || auditGiven(r.state.State, r.newest()) == nil {
		return nil
	}
	var all []state.Given
	for _, e := range r.journal {
		if path, ok := strings.CutPrefix(e.Detail, "give "); ok && e.What == "trust" {
			all = slices.DeleteFunc(all, func(g state.Given) bool { return state.Below(path, g.Path) })
			all = append(all, state.Given{Path: path, Set: e.Set, Time: e.Time})
		}
	}
	slices.SortFunc(all, func(a, b state.Given) int { return strings.Compare(a.Path, b.Path) })
	return r.restore(state.Entry{Detail: fmt.Sprintf("%s: %s, from the journal", state.GivenFile, bundle.Count(len(all), "path"))}, func() error { return r.state.SetGiven(all) })
}

// policy: nobody is trusted, and as many approvers are asked for as all sets have.
func (r *rebuild) policy() error {
	err := auditPolicy(r.state.State, r.generations)
	var lost *StateError
	if !errors.As(err, &lost) {
		return err
	}
	approvers := -1
	for _, s := range r.lastSets() {
		n := 0
		for _, k := range s.Signers {
			if k.Role == verify.RoleApprover {
				n++
			}
		}
		if approvers < 0 || n < approvers {
			approvers = n
		}
	}
	p := &verify.Policy{}
	if approvers > 0 {
		if err := p.SetRequire(verify.RoleApprover, approvers); err != nil {
			return err
		}
	}
	r.res.Notes = append(r.res.Notes, "nobody is trusted now: add the keys again with gapbundle trust add, and what was asked for with gapbundle trust require")
	return r.restore(state.Entry{Detail: fmt.Sprintf("%s: empty; %s asked for", state.PolicyFile, bundle.Count(max(0, approvers), "approver"))}, func() error { return r.state.SetPolicy(p) })
}

// lastSets returns the sets of the newest generation that is on record.
func (r *rebuild) lastSets() []tree.GenerationSet {
	if n := len(r.generations); n > 0 {
		return r.generations[n-1].Sets
	}
	return nil
}

// sets restores what was accepted of each set.
func (r *rebuild) sets() error {
	bySet, bound := proofs(r.generations)
	receipts, err := r.state.KeptReceipts()
	if err != nil {
		return err
	}
	roots, err := r.state.KeptRoots()
	if err != nil {
		return err
	}
	for _, k := range append(receipts, roots...) {
		bySet[k.Set] = append(bySet[k.Set], proof{"", k.Sequence, k.File})
	}
	names := make([]string, 0, len(bySet))
	for set := range bySet {
		names = append(names, set)
	}
	slices.Sort(names)
	for _, set := range names {
		err := auditSet(r.state.State, set, bySet[set], bound[set])
		var lost *StateError
		if err == nil {
			continue
		}
		if !errors.As(err, &lost) {
			return err
		}
		next, from, err := r.proven(set, bound[set], receipts, roots)
		if err != nil {
			return err
		}
		if next.Stream == "" {
			r.res.Notes = append(r.res.Notes, fmt.Sprintf("%s: nothing that can be read proves of which stream it was", state.RatchetFile(set)))
			continue
		}
		detail := fmt.Sprintf("%s: bundle %d of stream %s and %d before, from %s", state.RatchetFile(set), next.Sequence, next.Stream, max(0, len(next.Roots)-1), from)
		if err := r.restore(state.Entry{Set: set, Detail: detail}, func() error { return r.state.SetRatchet(next) }); err != nil {
			return err
		}
	}
	return nil
}

// accepted is one bundle that was accepted, as far as it is known.
type accepted struct {
	root     bundle.Digest
	manifest *bundle.Manifest // nil: not kept
	content  *state.Content
}

// proven returns the ratchet that everything which is kept proves.
func (r *rebuild) proven(set, bound string, receipts, roots []state.Kept) (state.Ratchet, string, error) {
	old, err := r.state.KnownRatchet(set)
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !damaged(err) {
		return old, "", err
	}
	if err != nil {
		if old, err = r.state.NewRatchet(set); err != nil {
			return old, "", err
		}
	}
	p := &proving{set: set, stream: bound, all: map[int64]*accepted{}}
	for _, k := range receipts {
		if k.Set == set {
			if err := p.receipt(r.state.State, k); err != nil {
				return old, "", err
			}
		}
	}
	for _, k := range roots {
		if k.Set == set {
			if err := p.root(r.state.State, k); err != nil {
				return old, "", err
			}
		}
	}
	p.generationsOf(r.generations)
	p.fromJournal(r.journal)
	next := p.ratchet(old)
	next.Mounts = r.mounts(set, next)
	return next, strings.Join(p.from, ", "), nil
}

// mounts returns what the set publishes or has published and no other set owns.
func (r *rebuild) mounts(set string, next state.Ratchet) []string {
	all := slices.Clone(next.Mounts)
	add := func(mount string) {
		if !bundle.IsSharedMount(mount) && !slices.Contains(all, mount) {
			all = append(all, mount)
		}
	}
	for _, g := range r.generations {
		if s := g.Set(set); s != nil {
			for _, repo := range s.Repositories {
				add(repo.Mount)
			}
		}
	}
	if next.Newest != nil {
		for _, repo := range next.Newest.Repositories {
			add(repo.Mount)
		}
	}
	given, err := r.state.Given()
	if err != nil {
		given = nil
	}
	others, err := r.state.Ratchets()
	if err != nil {
		others = nil // they are restored too
	}
	all = slices.DeleteFunc(all, func(mount string) bool {
		if to, _ := state.GivenTo(given, mount); to != "" && to != set {
			return true
		}
		return slices.ContainsFunc(others, func(o state.Ratchet) bool { return o.Set != set && slices.Contains(o.Mounts, mount) })
	})
	slices.Sort(all)
	return all
}
