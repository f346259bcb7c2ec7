package sources

import (
	"context"
	"iter"
	"strings"
	"time"

	"github.com/gapbundle/gapbundle/bundle"
)

// Plan is what a source intends: every artifact named, nothing collected.
type Plan struct {
	// Repositories has one for each spec the source was made of, in their order.
	Repositories []Repository
	// Also are sources of other kinds that these need. Only kinds with
	// Derives may have any.
	Also []Derived
	// Scratch is how many bytes the source may need of Env.Scratch.
	Scratch int64
}

// Public is a public address that a part of a repository stands for.
type Public = bundle.Public

// Derived is a source that another one asked for; Given makes its Spec.
type Derived struct{ Spec Spec }

// Repository is a planned repository: always whole.
type Repository struct {
	// Name is the source's name.
	Name string
	// Mode is "verbatim" or "rebuilt" where upstream signs an index, else empty.
	Mode string
	// Mount is where the paths begin, relative to the web root. Repositories
	// of one kind may share one that bundle.IsSharedMount names; no path may
	// be in two of them.
	Mount       string
	Annotations map[string]string
	// Public are the public addresses that the repository stands for, as the spec
	// names them: what a client outside would ask. They may not depend on which
	// mirror answered. At most bundle.MaxPublic; in any order.
	Public []Public
	// Artifacts streams them in the order of bundle.ComparePaths. It may be
	// called again, and concurrently with what an earlier call gave; it reads
	// metadata only. The sequence ends after the first error.
	Artifacts func() iter.Seq2[Artifact, error]
	// Late makes the artifacts that depend on what others turned out to be,
	// in order; nil: none. Called once, when all others of the repository
	// are collected.
	Late func(ctx context.Context, done Results) ([]Artifact, error)
	// Expires is the earliest time at which upstream's own signatures or
	// indexes lapse; nil: never, or not said.
	Expires *time.Time
	// Keys are the OpenPGP keys that clients of this repository are told to trust.
	Keys []Key
	// Notes are remarks for the person who reads the plan.
	Notes []string
	// Lines are what a person asked for line by line, and what sources of other
	// kinds carry; nil: nothing of that kind. The plan states how large each is.
	Lines []Line
}

// Line is one thing that a person can leave out by its text.
type Line struct {
	Text string
	// Paths are where it is in the mirror, relative to the web root: files, or with
	// a slash at the end folders.
	Paths []string
}

// Artifact is one file of the mirror and how to get it.
type Artifact struct {
	// File is what is known before its bytes move: Size is -1 and Digest is
	// zero where upstream does not state it.
	File     bundle.File
	Evidence bundle.Evidence
	// Entries are what the file stands for, by name; "": it has no name of its own.
	Entries EntryList
	// Validator names the version that plan saw (bundle.Content's), "" unknown.
	Validator string
	// Open fetches the content; it may be called again.
	Open bundle.Open
	// Checked means that the base has this very line of the list, so that it was
	// looked at when that was made: a check by the same version of the program
	// gets ErrNotAtHand for its content.
	Checked bool
	// Keep means that the exporter keeps the content between exports, with the state
	// that it belongs to: Env.Document returns it to a plan that builds on that
	// state. For what spares work and is small: at most 4 MiB, and 64 MiB a set.
	Keep bool
	// Known is called in place of Open where the base or another artifact has
	// the content already: it checks what more than the digest has to hold.
	// nil: nothing more. Its error refuses the artifact.
	Known func(ctx context.Context) error
	// Collected receives what the content turned out to be, once, also when
	// it was known and not read; it may be called concurrently. Its error
	// refuses the artifact. nil: not wanted.
	Collected func(bundle.File) error
}

// Results looks up what was collected of the same repository.
type Results interface {
	Lookup(ctx context.Context, path string) (bundle.File, bool, error)
}

// Key is an OpenPGP key that a repository publishes for its clients.
type Key struct {
	// Fingerprint is 40 or 64 upper-case hexadecimal digits.
	Fingerprint string
	// Role is "site" or "upstream".
	Role string
	// Armored is the public key, Path where it is published, relative to
	// keys/ of the mirror.
	Armored []byte
	Path    string
	// Dearmored is Armored without its armor, for clients that read no other
	// form; it is published at DearmoredPath(Path). nil: not wanted.
	Dearmored []byte
}

// DearmoredPath returns where the form of a key file without armor is published.
func DearmoredPath(path string) string { return strings.TrimSuffix(path, ".asc") + ".gpg" }
