package sources

import (
	"cmp"
	"context"
	"errors"
	"io"
	"iter"
	"slices"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/strictyaml"
)

// Spec is one entry of the spec file's sources, or one that another source
// derived.
type Spec struct {
	// Name is the source's name, unique in the set: a label, or
	// "<source>/<kind>" for a derived one.
	Name string
	Kind string
	// Public means that it answers for a public address that other sources stand for, too.
	Public bool
	// Dir is the folder of the spec file; paths in the spec are relative to it.
	Dir string
	// From is the name of the source that derived this one, empty for one
	// that is in the spec file.
	From string
	// Reasons state why what a derived source names is in the mirror, by the reference or
	// URL as its options have it; "" is for all others. nil: its options are the reason.
	Reasons map[string]string
	// At is "file:line:column" of the entry in the spec file, for errors;
	// empty for a derived one.
	At string
	// Decode fills the struct that into points to from the kind's own part of
	// the entry, the kind's defaults beneath it. It is strict: all unknown
	// keys, wrong types and bad values are reported, with their positions.
	// Errors match bundle.ErrUsage.
	Decode func(into any) error
}

// Reason returns why what the options name is in the mirror: who derived the source states
// so, otherwise it is the option that names it.
func (s *Spec) Reason(name, option string) string {
	return cmp.Or(s.Reasons[name], s.Reasons[""], option)
}

// Kind is what one folder below sources provides: a value of functions, nil
// where the kind cannot.
type Kind struct {
	Name string
	// Doc is one line for people.
	Doc string
	// Derives means that plans of this kind may have Also; such kinds are
	// planned first.
	Derives bool
	// Options makes the empty struct that the kind's part of a spec is decoded
	// into; docs/spec.schema.json describes it.
	Options func() any
	// New makes one Source of all specs of this kind in the set, derived ones
	// included, because what one of them needs may be in another. It reads
	// nothing but the specs. Errors match bundle.ErrUsage; all are reported.
	New func([]Spec) (Source, error)
	// Check reports whether the repositories of this kind in t are complete by
	// the rules of this kind's clients, and what it looked at. It runs at
	// export over what was collected and inside over what is published.
	// Errors match bundle.ErrIncomplete or bundle.ErrCorrupt and are joined.
	Check func(ctx context.Context, t Tree) ([]bundle.CheckCount, error)
	// Deep lets the client's own program examine what is published below the web
	// root, more closely than Check does; nil: there is no such program. Errors
	// are those of Check, or that the program is missing.
	Deep func(ctx context.Context, web string, t Tree) ([]bundle.CheckCount, error)
	// Compare compares two versions of things of one type as the kind's clients do:
	// negative if a is older, 0 if none is newer. It sets the ranks in contents lists
	// and the direction of a change. nil: versions of this kind have no order.
	Compare func(typ, a, b string) int
	// Clients makes the client configuration for the repositories of this
	// kind. The result must be a function of the file lists alone.
	Clients func(ctx context.Context, repos []bundle.Repository, t Tree) ([]ClientFile, error)
}

// Source plans all specs of one kind.
type Source interface {
	// Plan reads and authenticates upstream's metadata and names every
	// artifact, one repository for each spec. The same upstream leads to the
	// same plan. No payload is read.
	Plan(ctx context.Context, env *Env) (*Plan, error)
}

// ClientFile is a file of client configuration. BaseMark, HostMark and
// InsecureMark in its content stand for what only the importing side can know
// about the mirror's address, and are replaced there when it does; so they are
// in an artifact whose File.Filled is set (at most bundle.MaxFilledSize, in a
// mount of its own), which is published when the address is known.
type ClientFile struct {
	// Path is relative to _gapbundle/clients/<kind>/ of the mirror. A file
	// for one of several programs is in a folder with its name, which is what
	// "gapbundle clients --for" takes besides the kind's.
	Path    string
	Content []byte
}

// ClientsDir returns where the client files of a kind are published, relative to
// the web root.
func ClientsDir(kind string) string { return "_gapbundle/clients/" + kind }

// Words in a client file that the importing side replaces.
const (
	// BaseMark becomes the mirror's base URL, without a slash at the end.
	BaseMark = "@BASE@"
	// HostMark becomes the host of the base URL, and its port if it has one:
	// for clients whose configuration has no scheme.
	HostMark = "@HOST@"
	// InsecureMark becomes true if the base URL is one of http, else false:
	// for the same clients.
	InsecureMark = "@INSECURE@"
)

// ErrNotAtHand is what Tree.Open returns for content that does not have to be
// looked at again: of a source that is held back, or Artifact.Checked.
var ErrNotAtHand = errors.New("not at hand on this side")

// Tree is a mirror's content as clients would see it: before the trip from
// what was collected, inside from what is published. unpack.Mirror's trees
// have its methods.
type Tree interface {
	// Repositories are those of the kind that is looked at.
	Repositories() []bundle.Repository
	// Files streams the file list of a repository by name, in order.
	Files(repo string) iter.Seq2[bundle.File, error]
	// Open opens a file by repository name and path; the caller closes it. A
	// filled file has the words in place of the address, on both sides. The
	// error matches ErrNotAtHand where a check need not look.
	Open(ctx context.Context, repo, path string) (io.ReadCloser, error)
}

// AtHand is a Tree whose content is on the own disk, as inside: parts of a file can be
// read without the rest. On the exporting side, where a check opens a file by fetching
// it, a Tree is not one.
type AtHand interface {
	Tree
	// OpenAt is like Open, for any place in the file.
	OpenAt(ctx context.Context, repo, path string) (ReadAtCloser, error)
}

// ReadAtCloser is an open file that can be read at any place.
type ReadAtCloser = interface {
	io.ReaderAt
	io.Closer
}

// Kinds are the kinds a program knows; package all lists them.
type Kinds []Kind

// Lookup finds a kind by name.
func (k Kinds) Lookup(name string) (Kind, bool) {
	i := slices.IndexFunc(k, func(kind Kind) bool { return kind.Name == name })
	if i < 0 {
		return Kind{}, false
	}
	return k[i], true
}

// Names lists them, in their order.
func (k Kinds) Names() []string {
	names := make([]string, len(k))
	for i := range k {
		names[i] = k[i].Name
	}
	return names
}

// Given returns the Spec of a derived source over a value that the deriving kind
// built: a map, or a struct with json tags, with the keys that the other
// kind's part of a spec file has. Its name is "<from>/<kind>", its folder
// that of from.
func Given(from Spec, kind string, value any) Spec {
	s := Spec{Name: from.Name + "/" + kind, Kind: kind, Public: from.Public, Dir: from.Dir, From: from.Name}
	s.Decode = func(into any) error {
		n, err := strictyaml.FromValue("source "+s.Name, value)
		if err != nil {
			return err
		}
		return n.Decode(into)
	}
	return s
}
