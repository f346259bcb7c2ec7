package apt

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path"
	"slices"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/decompress"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/sources/apt/deb"
)

// maxIndex bounds an index, packed or not: those of Debian's main have
// 50 MB, and a bomb would fill scratch.
const maxIndex = 2 << 30 // bytes

// mismatchError: an index is not what Release says. Upstream may have changed
// between the two, so they are read once more, from the top.
type mismatchError struct {
	release, index string // URLs
	want, have     string
}

func (e *mismatchError) Error() string {
	return fmt.Sprintf("%s: want %s, as %s says, got %s", fetch.Redact(e.index), e.want, fetch.Redact(e.release), e.have)
}

// Unwrap is fetch.ErrUpstream.
func (e *mismatchError) Unwrap() error { return fetch.ErrUpstream }

// escape is a path as part of a URL.
func escape(p string) string { return (&url.URL{Path: p}).EscapedPath() }

// digestOf is the digest by which an index is known. Archives have had SHA-256
// since 2008; without it apt would refuse too.
func digestOf(f *deb.ReleaseFile) (bundle.Digest, error) {
	d, err := bundle.ParseHex(f.SHA256)
	if err != nil {
		return d, fmt.Errorf("%s: Release lists no SHA256 for it: %w", f.Path, fetch.ErrUpstream)
	}
	return d, nil
}

// locations are the URLs of an index: the one that names the content first.
func (s *suite) locations(r *deb.Release, f *deb.ReleaseFile) []string {
	base := s.root.url + escape(s.dir)
	var all []string
	if r.AcquireByHash {
		all = append(all, base+escape(path.Join(path.Dir(f.Path), "by-hash/SHA256", f.SHA256)))
	}
	return append(all, base+escape(f.Path))
}

// openFirst opens the first of urls that is there.
func openFirst(ctx context.Context, client *fetch.Client, urls []string, at int64, validator string) (*fetch.Body, error) {
	var first error
	for _, u := range urls {
		body, err := client.Open(ctx, u, at, validator)
		if err == nil || !isGone(err) {
			return body, err
		}
		if first == nil {
			first = err
		}
	}
	return nil, first
}

// has says whether upstream has an index in this form: Release may list more
// than there is.
func (s *suite) has(ctx context.Context, client *fetch.Client, r *deb.Release, f *deb.ReleaseFile) (bool, error) {
	for _, u := range s.locations(r, f) {
		_, err := client.Stat(ctx, u)
		if err == nil {
			return true, nil
		}
		if !isGone(err) {
			return false, err
		}
	}
	return false, nil
}

// download puts an index into scratch, checked by size and digest.
func (s *suite) download(ctx context.Context, client *fetch.Client, scratch *os.Root, name string, r *deb.Release, f *deb.ReleaseFile) (err error) {
	urls := s.locations(r, f)
	want, err := digestOf(f)
	if err != nil {
		return err
	}
	if f.Size < 0 || f.Size > maxIndex {
		return fmt.Errorf("%s: %d bytes, at most %d: %w", fetch.Redact(urls[0]), f.Size, int64(maxIndex), fetch.ErrUpstream)
	}
	body, err := openFirst(ctx, client, urls, 0, "")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, body.Close()) }()
	out, err := scratch.Create(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	hash := bundle.NewHash()
	n, err := io.Copy(io.MultiWriter(out, hash), io.LimitReader(body, f.Size+1))
	if err != nil {
		return err
	}
	if have := bundle.SumOf(hash); n != f.Size || have != want {
		return &mismatchError{
			release: s.root.url + escape(s.dir) + nameInRelease, index: body.Meta.URL,
			want: fmt.Sprintf("%s (%d bytes)", want, f.Size), have: fmt.Sprintf("%s (%d bytes)", have, n),
		}
	}
	return nil
}

// byEase orders the forms of an index: the one that is cheapest to read first.
func byEase(files []*deb.ReleaseFile) []*deb.ReleaseFile {
	order := []string{".zst", ".gz", "", ".xz", ".bz2"}
	rank := func(f *deb.ReleaseFile) int {
		ext := path.Ext(f.Path)
		if !slices.Contains(suffixes(), ext) {
			ext = ""
		}
		return slices.Index(order, ext)
	}
	readable := slices.DeleteFunc(slices.Clone(files), func(f *deb.ReleaseFile) bool { return rank(f) < 0 })
	slices.SortStableFunc(readable, func(a, b *deb.ReleaseFile) int { return rank(a) - rank(b) })
	return readable
}

// unpacked reads an index that was checked, at most limit bytes of it: beyond
// those the error matches fetch.ErrUpstream and names what.
func unpacked(packed io.Reader, name, what string, limit int64) (io.ReadCloser, error) {
	return decompress.Reader(packed, name, what, limit)
}

// unpackLimit is how long an index is when unpacked, as Release says it: apt
// knows no package of an index whose plain form is not listed.
func (g *group) unpackLimit(release string) (int64, error) {
	if g.plain == nil {
		return 0, fmt.Errorf("%s: lists %s only compressed: apt would find it empty: %w", release, g.name, fetch.ErrUpstream)
	}
	if g.plain.Size > maxIndex {
		return 0, fmt.Errorf("%s: %s: %d bytes, at most %d: %w", release, g.name, g.plain.Size, int64(maxIndex), fetch.ErrUpstream)
	}
	return g.plain.Size, nil
}
