package verify

import (
	"bytes"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"iter"
	"slices"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/gapbundle/gapbundle/bundle"
)

// Files returns the file list of a repository, an index of the manifest's, in
// order. A list that this bundle does not carry comes from the receiver. The
// digest of the list is compared at its end, and an error then ends the
// sequence: what is done with the lines has to be undone.
func (b *Bundle) Files(repo int) iter.Seq2[bundle.File, error] {
	return readList[bundle.File](b, repo, bundle.CarriedFiles)
}

// Evidence works like Files, for the evidence list.
func (b *Bundle) Evidence(repo int) iter.Seq2[bundle.Evidence, error] {
	return readList[bundle.Evidence](b, repo, bundle.CarriedEvidence)
}

// Contents works like Files, for the contents list, whose entries it also checks by themselves
// and for their order. A repository without such a list (Repository.Contents is nil)
// has no entries.
func (b *Bundle) Contents(repo int) iter.Seq2[bundle.Entry, error] {
	return func(yield func(bundle.Entry, error) bool) {
		if b.manifest.Repositories[repo].Contents == nil {
			return
		}
		r, err := b.openList(repo, bundle.CarriedContents)
		if err != nil {
			yield(bundle.Entry{}, err)
			return
		}
		defer r.Close()
		for e, err := range bundle.ReadContents(r, b.listName(repo, bundle.CarriedContents)) {
			if !yield(e, err) {
				return
			}
		}
	}
}

// OpenList opens the list of that digest, if it is one that the root names,
// carried or at the receiver; fs.ErrNotExist if it is not. Its end is io.EOF
// only if the digest was right. The caller closes it.
func (b *Bundle) OpenList(d bundle.Digest) (io.ReadCloser, error) {
	want := d.String()
	found, kind := -1, ""
	for i := range b.manifest.Repositories {
		r := &b.manifest.Repositories[i]
		for _, k := range []string{bundle.CarriedFiles, bundle.CarriedEvidence, bundle.CarriedContents} {
			if string(listOf(r, k).Digest) != want {
				continue
			}
			if found, kind = i, k; slices.Contains(r.Carried, k) {
				return b.openList(i, k)
			}
		}
	}
	if found < 0 {
		return nil, fmt.Errorf("%s: list %s: %w", b.Name(), d, fs.ErrNotExist)
	}
	return b.openList(found, kind)
}

// CarriesList reports whether the bundle itself has the list of that digest.
func (b *Bundle) CarriesList(d bundle.Digest) bool {
	for i := range b.manifest.Repositories {
		r := &b.manifest.Repositories[i]
		for _, k := range r.Carried {
			if string(listOf(r, k).Digest) == d.String() {
				return true
			}
		}
	}
	return false
}

func listOf(r *bundle.Repository, kind string) v1.Descriptor {
	switch {
	case kind == bundle.CarriedEvidence:
		return r.Evidence
	case kind == bundle.CarriedFiles:
		return r.Files
	case r.Contents != nil:
		return *r.Contents
	}
	return v1.Descriptor{}
}

// sideBySide is how much is held of the lists of repositories that share a mount, which
// are read together: there may be thousands.
const sideBySide = 8 << 20 // bytes

// hold returns how much may be held of the file list of a repository; 0: no matter.
func (b *Bundle) hold(repo int) int64 {
	mount, n := b.manifest.Repositories[repo].Mount, int64(0)
	if !bundle.IsSharedMount(mount) {
		return 0
	}
	for i := range b.manifest.Repositories {
		if b.manifest.Repositories[i].Mount == mount {
			n++
		}
	}
	if n < 2 {
		return 0
	}
	return sideBySide / n
}

func readList[T bundle.Line](b *Bundle, repo int, kind string) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		r, err := b.openList(repo, kind)
		if err != nil {
			var zero T
			yield(zero, err)
			return
		}
		defer r.Close()
		for v, err := range bundle.ReadList[T](r, b.listName(repo, kind)) {
			if !yield(v, err) {
				return
			}
		}
	}
}

func (b *Bundle) listName(repo int, kind string) string {
	return fmt.Sprintf("repository %s: list of %s", b.manifest.Repositories[repo].Name, kind)
}

// openList opens a list of the root. One that is nowhere at hand matches
// bundle.ErrIncomplete.
func (b *Bundle) openList(repo int, kind string) (io.ReadCloser, error) {
	r := &b.manifest.Repositories[repo]
	switch {
	case !slices.Contains(r.Carried, kind):
	case kind == bundle.CarriedEvidence:
		return b.catalog.Evidence(repo)
	case kind == bundle.CarriedContents:
		return b.catalog.Contents(repo)
	default:
		return b.catalog.FilesAmong(repo, b.hold(repo))
	}
	list := listOf(r, kind)
	what := b.listName(repo, kind)
	want, err := bundle.ParseDigest(string(list.Digest))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	if list.Size == 0 {
		return &checkedList{ReadCloser: io.NopCloser(bytes.NewReader(nil)), what: what, want: want, hash: bundle.NewHash()}, nil
	}
	if b.receiver == nil {
		return nil, fmt.Errorf("%s (%s): not carried, and no receiver: %w", what, want, bundle.ErrIncomplete)
	}
	rc, err := b.receiver.OpenList(want)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%s (%s): not carried, and not at the receiver: %w", what, want, bundle.ErrIncomplete)
	case err != nil:
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	return &checkedList{ReadCloser: rc, what: what, want: want, hash: bundle.NewHash(), left: list.Size}, nil
}

// checkedList ends well only if the list had the right length and digest.
type checkedList struct {
	io.ReadCloser
	what string
	want bundle.Digest
	hash hash.Hash
	left int64
}

func (l *checkedList) Read(b []byte) (int, error) {
	n, err := l.ReadCloser.Read(b)
	_, _ = l.hash.Write(b[:n])
	l.left -= int64(n)
	if l.left < 0 {
		return 0, fmt.Errorf("%s at the receiver: longer than it should be: %w", l.what, bundle.ErrCorrupt)
	}
	if err == io.EOF {
		if got := bundle.SumOf(l.hash); got != l.want {
			err = fmt.Errorf("%s at the receiver: digest mismatch: want %s, got %s: %w", l.what, l.want, got, bundle.ErrCorrupt)
		}
	}
	return n, err
}
