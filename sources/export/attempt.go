package export

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/bundle/media"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/collect"
	"github.com/gapbundle/gapbundle/sources/ledger"
)

// job is the bundle that a session writes.
type job struct {
	*session
	result  Result
	writer  *media.Writer
	seen    map[string]string // repository -> name in scratch
	created ledger.Pending
	kept    []ledger.Document
	own     map[bundle.Digest]sources.Artifact // key files and client files that were made
}

func newJob(s *session) *job { return &job{session: s, seen: make(map[string]string)} }

// write makes the bundle. Where upstream changed between its metadata and what
// they name, all is planned once more: a bundle holds one state of upstream.
// The number stays, and what fits the new plan on the media.
func (s *session) write(ctx context.Context) (*Result, error) {
	j := newJob(s)
	r, first := j.attempt(ctx)
	if !collect.Moved(first) || ctx.Err() != nil {
		return r, first
	}
	s.o.Log.Info("upstream changed while it was collected: planning once more", "error", first)
	switch changed, err := s.planAgain(ctx); {
	case err != nil:
		return nil, errors.Join(first, fmt.Errorf("planned once more: %w", err))
	case !changed:
		return nil, errors.Join(first, &atOdds{fmt.Errorf("upstream's metadata, read once more, say the same: %w", fetch.ErrUpstream)})
	}
	j.writer, j.seen = nil, make(map[string]string)
	r, second := j.attempt(ctx)
	if second != nil && ctx.Err() == nil {
		second = errors.Join(second, fmt.Errorf("before that, planned from older metadata: %w", first))
	}
	return r, second
}

// atOdds is an upstream that does not have what its metadata say, whenever they are read.
type atOdds struct{ error }

func (e *atOdds) Unwrap() error { return e.error }

// Hint says what to do about it.
func (*atOdds) Hint() string {
	return "repeat the command later; until upstream is right, exclude in the source leaves out what is named (apt and rpm: name=version)"
}

// sameContent reports whether two roots describe the same files and say the same
// about them. Annotations are no part of the state, and inside they are needed:
// a change of them alone makes a bundle too, a tiny one. So does the first contents
// list of a repository, by which a mirror learns what it holds by name.
func sameContent(a, b *bundle.Manifest) bool {
	return a.State == b.State && slices.EqualFunc(a.Repositories, b.Repositories, func(a, b bundle.Repository) bool {
		return a.Name == b.Name && maps.Equal(a.Annotations, b.Annotations) && (a.Contents == nil) == (b.Contents == nil)
	})
}

// attempt collects what is planned, and finishes the bundle.
func (j *job) attempt(ctx context.Context) (_ *Result, err error) {
	s := j.session
	defer func() {
		if j.writer != nil {
			err = errors.Join(err, j.writer.Close())
		}
	}()
	collected, err := j.collect(ctx, j.open)
	if err != nil {
		return nil, err
	}
	if j.kept, err = j.collectedDocuments(collected); err != nil {
		return nil, err
	}
	m, lists, err := j.manifest(ctx, collected)
	if err == nil {
		err = j.checkReach(ctx, m, collected)
	}
	if err != nil {
		return nil, err
	}
	if err := j.answered(collected, carriedLists(m.Repositories)); err != nil {
		return nil, err
	}
	if s.base != nil && j.result.Answered == 0 && sameContent(m, s.base.manifest) {
		return j.nothing()
	}
	if j.result.Names, err = s.collectedNames(ctx, m.Repositories, collected); err != nil {
		return nil, err
	}
	if _, err := j.open(); err != nil { // a delta of removals carries no blob
		return nil, err
	}
	m.Sequence, m.Stream, m.Created = j.created.Sequence, s.ledger.Stream(), j.created.Created
	if s.o.Expires > 0 {
		t := m.Created.Add(s.o.Expires)
		m.Expires = &t
	}
	// Before the bundle is finished, so that no later crash loses them. If
	// it does not get finished, what was seen first stays what was seen first.
	if err := errors.Join(j.saveLock(), j.keepSeen()); err != nil {
		return nil, err
	}
	finished, err := j.writer.Finish(ctx, *m, lists, j.signerValues())
	if err != nil {
		return nil, err
	}
	return j.settle(collected, finished)
}
