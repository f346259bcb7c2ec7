package export

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/bundle/media"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/collect"
	"github.com/gapbundle/gapbundle/sources/ledger"
)

// job writes the bundle of a plan, once.
type job struct {
	plan    *plan
	result  Result
	writer  *media.Writer
	seen    map[string]string // repository -> name in scratch
	created ledger.Pending
	kept    []ledger.Document
	made    map[bundle.Digest]sources.Artifact // key files and client files
}

func newJob(p *plan) *job { return &job{plan: p, seen: make(map[string]string)} }

// attempt collects what is planned, and finishes the bundle.
func (j *job) attempt(ctx context.Context) (_ *Result, err error) {
	p := j.plan
	defer func() {
		if j.writer != nil {
			err = errors.Join(err, j.writer.Close())
		}
	}()
	collected, err := j.collect(ctx, j.open)
	if err != nil {
		return nil, err
	}
	if j.kept, err = p.documents(keptOf(collected)); err != nil {
		return nil, err
	}
	m, lists, err := j.manifest(ctx, collected)
	if err == nil {
		err = j.checkReach(ctx, m, collected)
	}
	if err != nil {
		return nil, err
	}
	j.result.Asked, j.result.Answered, err = p.asked.answer(p.env.Scratch, collected, carriedLists(m.Repositories))
	if err != nil {
		return nil, err
	}
	if p.base != nil && j.result.Answered == 0 && sameContent(m, p.base.manifest) {
		return j.nothing()
	}
	if j.result.Names, err = p.collectedNames(ctx, m.Repositories, collected); err != nil {
		return nil, err
	}
	if _, err := j.open(); err != nil { // a delta of removals carries no blob
		return nil, err
	}
	m.Sequence, m.Stream, m.Created = j.created.Sequence, p.ledger.Stream(), j.created.Created
	if p.o.Expires > 0 {
		t := m.Created.Add(p.o.Expires)
		m.Expires = &t
	}
	// Before the bundle is finished, so that no later crash loses them. If
	// it does not get finished, what was seen first stays what was seen first.
	if err := errors.Join(j.saveLock(), j.keepSeen()); err != nil {
		return nil, err
	}
	finished, err := j.writer.Finish(ctx, *m, lists, p.own.values())
	if err != nil {
		return nil, err
	}
	return j.settle(collected, finished)
}

func (j *job) collect(ctx context.Context, open func() (*media.Writer, error)) ([]collect.Collected, error) {
	return collect.Collect(ctx, j.plan.resolved, j.plan.survey, collect.Options{
		Writer: open, Have: j.plan.have.Size, Scratch: j.plan.env.Scratch, Seen: j.newSeen, Progress: j.plan.o.Progress, Site: j.site,
		Documents: j.plan.ledger.Documents(), InOrder: j.plan.layout.inOrder,
	})
}

// open makes the writer: the number is taken, durably, before the first byte
// is written, unless the same request was interrupted and goes on.
func (j *job) open() (*media.Writer, error) {
	if j.writer != nil {
		return j.writer, nil
	}
	request, err := j.plan.request()
	if err != nil {
		return nil, err
	}
	if err := j.sameMedia(request); err != nil {
		return nil, err
	}
	for _, t := range j.plan.o.Targets {
		if err := os.Mkdir(t, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
	}
	if p := j.plan.ledger.Pending(); p != nil && p.Request != request {
		for _, t := range p.Targets {
			dir := strings.TrimRight(t, "/") + "/" + bundle.DirName(j.plan.spec.Set, p.Sequence) + bundle.PartialSuffix
			if _, err := os.Stat(dir); err == nil {
				j.result.Left = append(j.result.Left, dir)
			}
		}
		if err := j.plan.ledger.Settle(); err != nil {
			return nil, err
		}
	}
	if j.plan.ledger.Pending() == nil {
		if _, err := j.plan.ledger.Take(request, j.plan.o.Targets, j.plan.o.Now); err != nil {
			return nil, err
		}
	}
	if err := j.recordLayout(); err != nil {
		return nil, err
	}
	if m := j.plan.layout.mediaPlan(j.plan.o.Targets); m != nil && j.plan.o.Media != nil {
		j.plan.o.Media(m)
	}
	j.created = *j.plan.ledger.Pending()
	j.result.Unknown = j.plan.to.others()
	records, err := j.plan.ledger.Records()
	if err != nil {
		return nil, err
	}
	j.plan.atEnd(records.Close)
	load := j.plan.layout.load
	j.writer, err = media.NewWriter(media.WriterOptions{
		Set: j.plan.spec.Set, Sequence: j.created.Sequence, Targets: j.plan.o.Targets, VolumeSize: load.VolumeSize, Jobs: j.plan.o.Jobs, Compression: j.plan.o.Compression,
		Raw: load.Raw(), Lists: load.Lists, Tail: load.Tail, Records: records, NoReadback: j.plan.o.NoReadback, Progress: j.plan.o.Progress, NextMedium: j.plan.o.NextMedium, Absent: j.plan.o.Absent,
	})
	return j.writer, err
}

// recordLayout notes in the ledger how the bundle is cut, and which targets are mounted.
func (j *job) recordLayout() error {
	size := j.plan.layout.load.VolumeSize
	if size == bundle.DefaultVolumeSize {
		size = 0
	}
	var mounted []string
	for _, target := range j.plan.o.Targets {
		yes, err := media.Removable(target)
		if err != nil {
			return err
		}
		if yes {
			abs, err := filepath.Abs(target)
			if err != nil {
				return err
			}
			mounted = append(mounted, abs)
		}
	}
	return j.plan.ledger.LayOut(size, mounted)
}

// sameMedia refuses a target that was a mounted medium when the export began and is a
// folder of the system's disk now, or not there: then the medium is not plugged in.
func (j *job) sameMedia(request bundle.Digest) error {
	p := j.plan.ledger.Pending()
	if p == nil || p.Request != request {
		return nil
	}
	for i, target := range j.plan.o.Targets {
		abs, err := filepath.Abs(target)
		if err != nil {
			return err
		}
		if !slices.Contains(p.Mounted, abs) {
			continue
		}
		there, err := media.Removable(target)
		if err != nil {
			return err
		}
		if !there {
			return &media.GoneError{Number: i + 1, Dir: target}
		}
	}
	return nil
}
