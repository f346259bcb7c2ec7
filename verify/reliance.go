package verify

import (
	"fmt"

	"github.com/gapbundle/gapbundle/bundle"
)

// reliance is what a bundle leaves out and relies on: the receiver has to hold it.
type reliance struct {
	receiver Receiver // nil: there is none
	// unknown means that nobody can know what the receiver held when the bundle came.
	unknown bool
	// missing is what the receiver does not hold; nil: nothing.
	missing *MissingBaseError
	lacking map[string]bool // the repositories that missing names

	manifest *bundle.Manifest
	accepted int64             // sequence of the last bundle that was accepted
	blobs    *bundle.DigestSet // distinct blobs of the lists that are not carried
	bytes    int64             // of blobs
}

// expect makes ready for the lists of a bundle whose tables were read.
func (r *reliance) expect(b *Bundle, accepted int64) {
	r.receiver, r.unknown = b.receiver, b.receiver == nil || b.known
	r.manifest, r.accepted, r.lacking = b.manifest, accepted, map[string]bool{}
	r.blobs = bundle.NewDigestSet(expectedFromBase(b))
}

// expectedFromBase foresees how many blobs the volumes leave out, so that the
// set of them need not grow.
func expectedFromBase(b *Bundle) int64 {
	if b.manifest.Full {
		return 0
	}
	var files, size int64
	for _, r := range b.manifest.Repositories {
		files, size = files+r.Count, size+min(r.Files.Size, bundle.MaxTarSize)
	}
	return bundle.Foreseen(files-b.carried.Len(), size)
}

// lack notes that something of a repository is missing here.
func (r *reliance) lack(repo string) {
	m := r.manifest
	if r.missing == nil {
		r.missing = &MissingBaseError{Set: m.Set, Sequence: m.Sequence, Have: r.accepted, Base: m.Base}
	}
	if !r.lacking[repo] {
		r.lacking[repo] = true
		r.missing.Repositories = append(r.missing.Repositories, repo)
	}
}

// check requires that the receiver holds the blob of a file. Missing blobs are counted, each
// blob once.
func (r *reliance) check(repo string, f *bundle.File) error {
	if !r.blobs.Add(f.Digest, f.Size) {
		if size, _ := r.blobs.Size(f.Digest); size != f.Size {
			return fmt.Errorf("path %q: size %d, another path with %s has %d: %w", f.Path, f.Size, f.Digest, size, bundle.ErrMalformed)
		}
		if r.blobs.Marked(f.Digest) {
			r.lack(repo)
		}
		return nil
	}
	r.bytes += f.Size
	if r.unknown {
		return nil
	}
	has, err := r.receiver.HasBlob(f.Digest, f.Size)
	if err != nil {
		return fmt.Errorf("blob %s at the receiver: %w", f.Digest, err)
	}
	if !has {
		r.blobs.Mark(f.Digest)
		r.lack(repo)
		r.missing.Count, r.missing.Bytes = r.missing.Count+1, r.missing.Bytes+f.Size
	}
	return nil
}

// note reports how much the bundle relies on.
func (r *reliance) note(report *Report) {
	switch n := r.blobs.Len(); {
	case n == 0:
	case r.unknown:
		report.notChecked(fmt.Sprintf("%s (%s) expected at the receiver", bundle.Count(n, "blob"), bundle.Count(r.bytes, "byte")))
	default:
		report.count("blobs of the base, by name and size", n)
	}
}
