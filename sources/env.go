package sources

import (
	"fmt"
	"io/fs"
	"iter"
	"log/slog"
	"os"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
)

// Env is what a source may use while it plans. It is shared by all sources
// and safe for concurrent use.
type Env struct {
	// Set is the name of the set, which is part of the name of the site's key.
	Set string
	// Tool is the name and version of the program: what another version made
	// may not be what this one would make.
	Tool string
	// Program is the path of this program, for a kind that runs it as a child with
	// limits; "": not known, and such a kind refuses.
	Program string
	// Fetch is the only way to the network.
	Fetch *fetch.Client
	// Base is what the last state recorded.
	Base Base
	// Have returns the size of a blob that the destination of this export already has, so
	// that it is not carried. nil: the destination has nothing. A source calls it only if
	// making the content again takes long.
	Have func(bundle.Digest) (size int64, ok bool)
	// Held are repositories of sources that are not planned this time, and
	// stay as the base of the delta has them: their paths are taken.
	Held []Held
	// Dir is the folder of the spec file.
	Dir string
	// Now is the judging time for upstream's signatures and validity.
	Now time.Time
	// Dates are those of the states that were exported; nil: nothing is compared.
	Dates *Dates
	// Weak are the weak keys that the spec allows; nil: none.
	Weak *WeakKeys
	// Site signs rebuilt indexes; nil: there is no site key.
	Site *openpgp.Entity
	// Scratch is a folder that is emptied at the end of the export.
	Scratch *os.Root
	// Lock holds the digests that were pinned on first sight.
	Lock *Lock
	Log  *slog.Logger
}

// Held is a repository that is kept as it is.
type Held struct {
	Repository bundle.Repository
	// Files streams its list, in order of paths.
	Files func() iter.Seq2[bundle.File, error]
}

// Base is the state that a delta builds on, as the exporter recorded it.
type Base interface {
	// Files streams what was recorded of a repository, in order of paths;
	// nothing for an unknown one.
	Files(repo string) iter.Seq2[Recorded, error]
}

// Documents is what a Base has as well that keeps the content of artifacts marked
// Keep. It is never needed: where content is lost, what it spared is done again.
type Documents interface {
	// Document returns the content of a file of the state that this export builds
	// on, which is the destination's; there is none for a full one. The error
	// matches fs.ErrNotExist where nothing is kept.
	Document(repo, path string) ([]byte, error)
	// Content returns the content of a document of any kept state by its digest, so
	// also of the newest, which Files describes. The error is that of Document.
	Content(d bundle.Digest) ([]byte, error)
}

// Document returns the content of a kept file of the state that this export builds
// on; the error matches fs.ErrNotExist where there is none.
func (e *Env) Document(repo, path string) ([]byte, error) {
	if d, ok := e.Base.(Documents); ok {
		return d.Document(repo, path)
	}
	return nil, fmt.Errorf("document %s of %s: %w", path, repo, fs.ErrNotExist)
}

// Content returns the content of a document by its digest, whatever state it is of;
// the error matches fs.ErrNotExist where it is not kept.
func (e *Env) Content(d bundle.Digest) ([]byte, error) {
	if b, ok := e.Base.(Documents); ok {
		return b.Content(d)
	}
	return nil, fmt.Errorf("document %s: %w", d, fs.ErrNotExist)
}

// Named is what a Base has as well that keeps the entries of artifacts by name.
type Named interface {
	// Entries streams what was recorded of a repository, in order of paths, each path
	// that has entries once. ok is false if what is recorded was recorded by a program
	// that kept none: then the repository has to be planned from its metadata.
	Entries(repo string) (all iter.Seq2[NamedPath, error], ok bool)
}

// NamedPath is a path of the base and its entries.
type NamedPath struct {
	Path    string
	Entries EntryList
}

// Entries streams the recorded entries of a repository as Named does; ok is false where
// the base has none.
func (e *Env) Entries(repo string) (all iter.Seq2[NamedPath, error], ok bool) {
	if b, is := e.Base.(Named); is {
		return b.Entries(repo)
	}
	return nil, false
}

// Recorded is a file of the base and where it came from.
type Recorded struct {
	File bundle.File
	// Origin, Vouched and Reason are those of its evidence, Validator that of
	// the content that was collected.
	Origin, Validator, Vouched, Reason string
	// Entries are what it stands for, by name. Base.Files leaves them out: Env.Entries
	// has them.
	Entries EntryList
}
