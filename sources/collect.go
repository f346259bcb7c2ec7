package sources

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"github.com/gapbundle/gapbundle/bundle"
)

// Bounds of what Collect holds in memory, whatever is collected.
const (
	// aheadItems is how many artifacts a run may be ahead of what is written:
	// small ones are fetched meanwhile, several at once.
	aheadItems = 32
	// aheadBytes bounds the content of small artifacts held in memory over
	// all runs.
	aheadBytes = 24 << 20
	// openRuns is how many runs of volumes are written at once.
	openRuns = 4
)

// CollectOptions say where Collect puts things.
type CollectOptions struct {
	// Writer receives every blob that has to be carried; Layout is what its
	// volumes hold at most (bundle.PlanRuns).
	Writer     *bundle.Writer
	VolumeSize int64
	// Have says whether the base of a delta has a blob; nil: there is no base.
	Have func(d bundle.Digest) bool
	// Scratch receives the lists.
	Scratch *os.Root
	// Seen receives what upstream had, per repository, in path order; nil:
	// not wanted.
	Seen     func(repository string) (SeenSink, error)
	Progress bundle.Progress
}

// SeenSink is told every file of a repository with its validator.
type SeenSink interface {
	Write(r Recorded) error
	Close() error
}

// Collected is one repository as it was collected. Its lists lie in scratch.
type Collected struct {
	Repository bundle.Repository
	// FilesName and EvidenceName are the names of the lists in scratch.
	FilesName, EvidenceName string
}

// Survey is what a plan amounts to before anything is fetched.
type Survey struct {
	Runs []bundle.Run
	// Fetch counts artifacts whose content has to be fetched, Known those
	// that the base or another artifact of the plan has.
	Fetch, Known int64
	// FetchBytes is the size of the former as far as upstream told it,
	// Unsized counts those where it did not.
	FetchBytes, Unsized int64
	// Undigested counts artifacts whose digest is only known once fetched.
	Undigested int64

	planned *bundle.DigestSet
}

// fate is what becomes of one artifact.
type fate int

const (
	fateKnown fate = iota // nothing to fetch: base or another artifact has it
	fateSized             // goes to its planned place
	fateTail              // size not known: behind everything planned
)

// triage decides what becomes of artifacts in the order of the plan. The same
// order gives the same decisions, so the survey and the collection agree.
type triage struct {
	have    func(bundle.Digest) bool
	planned *bundle.DigestSet
}

func newTriage(have func(bundle.Digest) bool) *triage {
	if have == nil {
		have = func(bundle.Digest) bool { return false }
	}
	return &triage{have: have, planned: bundle.NewDigestSet(0)}
}

func (t *triage) decide(f bundle.File) fate {
	switch {
	case f.Digest.IsZero() && f.Size < 0:
		return fateTail
	case f.Digest.IsZero():
		return fateSized
	case t.have(f.Digest) || !t.planned.Add(f.Digest, f.Size):
		return fateKnown
	case f.Size < 0:
		return fateTail
	}
	return fateSized
}

// Survey looks at every artifact of the plan, fetching nothing, and lays out
// the volumes.
func (r *Resolved) Survey(volumeSize int64, have func(bundle.Digest) bool) (*Survey, error) {
	t := newTriage(have)
	s := &Survey{planned: t.planned}
	runs, err := bundle.PlanRuns(volumeSize, func(yield func(int64, error) bool) {
		for p, err := range r.artifacts() {
			if err != nil {
				yield(0, err)
				return
			}
			f := p.artifact.File
			if f.Digest.IsZero() {
				s.Undigested++
			}
			switch t.decide(f) {
			case fateKnown:
				s.Known++
			case fateTail:
				s.Fetch++
				s.Unsized++
			case fateSized:
				s.Fetch++
				s.FetchBytes += f.Size
				if !yield(f.Size, nil) {
					return
				}
			}
		}
	})
	if err != nil {
		return nil, err
	}
	s.Runs = runs
	return s, nil
}

// placed is an artifact and the repository it belongs to.
type placed struct {
	repository int
	artifact   Artifact
}

// artifacts streams the artifacts of all repositories, in plan order.
func (r *Resolved) artifacts() iter.Seq2[placed, error] {
	return func(yield func(placed, error) bool) {
		for i, p := range r.Repositories {
			for a, err := range p.Artifacts() {
				if err != nil {
					err = fmt.Errorf("source %s: %w", p.Name, err)
				}
				if !yield(placed{i, a}, err) || err != nil {
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
// A wrong digest or an upstream that gives out is an error that names the
// artifact; what else is under way in other runs is finished, and recorded
// for the next attempt, before Collect returns.
func Collect(ctx context.Context, r *Resolved, s *Survey, o CollectOptions) ([]Collected, error) {
	c := &collection{
		resolved: r, o: o, planned: s.planned, triage: newTriage(o.Have),
		memory: semaphore.NewWeighted(aheadBytes), running: semaphore.NewWeighted(openRuns),
	}
	o.Progress.Grow(s.FetchBytes)
	lists, err := newListing(r, o)
	if err != nil {
		return nil, err
	}
	results := make(chan *pending, aheadItems*(openRuns+1))
	group, ctx := errgroup.WithContext(ctx)
	c.group = group
	group.Go(func() error { return lists.follow(ctx, results) })
	group.Go(func() error {
		defer close(results)
		return c.dispatch(ctx, s.Runs, results)
	})
	err = group.Wait()
	if err == nil && c.findings.any() {
		err = c.findings.join()
	}
	if err == nil {
		err = c.late(ctx, lists)
	}
	if c.tail != nil {
		err = errors.Join(err, c.tail.close(context.WithoutCancel(ctx), err))
	}
	return lists.finish(err)
}
