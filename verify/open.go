package verify

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"

	"github.com/gapbundle/gapbundle/bundle"
)

// Options are the importing side's rules for one bundle.
type Options struct {
	// Policy is what is trusted; nil: nobody.
	Policy *Policy
	// Receiver is what the receiving side holds. nil: there is none, as when
	// a bundle is checked on its own. Content that the bundle relies on is then
	// reported as not checked here, and so are replay and published keys.
	Receiver Receiver
	// Now is the local clock.
	Now time.Time
	// AllowRollback accepts a bundle that is older than the last accepted,
	// AcceptExpired one that is past its expiry, AcceptKeys the OpenPGP keys
	// that it publishes. Each counts as an override only if it was needed.
	AllowRollback, AcceptExpired, AcceptKeys bool
	// Confirm is asked about all OpenPGP keys at once that the policy does
	// not hold, if nothing of the set was accepted yet. nil: refused.
	Confirm func(keys []OfferedKey) (bool, error)
	// Describe returns, for people, what an OpenPGP key in a key file states about itself, by its
	// fingerprint, as of now; empty: nothing is known. nil: nobody can know.
	Describe func(file []byte, fingerprint string, now time.Time) string
	// CheckKnown checks a bundle that was accepted before like any other;
	// what it leaves out may be gone by now and is not asked for. Otherwise
	// Open stops as soon as it is recognized.
	CheckKnown bool
}

// The names of overrides, as journal and receipt have them.
const (
	OverrideRollback = "allow-rollback"
	OverrideExpired  = "accept-expired"
	OverrideKeys     = "accept-keys"
)

// Signer is a key of the policy that signed the root.
type Signer struct {
	File string        `json:"file"`
	ID   bundle.Digest `json:"id"`
	Role Role          `json:"role"`
}

// Volume is a volume of a bundle and what is at hand of it.
type Volume struct {
	bundle.Volume
	// Present means that a file of that name and size is at hand; its bytes
	// are checked by Stream alone.
	Present bool
	// Found is the size of the file at hand, -1 when there is none. A file
	// that is cut or extended has another than Size.
	Found int64
}

// Bundle is a bundle whose signatures, root, sums, catalogue and lists were
// checked. Volumes are checked as they are streamed. Only Open makes one; it
// is good as long as its Reader is open, for any number of goroutines.
type Bundle struct {
	reader   *bundle.Reader
	receiver Receiver
	manifest *bundle.Manifest
	root     bundle.Digest
	known    bool
	signers  []Signer
	// signatures are the signature files as they were verified: evidence.
	signatures []bundle.NamedFile
	overrides  []string
	newKeys    []bundle.PublishedKey
	catalog    *bundle.Catalog
	volumes    []Volume
	carried    *bundle.DigestSet
	report     *Report
	// folders are those that the paths of a mount need.
	folders map[string]int64

	mu     sync.Mutex
	splits map[bundle.Digest]splitHash   // of split blobs; a nil hash: all of it was right
	files  map[string]*bundle.MediumFile // of the catalogue, open
}

// maxFindings bounds how much is reported about a bundle that is wrong all over.
const maxFindings = 100

// findings are what is wrong with a bundle, so far.
type findings struct{ all []error }

func (f *findings) add(err error) {
	if len(f.all) < maxFindings {
		f.all = append(f.all, err)
	}
}

// fault adds what is wrong with the bundle, and returns what is not about the bundle.
func (f *findings) fault(err error) error {
	for _, class := range []error{bundle.ErrMalformed, bundle.ErrCorrupt, bundle.ErrUnsupported, bundle.ErrIncomplete} {
		if errors.Is(err, class) {
			f.add(err)
			return nil
		}
	}
	return err
}

// Open checks everything of a bundle but the bytes of its volumes: signatures
// by the policy, and then, on what was signed alone, the root, the rules about
// stream, sequence, expiry and published keys, SHA256SUMS, the catalogue, every
// list and table, and whether the receiver holds what a delta leaves out.
//
// All that is wrong is in the error, by errors.Join; each part matches one
// class of package bundle. The Report comes in any case and is nil only if the
// medium could not be read. With an error there is no Bundle.
func Open(ctx context.Context, r *bundle.Reader, o Options) (*Bundle, *Report, error) {
	if o.Policy == nil {
		o.Policy = &Policy{}
	}
	b := &Bundle{reader: r, receiver: o.Receiver, report: &Report{Bundle: r.Name()},
		folders: map[string]int64{}, splits: map[bundle.Digest]splitHash{}, files: map[string]*bundle.MediumFile{}}
	var found findings
	var relied reliance
	if err := check(ctx, b, o, &relied, &found); err != nil && !errors.Is(err, errStop) {
		found.add(err)
	}
	if relied.missing != nil {
		found.add(relied.missing)
	}
	b.report.finish(b, found.all)
	if len(found.all) > 0 {
		return nil, b.report, errors.Join(append(found.all, b.Close())...)
	}
	return b, b.report, nil
}

// Close closes what Open left open of the catalogue, so that a medium can be
// taken out; the Reader is the caller's. The lists cannot be read any more.
// Without it the files are closed once nobody refers to the Bundle.
func (b *Bundle) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	var errs []error
	for _, f := range b.files {
		errs = append(errs, f.Close())
	}
	clear(b.files)
	return errors.Join(errs...)
}

// check makes the checks in the order in which trust is won: signatures, root, rules, catalogue,
// tables, lists, and what the receiver has. It returns an error where nothing after it can be
// checked; everything else goes to found.
func check(ctx context.Context, b *Bundle, o Options, relied *reliance, found *findings) error {
	if err := authenticate(b, o.Policy); err != nil {
		return err
	}
	r := &rules{o: o, b: b, found: found}
	if err := r.judge(); err != nil {
		return err
	}
	if b.known && !o.CheckKnown {
		return nil
	}
	err := openTables(ctx, b, found)
	if err := r.judgeKeys(err == nil); err != nil {
		return err
	}
	if err != nil {
		return err
	}
	relied.expect(b, r.accepted.Sequence)
	l := &lists{b: b, found: found, relied: relied, contents: map[int]bool{}}
	return l.check(ctx)
}

// openTables opens what states where everything of the bundle is.
func openTables(ctx context.Context, b *Bundle, found *findings) error {
	if err := openCatalog(ctx, b, found); err != nil {
		return err
	}
	if err := checkFiles(b, found); err != nil {
		return err
	}
	return checkTables(ctx, b)
}

// authenticate opens bundle.json: it is parsed only after its signatures are verified.
func authenticate(b *Bundle, policy *Policy) error {
	if !b.reader.HasRoot() {
		return fmt.Errorf("%s: no %s on the media at hand: %w", b.Name(), bundle.RootName, bundle.ErrIncomplete)
	}
	files, unread, err := b.reader.SomeSignatures(policy.signatureNames()...)
	if err != nil {
		return fmt.Errorf("%s: %w", b.Name(), err)
	}
	for _, name := range unread {
		b.report.note(fmt.Sprintf("%q: not read, because a bundle has at most %d signature files", name, bundle.MaxSignatures))
	}
	b.signatures = files
	root, err := b.reader.Root()
	if err != nil {
		if twice := equivocation(b.reader, policy, files); twice != nil {
			return twice
		}
		return fmt.Errorf("%s: %w", b.Name(), err)
	}
	b.root = bundle.DigestOf(root)
	good, err := verifySignatures(b, policy, files)
	if err != nil {
		return err
	}
	m, err := bundle.ParseManifest(root)
	if err != nil {
		return fmt.Errorf("%s: %w", b.Name(), err)
	}
	if b.signers, err = good.signers(b, policy, m.Set); err != nil {
		return err
	}
	b.manifest = m
	if want := bundle.DirName(m.Set, m.Sequence); b.Name() != want {
		return fmt.Errorf("%s: holds the root of %s: %w", b.Name(), want, bundle.ErrMalformed)
	}
	return nil
}

// Name returns "<set>-<six digits>".
func (b *Bundle) Name() string { return b.reader.Name() }

// Manifest returns the root. It must not be changed.
func (b *Bundle) Manifest() *bundle.Manifest { return b.manifest }

// Root returns the digest of bundle.json, the identity of the bundle.
func (b *Bundle) Root() bundle.Digest { return b.root }

// Known reports whether the receiver accepted this very bundle before: importing it
// again changes nothing. Unless Options.CheckKnown was set nothing after its
// signatures was checked, and it has no lists and volumes to return.
func (b *Bundle) Known() bool { return b.known }

// Signers returns the keys of the policy that signed, each once, exporters first.
func (b *Bundle) Signers() []Signer { return b.signers }

// Report returns what was checked and what was not.
func (b *Bundle) Report() *Report { return b.report }

// Overrides returns the rules that would have refused the bundle and were set
// aside by Options, sorted.
func (b *Bundle) Overrides() []string { return b.overrides }

// NewKeys returns OpenPGP keys that Options accepted and the policy does not hold
// yet: whoever imports the bundle adds them.
func (b *Bundle) NewKeys() []bundle.PublishedKey { return b.newKeys }

// Volumes returns the volumes in order, with what is at hand of each.
func (b *Bundle) Volumes() []Volume { return b.volumes }

// Blobs returns the lines of the blob table of a volume, an index of Volumes.
func (b *Bundle) Blobs(volume int) iter.Seq2[bundle.Blob, error] {
	return b.catalog.Blobs(b.volumes[volume].Volume)
}

// Folders returns how many folders the paths below a mount need, the mount itself not counted,
// as far as the lists were at hand.
func (b *Bundle) Folders(mount string) int64 { return b.folders[mount] }

// Carries reports whether every byte of the blob is in the volumes.
func (b *Bundle) Carries(d bundle.Digest) bool {
	if b.carried == nil {
		return false
	}
	_, ok := b.carried.Size(d)
	return ok
}
