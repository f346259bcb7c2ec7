package site

import (
	"io"
	"iter"
	"os"
	"strings"
	"time"

	"github.com/gapbundle/gapbundle/bundle"
)

// errDamaged is a generated file that is not what it was.
var errDamaged = bundle.About(bundle.AboutMirror, bundle.ErrCorrupt)

// Where the generated files are, relative to the web root.
const (
	// Dir holds everything generated but /index.html and what is below /v2/.
	Dir = "_gapbundle"
	// ClientsDir holds the client files. They come in ordinary lists, but
	// Write alone places them, with the address of the mirror filled in: a
	// publisher leaves out every path for which Owns is true.
	ClientsDir = Dir + "/clients"
	// AsideDir is the folder in ClientsDir of files in whose place another set has one. No
	// kind has a name that begins so.
	AsideDir = "_sets"
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
	// fails, every file is written again, with the same bytes.
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
	// Answers returns what the set may do with a host; nil: nobody bounds it.
	Answers func(host string) Answer
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
	// Contents reads the contents list; not called where the repository has none.
	Contents func() iter.Seq2[bundle.Entry, error]
}

// Report lists what was made, and what was not made for a reason that the
// operator has to know.
type Report struct {
	// Ambiguous are the names without docker.io that were not made, because a list
	// has them.
	Ambiguous []Ambiguous
	// Dropped are names without a registry that the generation before had made.
	Dropped []Dropped
	// Public is what the mirror answers for, PublicChanged that the generation before
	// answers for something else: web servers that have the names read them again.
	Public        *PublicNames
	PublicChanged bool
	// Notes are what settings lack, and why.
	Notes []string
}

// Dropped is a name of an image without its registry that is not made any more, and the
// name that takes its place.
type Dropped struct {
	Alias string `json:"alias"`
	Image string `json:"image"`
}

// Ambiguous is an alias that was not made, and the images that claim it.
type Ambiguous struct {
	Alias  string   `json:"alias"`
	Images []string `json:"images"`
}

// Write makes the generated files in dst, an unpublished generation in which
// what the lists name is placed already. Files get in.Time and mode 0644,
// folders 0755, whatever the umask; nothing is synced. It may be called once
// for a generation. Errors match one of bundle's classes, or are the
// operating system's or the lists' own.
func Write(dst *os.Root, in Input) (*Report, error) {
	if err := checkDir(in.Dir); err != nil {
		return nil, err
	}
	if in.Base != "" {
		if err := CheckBase(in.Base); err != nil {
			return nil, err
		}
	}
	w := &writer{place: place{root: dst, time: in.Time}, in: &in, types: standingTypes(), setTypes: map[string]bool{}}
	inv, err := w.repositories()
	if err != nil {
		return nil, err
	}
	report := &Report{}
	if report.Ambiguous, report.Dropped, err = w.images(); err != nil {
		return nil, err
	}
	inv.Ambiguous = report.Ambiguous
	if w.public, err = MergePublic(in.Sets, in.Base); err != nil {
		return nil, err
	}
	report.Public, report.PublicChanged = w.public, w.publicChanged()
	steps := []func() error{
		func() error { return w.inventory(inv) },
		w.hosts,
		w.hostClients,
		w.private,
		w.settings,
		w.registry,
		w.servers,
		func() error { return w.portal(inv) },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return nil, err
		}
	}
	report.Notes = w.notes
	return report, nil
}

// Owns reports whether path, relative to the web root, is placed by Write although
// a list names it.
func Owns(path string) bool { return strings.HasPrefix(path, ClientsDir+"/") }

// Reserved reports whether path, relative to the web root, is generated and may
// be in no list.
func Reserved(path string) bool {
	if path == "index.html" || path == Dir || strings.HasPrefix(path, Dir+"/") {
		return !Owns(path)
	}
	return strings.HasPrefix(path, imagesDir) && strings.HasSuffix(path, "/"+tagsList)
}

// writer is one call of Write. It has a method for each file that is generated.
type writer struct {
	place
	in    *Input
	types map[string]string // extension to media type
	// setTypes are the extensions of the set whose lists are read.
	setTypes map[string]bool
	// public is what the mirror answers for.
	public  *PublicNames
	clients []string // paths of the first client files, in the order of the lists
	notes   []string // of Report
}

// webPath returns where a listed path is, relative to the web root.
func webPath(mount, path string) string {
	if mount == "" {
		return path
	}
	return mount + "/" + path
}
