package verify

import (
	"context"
	"io"
	"iter"
	"os"
	"time"

	"github.com/gapbundle/gapbundle/bundle"
)

// Options are the importing side's rules for one bundle.
type Options struct {
	Policy *Policy
	// Receiver is what the receiving side holds. nil: there is none, as when
	// a bundle is checked on its own; what it relies on is then reported as
	// not checked here, and neither replay nor clock floor are judged.
	Receiver Receiver
	// Now is the local clock.
	Now time.Time
	// AllowRollback admits a bundle that is older than the last accepted,
	// AcceptExpired one that is past its expiry, AcceptKeys the OpenPGP keys
	// that it publishes. Each counts as an override only if it was needed.
	AllowRollback, AcceptExpired, AcceptKeys bool
	// Confirm is asked about all OpenPGP keys at once that the policy does
	// not hold, when nothing of the set was accepted yet. nil: refused.
	Confirm func(keys []bundle.PublishedKey) (bool, error)
	// CheckKnown checks a bundle that was accepted before like any other.
	// Otherwise Open stops once it is recognized.
	CheckKnown bool
	// KeepGoing -> see Report
}

// Signer is a key of the policy that signed the root.
type Signer struct {
	File string        `json:"file"`
	ID   bundle.Digest `json:"id"`
	Role Role          `json:"role"`
}

// Volume is a volume of a bundle and what is at hand of it.
type Volume struct {
	bundle.Volume
	// Present says that a file of that name and size is at hand; its bytes
	// are checked by Stream alone.
	Present bool
	// Found is the size of the file at hand, -1 when there is none. A file
	// that is cut or extended has another than Size.
	Found int64
}

// Bundle is a bundle whose signatures, root, sums, catalogue and lists were
// checked. Volumes are checked as they are streamed. Only Open makes one.
type Bundle struct{}

// Open checks everything but the bytes of volumes.
func Open(ctx context.Context, r *bundle.Reader, o Options) (*Bundle, *Report, error) { panic("") }

func (b *Bundle) Name() string                   { panic("") }
func (b *Bundle) Manifest() *bundle.Manifest     { panic("") }
func (b *Bundle) Root() bundle.Digest            { panic("") }
func (b *Bundle) Known() bool                    { panic("") }
func (b *Bundle) Signers() []Signer              { panic("") }
func (b *Bundle) Report() *Report                { panic("") }
func (b *Bundle) Overrides() []string            { panic("") }
func (b *Bundle) NewKeys() []bundle.PublishedKey { panic("") }

// Carries says that every byte of the blob lies in the volumes.
func (b *Bundle) Carries(d bundle.Digest) bool                        { panic("") }
func (b *Bundle) Files(repo int) iter.Seq2[bundle.File, error]        { panic("") }
func (b *Bundle) Evidence(repo int) iter.Seq2[bundle.Evidence, error] { panic("") }
func (b *Bundle) OpenList(d bundle.Digest) (io.ReadCloser, error)     { panic("") }
func (b *Bundle) Volumes() []Volume                                   { panic("") }
func (b *Bundle) CopyRoot(dst *os.Root) error                         { panic("") }
