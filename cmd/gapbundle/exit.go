package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"

	"github.com/gapbundle/gapbundle/bundle"
)

// The exit codes, a contract for scripts (help.go prints them).
const (
	exitDone        = 0
	exitInternal    = 1
	exitUsage       = 2
	exitCorrupt     = 3
	exitUntrusted   = 4
	exitIncomplete  = 5
	exitEnvironment = 6
	exitUpstream    = 7
	exitBusy        = 8
)

// class is one kind of finding: how it is recognized, its exit code, and what
// to do about it unless a more specific hint is known.
type class struct {
	is   func(error) bool
	code int
	hint string
}

func sentinel(target error) func(error) bool {
	return func(err error) bool { return errors.Is(err, target) }
}

// classes is the sentinel table, in order of precedence within one finding: a
// class that a package stated stands above the error of the operating system
// it wraps.
func classes() []class {
	return []class{
		{sentinel(bundle.ErrUsage), exitUsage, "gapbundle COMMAND --help shows what can be asked for"},
		{sentinel(bundle.ErrBusy), exitBusy, "another gapbundle is at work there; wait for it with --retry-lock 10m"},
		{sentinel(bundle.ErrUntrusted), exitUntrusted, "nothing was changed; gapbundle trust list --mirror DIR shows what is trusted, and by whom"},
		{sentinel(bundle.ErrMalformed), exitCorrupt, "copy the named file again from where it came; if it stays so, it was not made by gapbundle"},
		{sentinel(bundle.ErrCorrupt), exitCorrupt, "copy the named file again from the side that made it, with any tool, and repeat the command"},
		{sentinel(bundle.ErrUnsupported), exitCorrupt, "use the gapbundle that made this, or a newer one"},
		{isEnvironment, exitEnvironment, ""},
		{sentinel(bundle.ErrIncomplete), exitIncomplete, "bring what is named and repeat the command"},
	}
}

// isEnvironment says that the operating system refused, and that no package
// gave the refusal a meaning of its own.
func isEnvironment(err error) bool {
	if errors.Is(err, bundle.ErrIncomplete) {
		return false
	}
	var path *fs.PathError
	var link *os.LinkError
	var call *os.SyscallError
	var errno syscall.Errno
	return errors.As(err, &path) || errors.As(err, &link) || errors.As(err, &call) || errors.As(err, &errno)
}

// order is the precedence of codes over several findings.
func order() []int {
	return []int{exitInternal, exitUsage, exitBusy, exitUntrusted, exitCorrupt, exitEnvironment, exitIncomplete, exitUpstream}
}

// exitCode is the code of a command that ended with err.
func exitCode(ctx context.Context, err error) int {
	if err == nil {
		return exitDone
	}
	if i, ok := wasInterrupted(ctx); ok {
		return i.exit()
	}
	var codes []int
	for _, f := range findings(err) {
		codes = append(codes, classOf(f).code)
	}
	for _, code := range order() {
		if slices.Contains(codes, code) {
			return code
		}
	}
	return exitInternal
}

func wasInterrupted(ctx context.Context) (interrupted, bool) {
	var i interrupted
	return i, errors.As(context.Cause(ctx), &i)
}

func classOf(err error) class {
	for _, c := range classes() {
		if c.is(err) {
			return c
		}
	}
	return class{code: exitInternal, hint: "this is a mistake in gapbundle; please report it together with what --log-level debug prints"}
}

// findings takes an error that errors.Join made apart, also where layers
// above wrapped it; any other error is one finding.
func findings(err error) []error {
	switch e := err.(type) {
	case interface{ Unwrap() []error }:
		var all []error
		var texts []string
		for _, part := range e.Unwrap() {
			all = append(all, findings(part)...)
			texts = append(texts, part.Error())
		}
		if err.Error() == strings.Join(texts, "\n") {
			return all
		}
	case interface{ Unwrap() error }:
		if inner := e.Unwrap(); inner != nil {
			if all := findings(inner); len(all) > 1 {
				return all
			}
		}
	}
	return []error{err}
}

// errorLines is what is printed behind "error:", a line for each finding.
func errorLines(ctx context.Context, err error) []string {
	if i, ok := wasInterrupted(ctx); ok {
		return []string{i.Error()}
	}
	return strings.Split(strings.TrimRight(err.Error(), "\n"), "\n")
}

// hintsFor is what is printed behind "hint:", each hint once.
func hintsFor(ctx context.Context, err error) []string {
	if _, ok := wasInterrupted(ctx); ok {
		return []string{"what is finished is kept: the same command goes on from there"}
	}
	var hints []string
	for _, f := range findings(err) {
		if h := hintFor(f); h != "" && !slices.Contains(hints, h) {
			hints = append(hints, h)
		}
	}
	return hints
}

// hintFor is what to do about one finding, the most specific answer first.
func hintFor(err error) string {
	var usage *usageError
	if errors.As(err, &usage) && usage.hint != "" {
		return usage.hint
	}
	for _, h := range []struct {
		is   error
		hint string
	}{
		{syscall.ENOSPC, "make room or name another target; what is finished is kept, the same command goes on from there"},
		{syscall.EDQUOT, "the quota is used up: make room or name another target"},
		{syscall.EROFS, "the target is mounted read-only: remount it, or name another"},
		{fs.ErrPermission, "check who owns the path and who runs this command"},
		{syscall.EIO, "the drive reports an error: try another drive or port; nothing that could not be written was counted"},
		{fs.ErrNotExist, "check the path"},
	} {
		if isEnvironment(err) && errors.Is(err, h.is) {
			return h.hint
		}
	}
	return firstOf(classOf(err).hint, "see what the operating system says about the path, then repeat the command")
}
