package gitfile

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
)

// Bounds of a repository's refs.
const (
	MaxRefs    = 200_000 // the largest public repositories have some ten thousand
	MaxRefName = 1024    // bytes
)

// peeledSuffix marks the line of info/refs with the object that a tag leads to.
const peeledSuffix = "^{}"

const packedHeader = "# pack-refs with: peeled fully-peeled sorted \n"

// Ref is a name for an object.
type Ref struct {
	Name string
	ID   ID
	// Peeled is the object that an annotated tag leads to in the end; zero if
	// ID names no tag.
	Peeled ID
}

// Commit returns what the ref leads to in the end.
func (r Ref) Commit() ID {
	if r.Peeled.IsZero() {
		return r.ID
	}
	return r.Peeled
}

// CheckRefName returns an error if git-check-ref-format(1) does not allow name
// below refs/. The error matches bundle.ErrMalformed.
func CheckRefName(name string) error {
	bad := func(why string) error {
		return fmt.Errorf("ref %.80q: %s: %w", name, why, bundle.ErrMalformed)
	}
	switch {
	case len(name) > MaxRefName:
		return bad(fmt.Sprintf("%s, at most %d", bundle.Count(len(name), "byte"), MaxRefName))
	case !strings.HasPrefix(name, "refs/"):
		return bad("not below refs/")
	case strings.Contains(name, "..") || strings.Contains(name, "@{"):
		return bad(`has ".." or "@{"`)
	case strings.HasSuffix(name, "."):
		return bad("ends in a dot")
	}
	for _, r := range []byte(name) {
		if r <= ' ' || r == 0x7f || strings.IndexByte(`~^:?*[\`, r) >= 0 {
			return bad(fmt.Sprintf("has the character %q", r))
		}
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == "" || part[0] == '.' || strings.HasSuffix(part, ".lock") {
			return bad(fmt.Sprintf("has the part %.40q", part))
		}
	}
	return nil
}

// WritePackedRefs writes packed-refs of sorted refs.
func WritePackedRefs(w io.Writer, refs []Ref) error {
	b := bufio.NewWriter(w)
	_, _ = b.WriteString(packedHeader) // Flush returns the error
	for _, r := range refs {
		fmt.Fprintf(b, "%s %s\n", r.ID, r.Name)
		if !r.Peeled.IsZero() {
			fmt.Fprintf(b, "^%s\n", r.Peeled)
		}
	}
	return b.Flush()
}

// WriteInfoRefs writes info/refs of sorted refs, which is where clients of the
// dumb protocol read them.
func WriteInfoRefs(w io.Writer, refs []Ref) error {
	b := bufio.NewWriter(w)
	for _, r := range refs {
		fmt.Fprintf(b, "%s\t%s\n", r.ID, r.Name)
		if !r.Peeled.IsZero() {
			fmt.Fprintf(b, "%s\t%s%s\n", r.Peeled, r.Name, peeledSuffix)
		}
	}
	return b.Flush()
}

// ReadPackedRefs reads what WritePackedRefs writes: sorted and peeled.
// Errors match bundle.ErrMalformed or are r's.
func ReadPackedRefs(r io.Reader) ([]Ref, error) {
	l := refList{what: "packed-refs"}
	err := l.lines(r, func(line string) error {
		switch {
		case strings.HasPrefix(line, "#"):
			if len(l.refs) > 0 {
				return l.bad("a comment after the first ref")
			}
			return nil
		case strings.HasPrefix(line, "^"):
			return l.peel(line[1:], "")
		}
		id, name, ok := strings.Cut(line, " ")
		if !ok {
			return l.bad("line %.80q: want an object and a name", line)
		}
		return l.add(id, name)
	})
	return l.refs, err
}

// ReadInfoRefs reads what WriteInfoRefs writes.
// Errors match bundle.ErrMalformed or are r's.
func ReadInfoRefs(r io.Reader) ([]Ref, error) {
	l := refList{what: "info/refs"}
	err := l.lines(r, l.advertised)
	return l.refs, err
}

// Advertised is what a server announces: its refs and its HEAD.
type Advertised struct {
	Refs   []Ref
	Symref string // the branch that HEAD names; empty: not announced
	Head   ID     // HEAD's object; zero: there is none
}

// ReadAdvertised reads the output of "git ls-remote --symref": the lines of
// info/refs, and before them HEAD's branch and object.
func ReadAdvertised(r io.Reader) (*Advertised, error) {
	l := refList{what: "refs of upstream"}
	up := &Advertised{}
	err := l.lines(r, func(line string) error {
		value, name, _ := strings.Cut(line, "\t")
		target, isSymref := strings.CutPrefix(value, "ref: ")
		switch {
		case name == "HEAD" && isSymref:
			up.Symref = target
			return CheckRefName(target)
		case isSymref:
			return nil // a symbolic ref elsewhere; its own line has its object
		case name == "HEAD":
			var err error
			up.Head, err = ParseID(value)
			return err
		}
		return l.advertised(line)
	})
	up.Refs = l.refs
	return up, err
}

// Equal reports whether a server announced the same twice.
func (a *Advertised) Equal(b *Advertised) bool {
	return a.Head == b.Head && a.Symref == b.Symref && slices.Equal(a.Refs, b.Refs)
}

type refList struct {
	what string
	refs []Ref
}

func (l *refList) bad(format string, args ...any) error {
	return fmt.Errorf(l.what+": "+format+": %w", append(args, bundle.ErrMalformed)...)
}

func (l *refList) lines(r io.Reader, line func(string) error) error {
	scanner := bufio.NewScanner(r)
	scanner.Buffer(nil, MaxRefName+2*IDSize+16)
	for scanner.Scan() {
		if err := line(scanner.Text()); err != nil {
			return err
		}
	}
	if errors.Is(scanner.Err(), bufio.ErrTooLong) {
		return l.bad("a ref with a name of more than %d bytes", MaxRefName)
	}
	return scanner.Err()
}

func (l *refList) advertised(line string) error {
	id, name, ok := strings.Cut(line, "\t")
	if !ok {
		return l.bad("line %.80q: want an object, a tab and a name", line)
	}
	if of, isPeeled := strings.CutSuffix(name, peeledSuffix); isPeeled {
		return l.peel(id, of)
	}
	return l.add(id, name)
}

func (l *refList) add(id, name string) error {
	if err := CheckRefName(name); err != nil {
		return l.bad("%w", err)
	}
	if n := len(l.refs); n > 0 && l.refs[n-1].Name >= name {
		return l.bad("%.80q after %.80q: not in order", name, l.refs[n-1].Name)
	}
	if len(l.refs) == MaxRefs {
		return l.bad("more than %d refs", MaxRefs)
	}
	parsed, err := ParseID(id)
	if err != nil {
		return l.bad("%w", err)
	}
	l.refs = append(l.refs, Ref{Name: name, ID: parsed})
	return nil
}

// peel sets the peeled object of the last ref, which has to be of that name.
func (l *refList) peel(id, of string) error {
	n := len(l.refs)
	if n == 0 || of != "" && l.refs[n-1].Name != of || !l.refs[n-1].Peeled.IsZero() {
		return l.bad("a peeled object %.60q without its tag before it", id)
	}
	parsed, err := ParseID(id)
	if err != nil {
		return l.bad("%w", err)
	}
	l.refs[n-1].Peeled = parsed
	return nil
}
