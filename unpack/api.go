package unpack

import (
	"context"
	"io"
	"iter"
	"time"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/unpack/site"
	"github.com/gapbundle/gapbundle/verify"
)

// Create opens the mirror in dir and makes it if it is not there: dir itself,
// not the folders above it.
func Create(dir string, o Options) (*Mirror, error) { panic("unpack") }

// Open opens the mirror in dir; where there is none the error matches bundle.ErrIncomplete.
func Open(dir string, o Options) (*Mirror, error) { panic("unpack") }

// Close releases the mirror.
func (m *Mirror) Close() error { panic("unpack") }

// ImportOptions are what an operator may set aside for one import, and say along with it.
type ImportOptions struct {
	// BaseURL is the address of the mirror for clients, remembered; empty: as before.
	BaseURL                                  string
	AllowRollback, AcceptExpired, AcceptKeys bool
	Confirm                                  func(keys []bundle.PublishedKey) (bool, error)
}

// Outcome is what became of one bundle in an import.
type Outcome string

const (
	Imported        Outcome = "imported"
	AlreadyImported Outcome = "already imported"
	Pending         Outcome = "pending"    // waits for volumes that were not at hand
	Superseded      Outcome = "superseded" // a newer one of the set was at hand
	Refused         Outcome = "refused"    // and something newer made it unnecessary
)

// BundleResult is what became of one bundle.
type BundleResult struct {
	Name     string  `json:"name"`
	Set      string  `json:"set"`
	Sequence int64   `json:"sequence"`
	Outcome  Outcome `json:"outcome"`
	Reason   string  `json:"reason,omitempty"` // of Refused
	// MissingVolumes are names of volumes that have to be brought, of Pending.
	MissingVolumes []string `json:"missingVolumes,omitempty"`
	// Receipt is the path of the signed receipt, of Imported and AlreadyImported.
	Receipt   string          `json:"receipt,omitempty"`
	Overrides []string        `json:"overrides,omitempty"`
	Signers   []verify.Signer `json:"signers,omitempty"`
	Report    *verify.Report  `json:"report,omitempty"`
}

// Result is what an import did.
type Result struct {
	Bundles []BundleResult `json:"bundles"`
	// Generation is the number of the one published; 0: nothing changed.
	Generation int `json:"generation,omitempty"`
	// Files and Bytes are what the mirror publishes now, NewBytes what the
	// store grew by.
	Files    int64 `json:"files"`
	Bytes    int64 `json:"bytes"`
	NewBytes int64 `json:"newBytes"`
	// Notes are for the operator: no hard links here, an alias not made.
	Notes []string `json:"notes,omitempty"`
}

// Receive imports what lies in paths: bundles, or folders that hold some.
func (m *Mirror) Receive(ctx context.Context, paths []string, o ImportOptions) (*Result, error) {
	panic("unpack")
}

// Import imports verified bundles.
func (m *Mirror) Import(ctx context.Context, bundles []*verify.Bundle, o ImportOptions) (*Result, error) {
	panic("unpack")
}

func (m *Mirror) Policy() (*verify.Policy, error)                                   { panic("unpack") }
func (m *Mirror) UpdatePolicy(what string, change func(*verify.Policy) error) error { panic("unpack") }
func (m *Mirror) Receiver() verify.Receiver                                         { panic("unpack") }
func (m *Mirror) AdoptStream(set, stream string) error                              { panic("unpack") }
func (m *Mirror) SetTime(t time.Time) error                                         { panic("unpack") }

// Generation is one published state of the mirror.
type Generation struct {
	Number int `json:"number"`
	// Time is the one modification time of everything that this publish brought.
	Time      time.Time        `json:"time"`
	Reason    string           `json:"reason"`
	BaseURL   string           `json:"baseURL,omitempty"`
	Sets      []GenerationSet  `json:"sets"`
	NextTree  int              `json:"nextTree"` // trees from this number on do not exist yet
	Ambiguous []site.Ambiguous `json:"ambiguous,omitempty"`
	Notes     []string         `json:"notes,omitempty"`
}

// GenerationSet is the part of one set in a generation.
type GenerationSet struct {
	Set       string          `json:"set"`
	Stream    string          `json:"stream"`
	Sequence  int64           `json:"sequence"`
	Root      bundle.Digest   `json:"root"`
	State     bundle.Digest   `json:"state"`
	Created   time.Time       `json:"created"`
	Imported  time.Time       `json:"imported"`
	Signers   []verify.Signer `json:"signers,omitempty"`
	Overrides []string        `json:"overrides,omitempty"`
	// Accepted is a copy of the set's ratchet at that time.
	Accepted     int64                  `json:"accepted"`
	Repositories []GenerationRepository `json:"repositories"`
}

// GenerationRepository is a repository and where its files are.
type GenerationRepository struct {
	bundle.Repository
	// Tree is the number below trees/ of a repository that owns its mount; 0:
	// its mount is shared, and its files lie in the generation itself.
	Tree int `json:"tree,omitempty"`
}

// Entry is a line of the journal.
type Entry struct {
	Previous   bundle.Digest   `json:"previous"` // SHA-256 of the line before, zero on the first
	Time       time.Time       `json:"time"`
	What       string          `json:"what"` // import, trust, rollback, gc, forget, config
	Outcome    string          `json:"outcome,omitempty"`
	Set        string          `json:"set,omitempty"`
	Sequence   int64           `json:"sequence,omitempty"`
	Root       bundle.Digest   `json:"root,omitzero"`
	Generation int             `json:"generation,omitempty"`
	Signers    []verify.Signer `json:"signers,omitempty"`
	Overrides  []string        `json:"overrides,omitempty"`
	Detail     string          `json:"detail,omitempty"`
}

func (m *Mirror) History() ([]Entry, error)          { panic("unpack") }
func (m *Mirror) Generations() ([]Generation, error) { panic("unpack") }
func (m *Mirror) Current() (*Generation, error)      { panic("unpack") } // nothing published: bundle.ErrIncomplete

// Status is what a mirror publishes and waits for.
type Status struct {
	Dir        string           `json:"dir"`
	BaseURL    string           `json:"baseURL,omitempty"`
	Generation int              `json:"generation"` // 0: nothing published yet
	Previous   int              `json:"previous,omitempty"`
	Published  time.Time        `json:"published,omitzero"`
	Reason     string           `json:"reason,omitempty"`
	Sets       []SetStatus      `json:"sets"`
	Pending    []PendingStatus  `json:"pending,omitempty"`
	Ambiguous  []site.Ambiguous `json:"ambiguous,omitempty"`
	Notes      []string         `json:"notes,omitempty"`
	// ReceiptKey identifies the key that signs this mirror's receipts, zero before the first.
	ReceiptKey bundle.Digest `json:"receiptKey,omitzero"`
}

// SetStatus is what is known of one set.
type SetStatus struct {
	Set    string `json:"set"`
	Stream string `json:"stream"`
	// Sequence is what is published, 0: nothing; Accepted the ratchet.
	Sequence int64 `json:"sequence"`
	Accepted int64 `json:"accepted"`
	// Code is the beginning of the state digest that the next delta can build
	// on, short enough for the telephone (export --base).
	Code         string              `json:"code"`
	State        bundle.Digest       `json:"state"`
	Created      time.Time           `json:"created,omitzero"`
	Imported     time.Time           `json:"imported,omitzero"`
	Overrides    []string            `json:"overrides,omitempty"`
	Files        int64               `json:"files"`
	Bytes        int64               `json:"bytes"`
	Expires      *time.Time          `json:"expires,omitempty"` // earliest upstream expiry
	Repositories []bundle.Repository `json:"repositories"`
	Receipt      string              `json:"receipt,omitempty"` // path of the newest receipt
}

// PendingStatus is a bundle that waits for volumes.
type PendingStatus struct {
	Name    string   `json:"name"`
	Placed  int      `json:"placed"`
	Volumes int      `json:"volumes"`
	Missing []string `json:"missing"`
}

func (m *Mirror) Status(ctx context.Context) (*Status, error) { panic("unpack") }

// RollbackOptions: To 0 is the newest generation before the current one with other content; Set "" all sets.
type RollbackOptions struct {
	Set string
	To  int
}

func (m *Mirror) Rollback(ctx context.Context, o RollbackOptions) (*Generation, error) {
	panic("unpack")
}

// GCOptions: Keep 0 is DefaultKeep.
type GCOptions struct {
	Keep  int
	Force bool
}

type GCResult struct {
	Generations []int `json:"generations"` // removed
	Trees       int   `json:"trees"`
	Lists       int64 `json:"lists"`
	Blobs       int64 `json:"blobs"`
	Bytes       int64 `json:"bytes"`
	KeptBlobs   int64 `json:"keptBlobs"`
	KeptBytes   int64 `json:"keptBytes"`
}

func (m *Mirror) GC(ctx context.Context, o GCOptions) (*GCResult, error)          { panic("unpack") }
func (m *Mirror) Forget(ctx context.Context, set string) (*Generation, error)     { panic("unpack") }
func (m *Mirror) SetBaseURL(ctx context.Context, url string) (*Generation, error) { panic("unpack") }

// CheckOptions: Data is the fraction of content that is hashed again, 0 to 1.
type CheckOptions struct{ Data float64 }

// Damage is one thing that is not as it was published.
type Damage struct {
	Set        string        `json:"set,omitempty"`
	Repository string        `json:"repository,omitempty"`
	Path       string        `json:"path,omitempty"` // web path
	Blob       bundle.Digest `json:"blob,omitzero"`
	Problem    string        `json:"problem"`
}

type CheckResult struct {
	Generation int      `json:"generation"`
	Files      int64    `json:"files"`
	Bytes      int64    `json:"bytes"`
	Hashed     int64    `json:"hashed"` // files hashed
	Damage     []Damage `json:"damage"`
	Truncated  bool     `json:"truncated,omitempty"` // more damage than is listed
}

// Check looks at what is published. Damage found: a result, and an error that matches bundle.ErrCorrupt (or ErrIncomplete when all of it is files that are gone).
func (m *Mirror) Check(ctx context.Context, o CheckOptions) (*CheckResult, error) { panic("unpack") }

// Tree is the published part of one kind.
type Tree struct{}

func (m *Mirror) Tree(kind string) (*Tree, error)                                  { panic("unpack") }
func (t *Tree) Repositories() []bundle.Repository                                  { panic("unpack") }
func (t *Tree) Files(repo string) iter.Seq2[bundle.File, error]                    { panic("unpack") }
func (t *Tree) Open(ctx context.Context, repo, path string) (io.ReadCloser, error) { panic("unpack") }

// Receipt is the newest signed receipt of a set.
func (m *Mirror) Receipt(set string) ([]byte, error) { panic("unpack") }
