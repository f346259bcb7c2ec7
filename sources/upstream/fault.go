package upstream

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/sources"
)

// fault is an error of a class that its text does not repeat.
type fault struct {
	text  string
	class error
}

func (e *fault) Error() string { return e.text }
func (e *fault) Unwrap() error { return e.class }

// MovedError means that a file is not what an index states, or is gone although the
// index lists it. Upstream may have changed between the two. It matches
// fetch.ErrUpstream.
type MovedError struct {
	// File and Index are URLs without secrets; Index is empty if it is not known.
	File, Index string
	// Want and Have are what the index states and what came, for people. Want is empty
	// if nothing came.
	Want, Have string
}

func (e *MovedError) Error() string {
	if e.Want == "" {
		return fmt.Sprintf("%s: %s lists it, and upstream has it in no form that gapbundle reads: %s", e.File, cmp.Or(e.Index, "an index"), e.Have)
	}
	by := ""
	if e.Index != "" {
		by = ", as " + e.Index + " says"
	}
	return fmt.Sprintf("%s: want %s%s, got %s", e.File, e.Want, by, e.Have)
}

// Unwrap returns fetch.ErrUpstream.
func (e *MovedError) Unwrap() error { return fetch.ErrUpstream }

// moved reports whether upstream moved while something was read.
func moved(err error) bool {
	return errors.As(err, new(*MovedError)) || errors.As(err, new(*fetch.ChangedError))
}

// Steady calls read, and once more if upstream moved in between. read begins with
// the file that decides about all others. The second call's error is final.
// source names the source in the log.
func Steady(ctx context.Context, env *sources.Env, source string, read func() error) error {
	err := read()
	if !moved(err) || ctx.Err() != nil {
		return err
	}
	env.Log.Info("upstream changed while it was read: reading it once more", "source", source, "cause", err.Error())
	return read()
}

// SteadyFrom works like Steady, for what was begun already: head was read before. Only if upstream moved in
// between is it read again.
func SteadyFrom[H, T any](ctx context.Context, env *sources.Env, source string, head H, again func() (H, error), rest func(H) (T, error)) (all T, err error) {
	first := true
	err = Steady(ctx, env, source, func() (err error) {
		if !first {
			if head, err = again(); err != nil {
				return err
			}
		}
		first = false
		all, err = rest(head)
		return err
	})
	return all, err
}

// Blame adds the class to an error of reading upstream's content. It alone decides whose
// fault such an error is. These errors keep their class: errors of the local disk, the end
// of a context, an error in the spec (bundle.ErrUsage), a set that lacks something
// (bundle.ErrIncomplete), errors of package fetch, and a sources.MadeError, which is a
// mistake of this program. All others, above all bundle.ErrMalformed, are about content
// that upstream wrote, and match fetch.ErrUpstream alone, because no bundle is malformed.
// what names the file and begins the text, unless the error begins with it.
func Blame(what string, err error) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	if !strings.HasPrefix(text, what) {
		text = what + ": " + text
	}
	for _, class := range []error{fetch.ErrRefused, fetch.ErrConfig, fetch.ErrUpstream, bundle.ErrUsage, bundle.ErrIncomplete, context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, class) {
			return err
		}
	}
	if IsLocal(err) || errors.As(err, new(*sources.MadeError)) {
		return fmt.Errorf("%s: %w", what, err)
	}
	for _, class := range []error{bundle.ErrMalformed, bundle.ErrCorrupt} {
		text = strings.TrimSuffix(text, ": "+class.Error())
	}
	return &fault{text, fetch.ErrUpstream}
}

// IsLocal reports whether the operating system refused something that is no
// connection: errors of package fetch have their own class.
func IsLocal(err error) bool {
	return errors.As(err, new(*fs.PathError)) || errors.As(err, new(*os.LinkError)) ||
		errors.As(err, new(*os.SyscallError)) || errors.As(err, new(syscall.Errno))
}
