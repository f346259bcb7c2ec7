package collect

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"sync"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/bundle/media"
	"github.com/gapbundle/gapbundle/sources"
)

// Options define where Collect puts things.
type Options struct {
	// Writer is asked once, when the first blob has to be carried: an export
	// that finds nothing new takes no number and touches no medium.
	Writer func() (*media.Writer, error)
	// Have returns the size of a blob that the base of a delta has; nil: there
	// is no base.
	Have func(d bundle.Digest) (size int64, ok bool)
	// Scratch receives the lists.
	Scratch *os.Root
	// Seen receives what upstream had, per repository, in path order; nil:
	// not wanted.
	Seen     func(repository string) (SeenSink, error)
	Progress bundle.Progress
	// Documents keeps the content of artifacts marked Keep; nil: not wanted.
	Documents Documents
	// Site makes the repositories of gapbundle's own (client files, keys)
	// from what was collected; their artifacts are collected last. nil: none.
	Site func(ctx context.Context, done []Collected) ([]Planned, error)
	// InOrder fills one run of volumes after the other, where media have little room: then
	// no medium is waited for while others are being written.
	InOrder bool
}

// SeenSink receives every file of a repository with its validator.
type SeenSink interface {
	Write(r sources.Recorded) error
	Close() error
}

// Collected is one repository as it was collected. Its lists lie in scratch.
type Collected struct {
	Repository bundle.Repository
	// FilesName, EvidenceName and ContentsName are the names of the lists in scratch.
	FilesName, EvidenceName, ContentsName string
	// Made are the late artifacts of the repository, to be opened again.
	Made []sources.Artifact
	// Filled counts the files that have the mirror's address filled in.
	Filled int64
	// Kept are the files whose content is kept between exports.
	Kept []Kept
}

// Survey is what a plan amounts to before anything is fetched.
type Survey struct {
	Runs []media.Run
	// Tallies are per repository, in the order of the plan.
	Tallies []Tally
	// Kept are the artifacts whose content is kept between exports.
	Kept []Kept

	planned *bundle.DigestSet
}

// Tally counts the artifacts of one repository.
type Tally struct {
	Files int64 `json:"files"`
	// Bytes is their size as far as it is known.
	Bytes int64 `json:"bytes"`
	// Fetch counts those whose content has to be fetched: neither the base
	// nor another artifact of the plan has it. FetchBytes is their size as
	// far as upstream told it; Unsized counts those where it did not.
	Fetch      int64 `json:"fetch"`
	FetchBytes int64 `json:"fetchBytes"`
	Unsized    int64 `json:"unsized"`
	// Unpinned counts those that nothing but the connection vouches for.
	Unpinned int64 `json:"unpinned"`
	// Filled counts those in which import fills in the mirror's address.
	Filled int64 `json:"filled,omitempty"`
	// Changes is what became of the files of the base; nothing where there is none.
	bundle.Changes
}

// Total sums the tallies.
func (s *Survey) Total() Tally {
	var t Tally
	for _, r := range s.Tallies {
		t.Files += r.Files
		t.Bytes += r.Bytes
		t.Fetch += r.Fetch
		t.FetchBytes += r.FetchBytes
		t.Unsized += r.Unsized
		t.Unpinned += r.Unpinned
		t.Filled += r.Filled
		t.Changes = t.Changes.Plus(r.Changes)
	}
	return t
}

// decision states what is done with one artifact.
type decision int

const (
	decidedKnown decision = iota // nothing to fetch: base or another artifact has it
	decidedSized                 // goes to its planned place
	decidedTail                  // size not known: after everything planned
)

// triage decides what becomes of artifacts in the order of the plan, and fills
// in the size where the digest decides it. The same order produces the same
// decisions, so the survey and the collection agree.
type triage struct {
	have    func(bundle.Digest) (int64, bool)
	planned *bundle.DigestSet
}

func newTriage(have func(bundle.Digest) (int64, bool)) *triage {
	if have == nil {
		have = func(bundle.Digest) (int64, bool) { return 0, false }
	}
	return &triage{have: have, planned: bundle.NewDigestSet(0)}
}

func (t *triage) decide(f *bundle.File) decision {
	switch {
	case f.Digest.IsZero() && f.Size < 0:
		return decidedTail
	case f.Digest.IsZero():
		return decidedSized
	}
	if size, ok := t.size(f.Digest); ok {
		if f.Size < 0 {
			f.Size = size
		}
		return decidedKnown
	}
	if f.Size < 0 {
		return decidedTail
	}
	t.planned.Add(f.Digest, f.Size)
	return decidedSized
}

// size returns that of a blob which the base or an earlier artifact has.
func (t *triage) size(d bundle.Digest) (int64, bool) {
	if size, ok := t.have(d); ok {
		return size, true
	}
	return t.planned.Size(d)
}

// SurveyOptions are what a survey has to know.
type SurveyOptions struct {
	VolumeSize int64 // bytes; 0: bundle.DefaultVolumeSize
	// Have returns the size of a blob that the base of a delta has; nil: no base.
	Have func(d bundle.Digest) (size int64, ok bool)
	// Room is what the file systems of the targets have together, in bytes: nothing
	// larger can be carried. 0: not known, or more targets may come.
	Room int64
	// Held are repositories that stay as the base has them.
	Held []sources.Held
	// Before returns the files that the base has of a repository of the plan, in order of
	// paths, without those that are made late; nil: there is no base.
	Before func(of Planned) iter.Seq2[bundle.File, error]
}

// Survey looks at every artifact of the plan, fetching nothing, and lays out
// the volumes. It is the one door: see door.
func (r *Resolved) Survey(o SurveyOptions) (*Survey, error) {
	t := newTriage(o.Have)
	s := &Survey{planned: t.planned, Tallies: make([]Tally, len(r.Repositories))}
	d := door{room: o.Room}
	c := changes{resolved: r, before: o.Before, tallies: s.Tallies}
	defer c.stop()
	for _, p := range r.Repositories {
		d.mounts = append(d.mounts, p.Mount)
	}
	var laid placed // the artifact that is being laid out; its source is "" if there is none
	runs, err := media.PlanRuns(o.VolumeSize, func(yield func(int64, error) bool) {
		for p, err := range r.artifacts() {
			laid.source = ""
			if err != nil {
				yield(0, err)
				return
			}
			if !d.pass(&p) {
				continue
			}
			f := p.artifact.File
			if err := c.see(p.repository, f); err != nil {
				yield(0, err)
				return
			}
			decision := t.decide(&f)
			s.Tallies[p.repository].add(p.artifact.Evidence, f, decision)
			if p.artifact.Keep {
				s.Kept = keepMore(s.Kept, Kept{p.source, f})
			}
			if laid = p; decision == decidedSized && !yield(f.Size, nil) {
				return
			}
		}
		laid.source = ""
	})
	if err != nil && laid.source != "" {
		err = fmt.Errorf("%s: %w", laid.where(), err)
	}
	if err == nil {
		err = c.finish(len(s.Tallies))
	}
	if err := errors.Join(d.verdict(), err); err != nil {
		return nil, err
	}
	s.Runs = runs
	return s, r.checkShared(o.Held)
}

func (t *Tally) add(e bundle.Evidence, f bundle.File, decision decision) {
	t.Files++
	t.Bytes += max(f.Size, 0)
	if e.Unpinned() {
		t.Unpinned++
	}
	if f.Filled {
		t.Filled++
	}
	switch decision {
	case decidedTail:
		t.Fetch++
		t.Unsized++
	case decidedSized:
		t.Fetch++
		t.FetchBytes += f.Size
	}
}

// placed is an artifact and the repository it belongs to.
type placed struct {
	repository int
	source     string
	artifact   sources.Artifact
}

// artifacts streams the artifacts of all repositories, in plan order.
func (r *Resolved) artifacts() iter.Seq2[placed, error] {
	return func(yield func(placed, error) bool) {
		for i, p := range r.Repositories {
			for a, err := range p.Artifacts() {
				if err != nil {
					err = fmt.Errorf("source %s: %w", p.Name, err)
				}
				if !yield(placed{i, p.Name, a}, err) || err != nil {
					return
				}
			}
		}
	}
}

// Collect fetches every artifact of the plan that the base does not have, in
// one pass: from the network through one hash into a frame on the medium. It
// is the only place that checks sizes and digests of artifacts. Runs of
// volumes are filled side by side; lists come out in plan order.
//
// Refusals (fetch.ErrUpstream, fetch.ErrRefused) name source, path and URL and
// are joined; what other runs have under way is finished first, and is there
// for the next attempt.
func Collect(ctx context.Context, r *Resolved, s *Survey, o Options) ([]Collected, error) {
	ctx, abort := context.WithCancelCause(ctx)
	defer abort(nil)
	running := int64(openRuns)
	if o.InOrder {
		running = 1
	}
	c := &collection{
		resolved: r, o: o, planned: s.planned, abort: abort,
		memory: semaphore.NewWeighted(aheadBytes), running: semaphore.NewWeighted(running),
		runs: new(errgroup.Group), last: lastVolume(s.Runs), writer: sync.OnceValues(o.Writer),
	}
	o.Progress.Grow(s.Total().FetchBytes)
	ls := newListing(r, o)
	err := c.everything(ctx, s.Runs, ls)
	if err == nil {
		err = c.late(ctx, ls)
	}
	if err == nil && o.Site != nil {
		err = c.site(ctx, ls)
	}
	if c.tail != nil {
		close(c.tail)
	}
	if runs := c.runs.Wait(); err == nil || runs != nil && errors.Is(err, context.Canceled) {
		err = runs
	}
	return ls.finish(err)
}

func lastVolume(runs []media.Run) int {
	if len(runs) == 0 {
		return 0
	}
	last := runs[len(runs)-1]
	return last.First + last.Volumes - 1
}

// everything collects everything that the plan names, and lists it.
func (c *collection) everything(ctx context.Context, runs []media.Run, ls *listing) error {
	ordered := make(chan []*result, openRuns+1)
	listed := make(chan error, 1)
	go func() { listed <- ls.follow(ctx, ordered) }()
	err := c.dispatch(ctx, runs, ordered)
	if err != nil {
		c.abort(err)
	}
	return firstCause(ctx, err, <-listed)
}

// firstCause prefers what made the context end over its "canceled".
func firstCause(ctx context.Context, errs ...error) error {
	for _, err := range errs {
		if errors.Is(err, context.Canceled) && context.Cause(ctx) != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// late collects what depends on what others turned out to be.
func (c *collection) late(ctx context.Context, ls *listing) error {
	for i, p := range c.resolved.Repositories {
		if p.Late == nil {
			continue
		}
		found := ls.results(i)
		artifacts, err := p.Late(ctx, found)
		found.close()
		if err != nil {
			return fmt.Errorf("source %s: %w", p.Name, err)
		}
		made, err := c.now(ctx, i, p.Name, artifacts)
		if err != nil {
			return err
		}
		if err := ls.merge(i, made); err != nil {
			return err
		}
	}
	return nil
}

// site collects the repositories of gapbundle's own, which may look at all others.
func (c *collection) site(ctx context.Context, ls *listing) error {
	own, err := c.o.Site(ctx, ls.done())
	if err != nil {
		return err
	}
	for _, p := range own {
		i := ls.add(p)
		var artifacts []sources.Artifact
		for a, err := range p.Artifacts() {
			if err != nil {
				return fmt.Errorf("%s: %w", p.Name, err)
			}
			artifacts = append(artifacts, a)
		}
		results, err := c.now(ctx, i, p.Name, artifacts)
		if err != nil {
			return err
		}
		if err := ls.merge(i, results); err != nil {
			return err
		}
	}
	return nil
}

// now collects a few artifacts of repository i, called source, and waits for them.
func (c *collection) now(ctx context.Context, i int, source string, artifacts []sources.Artifact) ([]*result, error) {
	results := make([]*result, 0, len(artifacts))
	for _, a := range artifacts {
		u := c.result(placed{i, source, a})
		results = append(results, u)
		if size, ok := c.have(u.file.Digest); ok {
			u.file.Size = size
			u.settle(c.known(ctx, u))
			continue
		}
		c.o.Progress.Grow(max(u.file.Size, 0))
		if err := c.toTail(ctx, u); err != nil {
			return nil, firstCause(ctx, err)
		}
	}
	for _, u := range results {
		select {
		case <-u.settled:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	return results, nil
}
