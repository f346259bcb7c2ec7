package rebuild

import (
	"errors"
	"fmt"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/strictyaml"
)

// Absent is the option absent of a spec: what becomes of packages that clients cannot use
// and that an index made here would have. Empty: such a package is an error, which is
// upstream's fault.
type Absent string

// Skip leaves them out, each with a remark.
const Skip Absent = "skip"

// Skips reports whether what clients cannot use is left out.
func (a Absent) Skips() bool { return a == Skip }

// Check refuses another value than skip, and one for upstream's own index.
func (a Absent) Check(pos strictyaml.Pos, rebuilt bool) error {
	switch {
	case a != "" && a != Skip:
		return pos.Errorf("absent: want %s, got %.40q", Skip, string(a))
	case a != "" && !rebuilt:
		return pos.Errorf("absent: upstream's own index has what it has; mode rebuilt leaves out")
	}
	return nil
}

// SkipHint ends the error of something that Skip would leave out.
const SkipHint = "absent: skip leaves it out"

// leftOut begins a remark.
const leftOut = "left out: "

// LeftOut returns the remark on something that is left out because of err.
func LeftOut(err error) string {
	text := err.Error()
	for _, class := range []error{fetch.ErrUpstream, bundle.ErrMalformed} {
		text = strings.TrimSuffix(text, ": "+class.Error())
	}
	return leftOut + text
}

// maxNamed bounds how many unusable packages an error names.
const maxNamed = 5

// Missing returns err, by which a choice ended because something is missing, with what is left
// out of a source or would have to be: it may be that. remarks are those of LeftOut;
// as errors they match fetch.ErrUpstream.
func Missing(err error, source string, remarks []string) error {
	all := []error{err}
	for i, remark := range remarks {
		if i == maxNamed {
			all = append(all, fmt.Errorf("source %s: clients cannot use %s more: %w", source, bundle.Count(len(remarks)-i, "package"), fetch.ErrUpstream))
			break
		}
		all = append(all, fmt.Errorf("source %s: %s: %w", source, remark, fetch.ErrUpstream))
	}
	return errors.Join(all...)
}

// Unusable returns the remark on something that Skip would leave out because of err.
func Unusable(err error) string {
	return strings.TrimPrefix(LeftOut(err), leftOut) + "; " + SkipHint
}
