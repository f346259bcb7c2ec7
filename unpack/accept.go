package unpack

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/bundle/contents"
	"github.com/gapbundle/gapbundle/unpack/state"
	"github.com/gapbundle/gapbundle/unpack/tree"
	"github.com/gapbundle/gapbundle/verify"
)

// BundleResult is what became of one bundle.
type BundleResult struct {
	Name     string        `json:"name"`
	Set      string        `json:"set"`
	Sequence int64         `json:"sequence"`
	Outcome  state.Outcome `json:"outcome"`
	// Reason is why it was refused, or why it waits.
	Reason string `json:"reason,omitempty"`
	// MissingVolumes are names of volumes that have to be brought.
	MissingVolumes []string `json:"missingVolumes,omitempty"`
	// Receipt is the path of the signed receipt, if there is one.
	Receipt   string          `json:"receipt,omitempty"`
	Overrides []string        `json:"overrides,omitempty"`
	Signers   []verify.Signer `json:"signers,omitempty"`
	Report    *verify.Report  `json:"report,omitempty"`
}

// Result is what an import did.
type Result struct {
	Bundles []BundleResult `json:"bundles"`
	// Generation is the one that was published; 0: nothing changed.
	Generation int `json:"generation,omitempty"`
	// Files and Bytes are what the mirror publishes now, NewBytes what was
	// written to the store.
	Files    int64 `json:"files"`
	Bytes    int64 `json:"bytes"`
	NewBytes int64 `json:"newBytes"`
	// Changes are those of the published repositories that have any.
	Changes []RepositoryChanges `json:"changes,omitempty"`
	// Names are, for each set that is not in the same state as before, what was
	// added, changed and removed by name.
	Names []*contents.Summary `json:"names,omitempty"`
	// Need is what the new bundles take of the file system, and what was free before.
	Need *Need `json:"need,omitempty"`
	// Notes are what the operator has to know.
	Notes []string `json:"notes,omitempty"`
	// Waiting are the repositories with files that are not published as long
	// as the mirror does not know its address.
	Waiting []string `json:"waiting,omitempty"`
	// Unaddressed means that this import published for the first time in this mirror, and
	// that files for clients do not have its address, because nobody said what it is.
	Unaddressed bool `json:"unaddressed,omitempty"`
	// Unbounded are exporters' keys without patterns, in a mirror with several sets.
	Unbounded []verify.Key `json:"unbounded,omitempty"`
}

func result(of *state.State, a *arrival, o state.Outcome) BundleResult {
	r := BundleResult{
		Name: a.Name(), Set: a.set(), Sequence: a.sequence(), Outcome: o,
		Overrides: a.Overrides(), Signers: a.Signers(), Report: a.Report(),
	}
	if o == state.Imported || o == state.AlreadyImported {
		if path, there := of.ReceiptPath(a.Name()); there {
			r.Receipt = path
		}
	}
	return r
}

// unpublished returns the results of a set: became is what became of its newest candidate.
func unpublished(of *state.State, c *choice, became state.Outcome) []BundleResult {
	var out []BundleResult
	for _, a := range c.known {
		out = append(out, result(of, a, state.AlreadyImported))
	}
	for _, a := range c.passed {
		out = append(out, result(of, a, state.Superseded))
	}
	for _, f := range c.failed {
		res := result(of, f.arrival, outcomeOf(f.err))
		res.Reason = f.err.Error()
		var missing *verify.MissingVolumesError
		if errors.As(f.err, &missing) && missing.Name == f.Name() {
			res.MissingVolumes = missing.Volumes
		}
		out = append(out, res)
	}
	for i, a := range c.candidates {
		res := result(of, a, became)
		if i > 0 {
			res.Outcome = state.Superseded
		}
		out = append(out, res)
	}
	return out
}

// nothingNew finishes an import that brought no new bundle. A changed base URL
// is still published.
func (r *importing) nothingNew(ctx context.Context, choices []*choice) error {
	for _, c := range choices {
		r.res.Bundles = append(r.res.Bundles, unpublished(r.state.State, c, state.Pending)...)
	}
	r.excuse()
	s, err := r.state.Settings()
	refused := slices.ContainsFunc(r.res.Bundles, func(b BundleResult) bool { return b.Outcome == state.Refused })
	if err != nil || refused || r.options.BaseURL == "" || r.options.BaseURL == s.BaseURL {
		return err
	}
	g, err := r.publishBase(ctx, r.options.BaseURL)
	if g != nil {
		r.res.Generation = g.Number
	}
	return err
}

// excuse adds the refusals that did not matter.
func (r *importing) excuse() {
	for _, f := range r.arrived.excused {
		r.res.Bundles = append(r.res.Bundles, refusalResult(f))
	}
	r.arrived.excused = nil
}

// outcomeOf returns what an error makes of the bundles it was met with.
func outcomeOf(err error) state.Outcome {
	for _, class := range []error{bundle.ErrCorrupt, bundle.ErrMalformed, bundle.ErrUntrusted, bundle.ErrUnsupported, bundle.ErrUsage} {
		if errors.Is(err, class) {
			return state.Refused
		}
	}
	if errors.Is(err, bundle.ErrIncomplete) {
		return state.Pending
	}
	return state.Failed
}

// fail records an import that the machine did not let happen.
func (r *importing) fail(choices []*choice, err error) error {
	outcome := outcomeOf(err)
	var entries []state.Entry
	for _, c := range choices {
		if len(c.candidates) > 0 {
			entries = append(entries, r.entry(c.candidates[0], outcome, err.Error()))
		}
		results := unpublished(r.state.State, c, outcome)
		for i := range results {
			if results[i].Outcome == outcome && results[i].Reason == "" {
				results[i].Reason = err.Error()
			}
		}
		r.res.Bundles = append(r.res.Bundles, results...)
	}
	r.excuse()
	return errors.Join(r.recordFailures(choices), r.state.Note(entries...))
}

func (r *importing) entry(a *arrival, o state.Outcome, detail string) state.Entry {
	return state.Entry{
		Time: r.state.Now(), What: "import", Outcome: o, Set: a.set(), Sequence: a.sequence(), Root: a.Root(),
		Signers: a.Signers(), Overrides: a.Overrides(), Detail: detail,
	}
}

// generationSet returns what a bundle will be in a generation.
func generationSet(b *verify.Bundle, imported time.Time) tree.GenerationSet {
	m := b.Manifest()
	s := tree.GenerationSet{
		Set: m.Set, Stream: m.Stream, Sequence: m.Sequence, Root: b.Root(), State: m.State,
		Created: m.Created, Imported: imported, Signers: b.Signers(),
		Overrides: slices.Compact(slices.Sorted(slices.Values(slices.Concat(m.Overrides, b.Overrides())))),
	}
	for _, r := range m.Repositories {
		s.Repositories = append(s.Repositories, tree.GenerationRepository{Repository: r})
	}
	return s
}

// publishAll publishes the targets together and puts them on record.
func (r *importing) publishAll(ctx context.Context, choices []*choice, targets []*arrival) error {
	current, err := r.trees.Published()
	if err != nil {
		return err
	}
	p := proposal{baseURL: r.options.BaseURL, then: state.Record{Receipts: map[string][]byte{}}}
	if current != nil {
		p.sets = slices.Clone(current.Sets)
	}
	var names []string
	var bundles []*verify.Bundle
	for _, t := range targets {
		if err := r.keepLists(ctx, t.Bundle); err != nil {
			return fmt.Errorf("%s: %w", t.Name(), err)
		}
		if err := r.propose(t, &p); err != nil {
			return fmt.Errorf("%s: %w", t.Name(), err)
		}
		names = append(names, t.Name())
		bundles = append(bundles, t.Bundle)
	}
	if err := r.takeImages(&p, targets, current); err != nil {
		return err
	}
	p.reason = "import of " + strings.Join(names, ", ")
	for _, c := range choices {
		for _, a := range c.passed {
			p.then.Journal = append(p.then.Journal, r.entry(a, state.Superseded, ""))
		}
	}
	for _, f := range r.arrived.excused {
		p.then.Journal = append(p.then.Journal, refusalEntry(f, r.state.Now()))
	}
	if err := r.passOver(choices, &p.then); err != nil {
		return err
	}
	if p.then.Policy, err = r.state.PolicyWith(bundles); err != nil {
		return err
	}
	g, err := r.publish(ctx, p)
	if g == nil {
		return err
	}
	r.res.Changes = append(r.res.Changes, p.changes...)
	r.notePublished(g, targets)
	r.noteNames(ctx, current, g)
	for _, c := range choices {
		r.res.Bundles = append(r.res.Bundles, unpublished(r.state.State, c, state.Imported)...)
	}
	r.excuse()
	return err
}

// notePublished adds to the result what the operator has to know about the published
// generation. An earlier one of this run, of another set, may have notes there already.
func (r *importing) notePublished(g *tree.Generation, targets []*arrival) {
	r.res.Generation = g.Number
	r.res.Unaddressed = r.res.Unaddressed || g.Number == 1 && g.BaseURL == ""
	tell := func(lines ...string) {
		for _, line := range lines {
			if !slices.Contains(r.res.Notes, line) {
				r.res.Notes = append(r.res.Notes, line)
			}
		}
	}
	tell(g.Notes...)
	if r.tookOver != "" {
		tell(r.tookOver)
	}
	for _, a := range g.Ambiguous {
		tell(fmt.Sprintf("image name %s: not made, because %s claim it", a.Alias, strings.Join(a.Images, " and ")))
	}
	for _, d := range g.Dropped {
		tell(fmt.Sprintf("image name %s: not made any more, images are asked for as %s; docker.io's alone have a name without the registry", d.Alias, d.Image))
	}
	for _, u := range g.Unanswered {
		tell("public name " + u.String())
	}
	if g.PublicChanged && g.Number > 1 { // before the first one no server can have included them
		tell("the public names that the mirror can answer for have changed: a web server that includes them has to be reloaded (clients MIRROR --for hosts)")
	}
	tell(lapses(g, r.state.Now())...)
	tell(reachNotes(targets)...)
	if policy, err := r.state.Policy(); err == nil && len(g.Sets) > 1 {
		r.res.Unbounded = policy.Unbounded()
	}
}

// noteNames finds by name what was published. That it was published does not depend on
// it: a list of the generation before may be damaged, and this import is the remedy.
func (r *importing) noteNames(ctx context.Context, before, after *tree.Generation) {
	names, err := changesByName(ctx, r.trees.Trees, before, after, r.options.Changes)
	r.res.Names = append(r.res.Names, names...)
	if err != nil {
		r.res.Notes = append(r.res.Notes, fmt.Sprintf("what was published is complete; what changed by name is not known: %v", err))
	}
}

// propose puts one bundle into the proposal in the place of what its set has.
func (r *importing) propose(t *arrival, p *proposal) error {
	old, err := r.state.Ratchet(t.set())
	if err != nil {
		return err
	}
	next := old.Accept(t.Bundle)
	s := generationSet(t.Bundle, r.state.Now())
	s.Reach = t.reach
	changes := allNew(s)
	if i := slices.IndexFunc(p.sets, func(o tree.GenerationSet) bool { return o.Set == t.set() }); i >= 0 {
		if changes, err = compareSets(r.trees.Trees, p.sets[i], s); err != nil {
			return err
		}
		p.changes = append(p.changes, changes...)
	}
	p.sets = slices.DeleteFunc(p.sets, func(s tree.GenerationSet) bool { return s.Set == t.set() })
	given, err := r.state.Given()
	if err != nil {
		return err
	}
	yieldTo(p.sets, t.set(), given)
	p.sets = append(p.sets, s)
	slices.SortFunc(p.sets, func(a, b tree.GenerationSet) int { return strings.Compare(a.Set, b.Set) })
	if waiting, err := r.state.ReadPending(t.Name()); err == nil && waiting.Time.After(p.at) {
		p.at = waiting.Time
	}
	receipt, err := r.state.SignReceipt(t.Bundle, changeCounts(changes)...)
	if err != nil {
		return err
	}
	p.then.Receipts[t.Name()] = receipt
	p.then.Ratchets = append(p.then.Ratchets, next)
	p.then.Journal = append(p.then.Journal, r.entry(t, state.Imported, ""))
	p.then.Kept = append(p.then.Kept, t.Name())
	p.then.Settled = append(p.then.Settled, t.Name())
	return nil
}

// passOver remembers the bundles that were verified and are older than one
// that is published: they are "already imported" when they come again.
func (r *importing) passOver(choices []*choice, then *state.Record) error {
	waiting, err := r.state.Pendings()
	if err != nil {
		return err
	}
	for i := range then.Ratchets {
		t := &then.Ratchets[i]
		for _, c := range choices {
			for _, a := range c.passed {
				if c.set == t.Set && a.sequence() < t.Sequence {
					t.Roots = append(t.Roots, verify.AcceptedRoot{Sequence: a.sequence(), Root: a.Root()})
					then.Kept = append(then.Kept, a.Name())
				}
			}
		}
		for _, name := range waiting {
			set, sequence, _, _ := bundle.SplitDirName(name)
			if set == t.Set && sequence < t.Sequence && !slices.Contains(then.Settled, name) {
				then.Settled = append(then.Settled, name)
			}
		}
	}
	return nil
}

// lapses returns notes about what upstream signed and clients take until a certain
// time only: which repository, until when, and what helps.
func lapses(g *tree.Generation, now time.Time) []string {
	var notes []string
	for _, s := range g.Sets {
		for _, p := range s.Repositories {
			if p.UpstreamExpires == nil {
				continue
			}
			is := "lapses"
			if !p.UpstreamExpires.After(now) {
				is = "lapsed"
			}
			notes = append(notes, fmt.Sprintf("repository %s: what upstream signed %s %s; the client files (gapbundle clients MIRROR --for %s) have the option that deals with it",
				p.Name, is, p.UpstreamExpires.UTC().Format(time.RFC3339), p.Kind))
		}
	}
	return notes
}

// noteForward notes how to publish a bundle again that was accepted before and is not
// published now.
func (r *importing) noteForward() error {
	g, err := r.trees.Published()
	if err != nil || g == nil {
		return err
	}
	for i := range r.res.Bundles {
		b := &r.res.Bundles[i]
		if b.Outcome != state.AlreadyImported {
			continue
		}
		t, err := r.state.Ratchet(b.Set)
		if err != nil {
			return err
		}
		if b.Sequence == t.Sequence {
			if b.Reason, _, err = forward(r.trees.Trees, t, g.Set(b.Set)); err != nil {
				return err
			}
		}
	}
	return nil
}
