package verify

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
)

// MissingVolumesError: volumes that are not at hand.
type MissingVolumesError struct {
	Name    string
	Volumes []string
	Bytes   int64
}

func (e *MissingVolumesError) Error() string {
	const some = 8
	names := strings.Join(e.Volumes[:min(some, len(e.Volumes))], ", ")
	if more := len(e.Volumes) - some; more > 0 {
		names += fmt.Sprintf(" and %d more", more)
	}
	return fmt.Sprintf("%s: %s (%s) not at hand: %s", e.Name, bundle.Count(len(e.Volumes), "volume"), bundle.Count(e.Bytes, "byte"), names)
}

// Is makes it bundle.ErrIncomplete.
func (e *MissingVolumesError) Is(target error) bool { return target == bundle.ErrIncomplete }

// Check streams every volume at hand to nowhere, adds what was checked to the
// report, and returns everything that is wrong: damaged volumes one by one, those
// that are not at hand in one *MissingVolumesError. It is what the command
// verify does after Open.
func (b *Bundle) Check(ctx context.Context, o StreamOptions) error { return b.CheckTo(ctx, nil, o) }

// CheckTo works like Check, with a sink, which may take some of the blobs. nil: nowhere.
func (b *Bundle) CheckTo(ctx context.Context, sink Sink, o StreamOptions) error {
	var errs []error
	if o.Progress == nil {
		o.Progress = bundle.NoProgress
	}
	for _, v := range b.volumes {
		if v.Found >= 0 {
			o.Progress.Grow(v.Size)
		}
	}
	missing := &MissingVolumesError{Name: b.Name()}
	for i, v := range b.volumes {
		if v.Found < 0 {
			missing.Volumes, missing.Bytes = append(missing.Volumes, v.Name), missing.Bytes+v.Size
			continue
		}
		o.Progress.Item(b.Name() + "/" + v.Name)
		err := b.Stream(ctx, i, sink, o)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		b.report.count("volumes, every byte", 1)
		b.report.count("bytes of volumes", v.Size)
		b.report.count("blobs hashed", v.BlobCount)
	}
	if len(missing.Volumes) > 0 {
		errs = append(errs, missing)
	}
	b.report.checkedVolumes(b, errs)
	return errors.Join(errs...)
}

// Note adds a refusal, or what could not be checked, that somebody else found to the
// report: rules about what a set may have are none of this package.
func (b *Bundle) Note(wrong error, checked string, n int64, notChecked ...string) {
	if n > 0 {
		b.report.count(checked, n)
	}
	for _, what := range notChecked {
		b.report.notChecked(what)
	}
	if wrong != nil {
		b.report.Findings = append(b.report.Findings, strings.Split(wrong.Error(), "\n")...)
	}
}
