package site

import (
	"io"
	"iter"
	"os"
	"time"

	"github.com/gapbundle/gapbundle/bundle"
)

// Where the generated files lie, relative to the web root.
const (
	// Dir holds everything generated but /index.html and what is below /v2/.
	Dir = "_gapbundle"
	// ClientsDir holds the client files. They come in ordinary lists, but
	// Write alone places them, with the address of the mirror filled in: a
	// publisher leaves out every path for which Owns is true.
	ClientsDir = Dir + "/clients"
)

// Input is all that the generated files are made from.
type Input struct {
	// Dir is the absolute path of the mirror, for the servers' configuration.
	Dir string
	// Base is the address clients use, as CheckBase allows it; empty: not
	// known, and client files keep the word @BASE@.
	Base string
	// Generation is the number that is being published, Time its one time T.
	Generation int
	Time       time.Time
	// Tool is the name and version of this program.
	Tool string
	// Sets are what is published, in the order of their names.
	Sets []Set
	// Open opens content by digest; used for client files only.
	Open func(bundle.Digest) (io.ReadCloser, error)
	// Previous is the generation that is current while this one is made; nil:
	// none. Link makes path in the new generation a hard link to the same
	// path in Previous. Both only save work: without them, or when Link
	// fails, every file is written anew, with the same bytes.
	Previous *os.Root
	Link     func(path string) error
}

// Set is the newest accepted state of one set.
type Set struct {
	Name     string
	Stream   string
	Sequence int64
	// Root is the digest of the bundle's bundle.json, State its state digest.
	Root, State bundle.Digest
	// Created is the exporter's time, Imported this mirror's.
	Created, Imported time.Time
	Signers           []Signer
	// Overrides are the checks switched off by name, on either side.
	Overrides    []string
	Repositories []Repository
}

// Signer is one valid signature over a bundle.
type Signer struct {
	Role string        `json:"role"`
	ID   bundle.Digest `json:"id"`
}

// Repository is one repository with its lists, already verified. The
// functions may be called more than once, or not at all.
type Repository struct {
	bundle.Repository
	Files    func() iter.Seq2[bundle.File, error]
	Evidence func() iter.Seq2[bundle.Evidence, error]
}

// Report says what was made, and what was not for a reason the operator has
// to know.
type Report struct {
	// Ambiguous are the short image names that more than one registry has;
	// none of those aliases was made.
	Ambiguous []Ambiguous
}

// Ambiguous is an alias that was not made, and the images that claim it.
type Ambiguous struct {
	Alias  string   `json:"alias"`
	Images []string `json:"images"`
}

// Write makes the generated files in dst, an unpublished generation whose
// listed content is placed already or will be: dst is not read. Files get
// in.Time and mode 0644, folders 0755; nothing is synced. Errors match one of
// bundle's classes or are the operating system's or the lists' own.
func Write(dst *os.Root, in Input) (*Report, error) {
	return nil, bundle.ErrUnsupported
}

// Owns says that path, relative to the web root, is placed by Write and by
// nobody else.
func Owns(path string) bool { return false }

// CheckBase says what is wrong with s as the address of a mirror: http or
// https, a host, no user, query or fragment, no '/' at the end, and nothing
// that would need quoting in a client's configuration. Errors match
// bundle.ErrUsage.
func CheckBase(s string) error { return nil }

// Substitute copies src to dst with every @BASE@ replaced by base, and
// nothing else changed. With an empty base it is a plain copy.
func Substitute(dst io.Writer, src io.Reader, base string) error { return nil }
