package upstream

import (
	"context"
	"fmt"
	"time"

	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/sources"
)

// laterAttempt is how long Forward waits before it asks once more: the edges of a
// content network disagree for a while after each publication.
const laterAttempt = 20 * time.Second

// OlderError means that upstream shows an older state than one that was exported before:
// what is replayed is signed as well as what is new. It matches fetch.ErrRefused.
type OlderError struct {
	Source string
	// The file that bears the date: the path of a Release, of repomd.xml, of an index.
	What         string
	Have, Before time.Time
}

func (e *OlderError) Error() string {
	const form = "2006-01-02 15:04:05 MST"
	return fmt.Sprintf("%s: upstream's date is %s, and the state that was exported before is of %s: every mirror was asked, and once more %v later",
		e.What, e.Have.UTC().Format(form), e.Before.UTC().Format(form), laterAttempt)
}

// Unwrap returns fetch.ErrRefused.
func (e *OlderError) Unwrap() error { return fetch.ErrRefused }

// Forward calls read until it returns a state that is not older than the exported one. read
// reads a state from the mirror with the given number, or from the following ones if that
// fails, and returns upstream's dates for it. Forward tries the mirrors in turn, and after a
// pause the first one again; mirrors returns how many there are, and is called after the
// first read. If all have an older state, the error is an *OlderError, unless the operator
// allowed it for this source.
//
// The state of the last call of read counts. A state without a date is never refused, nor is
// any if the exported one has no date on record.
func Forward(ctx context.Context, env *sources.Env, source string, mirrors func() int, read func(mirror int) (sources.Dated, error)) error {
	now, err := read(0)
	if err != nil {
		return err
	}
	what, older := env.Dates.Older(source, now)
	if !older {
		env.Dates.Note(source, now)
		return nil
	}
	if env.Dates.MayBeOlder(source) {
		env.Dates.Note(source, now)
		env.Dates.NoteOlder(source)
		return nil
	}
	refusal := &OlderError{Source: source, What: what, Have: now[what], Before: env.Dates.Before(source, what)}
	env.Log.Info("upstream shows an older state than before: asking its other mirrors, and once more later", "source", source, "what", what)
	count := min(mirrors(), MaxMirrors)
	for mirror := 1; mirror <= count; mirror++ {
		if mirror == count {
			if err := env.Fetch.Pause(ctx, laterAttempt); err != nil {
				return err
			}
		}
		now, err := read(mirror % count)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			continue // the older state has to be reported
		}
		if _, older := env.Dates.Older(source, now); !older {
			env.Dates.Note(source, now)
			return nil
		}
	}
	return refusal
}
