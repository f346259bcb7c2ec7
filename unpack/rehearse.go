package unpack

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/bundle/reach"
	"github.com/gapbundle/gapbundle/unpack/state"
	"github.com/gapbundle/gapbundle/unpack/tree"
	"github.com/gapbundle/gapbundle/verify"
)

// rehearse does what importAll does, and changes nothing.
func rehearse(ctx context.Context, m *Mirror, arrived *arrivals, keep int) (*Result, error) {
	of, trees, res := m.state, m.trees, &Result{}
	choices, unexcused := arrived.choices()
	var errs []error
	for _, f := range arrived.refused {
		res.Bundles = append(res.Bundles, refusalResult(f))
	}
	for _, f := range unexcused {
		errs = append(errs, f.named())
	}
	if err := settleConflicts(of, trees, choices); err != nil {
		return res, errors.Join(append(errs, err)...)
	}
	for _, c := range choices {
		if len(c.failed) > 0 { // each set once
			errs = append(errs, c.failed[0].err)
		}
		results := unpublished(of, c, state.Imported)
		for i := range results {
			if len(c.candidates) > 0 && results[i].Name == c.candidates[0].Name() {
				err := rehearseOne(ctx, m, c.candidates[0], len(arrived.all) > 1, &results[i])
				if err == nil {
					err = res.rehearseNames(ctx, trees, c.candidates[0], keep)
				}
				if err != nil {
					errs = append(errs, err)
				}
				if err != nil && outcomeOf(err) == state.Refused {
					c.drop(err)
				}
			}
		}
		res.Bundles = append(res.Bundles, results...)
	}
	res.Notes = append(res.Notes, arrivalNotes(arrived.all)...)
	current, err := m.trees.Published()
	if err == nil {
		res.Need, err = measure(ctx, m.o, m.dir, of, m.blobs, current, choices)
	}
	return res, errors.Join(append(errs, err)...)
}

func (r *Result) rehearseNames(ctx context.Context, trees *tree.Trees, a *arrival, keep int) error {
	s, err := brings(ctx, trees, a.Bundle, keep)
	if s != nil {
		r.Names = append(r.Names, s)
	}
	return err
}

// arrivalNotes returns what the gate points out about bundles and refuses nothing for: clocks that
// differ, files that do not belong to a bundle.
func arrivalNotes(all []*arrival) (notes []string) {
	for _, a := range all {
		for _, note := range a.Report().Notes {
			if !strings.HasSuffix(note, " is not at hand") { // is reported where it matters
				notes = append(notes, a.Name()+": "+note)
			}
		}
	}
	return notes
}

// rehearseOne fills in what an import of the bundle would do. It returns an error if the
// bundle's lists or volumes show that it would be refused, or if volumes are missing.
func rehearseOne(ctx context.Context, m *Mirror, a *arrival, helped bool, res *BundleResult) error {
	survey, err := lookAt(m.state, a.Bundle)
	if err == nil {
		err = rehearseReading(ctx, m, a, survey)
	}
	if err != nil {
		res.Outcome, res.Reason = outcomeOf(err), err.Error()
		return err
	}
	return rehearsePlacing(m.state, a, helped, res)
}

// rehearseReading reads the volumes at hand that an import would read, as verify does.
func rehearseReading(ctx context.Context, m *Mirror, a *arrival, survey *reach.Survey) error {
	p, err := m.state.ReadPending(a.Name())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	keep := verify.NewKeep(survey.Contents(), maxExamined)
	var errs []error
	for i, v := range a.Volumes() {
		if v.Found < 0 || p != nil && p.Root == a.Root() && p.Placed[i+1] {
			continue
		}
		m.o.Progress.Grow(v.Size)
		err := a.Stream(ctx, i, keep, verify.StreamOptions{Jobs: m.o.Jobs, Progress: m.o.Progress})
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", a.Name(), err))
		}
	}
	if len(errs) > 0 {
		return errors.Join(errs...)
	}
	return judgeFiles(survey, a.Bundle, keptOrStored(m, keep))
}

// keptOrStored reads a key file or a client file from what was streamed, or else from the
// store of m; nil: there is none.
func keptOrStored(m *Mirror, keep *verify.Keep) func(bundle.File) ([]byte, error) {
	return func(f bundle.File) ([]byte, error) {
		if content, ok := keep.Content(f.Digest); ok {
			return content, nil
		}
		if m != nil {
			content, err := readBlob(m.blobs, f)
			if !errors.Is(err, fs.ErrNotExist) {
				return content, err
			}
		}
		return nil, reach.ErrNotAtHand
	}
}

// rehearsePlacing finds the volumes that an import would still ask for. helped:
// other bundles at hand may have what is missing.
func rehearsePlacing(of *state.State, a *arrival, helped bool, res *BundleResult) error {
	p, err := of.ReadPending(a.Name())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	e := &verify.MissingVolumesError{Name: a.Name()}
	for i, v := range a.Volumes() {
		if !v.Present && (p == nil || p.Root != a.Root() || !p.Placed[i+1]) {
			e.Volumes, e.Bytes = append(e.Volumes, v.Name), e.Bytes+v.Size
		}
	}
	res.MissingVolumes = e.Volumes
	if len(e.Volumes) == 0 || helped {
		return nil
	}
	res.Outcome = state.Pending
	return e
}
