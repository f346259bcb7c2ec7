package rpm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/url"
	"slices"
	"sync/atomic"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/rpm/rpmmd"
)

// file is a path of a repository on its way. There is one for each package, so
// it holds no more than it must.
type file struct {
	path     string // in the mount
	size     int64  // -1: not known
	checksum rpmmd.Checksum
	repo     *loaded  // whose addresses from is relative to; nil: made here
	from     string   // where upstream has it, escaped; absolute if it is elsewhere
	identity identity // of a package whose signature counts; "": no package
	// shared: another file of the plan has the same content and is checked by the same keys.
	shared bool
	reason string
	more   *extra
}

// extra is what few files have.
type extra struct {
	vouched     string
	content     []byte // in memory
	local       string // name in scratch
	open        bundle.Open
	digest      bundle.Digest // of what is here, where the checksum is of another type
	annotations map[string]string
	validator   string
}

// inventory is the files of a repository while they are found.
type inventory struct {
	files []file
	trust *trust
}

func (v *inventory) add(f file) { v.files = append(v.files, f) }

// settle sorts the files and takes those off that stand twice: repositories
// list a package more than once. One path with two contents is refused:
// upstream contradicts itself.
func (v *inventory) settle() error {
	slices.SortStableFunc(v.files, func(a, b file) int { return bundle.ComparePaths(a.path, b.path) })
	kept := v.files[:0]
	for i := range v.files {
		f := &v.files[i]
		if len(kept) == 0 || kept[len(kept)-1].path != f.path {
			kept = append(kept, *f)
			continue
		}
		last := &kept[len(kept)-1]
		if last.checksum != f.checksum || last.size != f.size {
			return fmt.Errorf("%s: %s:%s (%d bytes) by one entry, %s:%s (%d bytes) by another: %w",
				f.path, last.checksum.Type, last.checksum.Hex, last.size, f.checksum.Type, f.checksum.Hex, f.size, fetch.ErrUpstream)
		}
		if last.identity == "" {
			last.identity = f.identity
		}
	}
	clear(v.files[len(kept):])
	v.files = slices.Clip(kept)
	return nil
}

// artifacts replays the files of a repository called name.
func (v *inventory) artifacts(env *sources.Env, name string) func() iter.Seq2[sources.Artifact, error] {
	return func() iter.Seq2[sources.Artifact, error] {
		return func(yield func(sources.Artifact, error) bool) {
			base := env.Cursor(name)
			defer base.Close()
			for i := range v.files {
				a, err := v.artifact(env, base, &v.files[i])
				if !yield(a, err) || err != nil {
					return
				}
			}
		}
	}
}

func (v *inventory) artifact(env *sources.Env, base *sources.Cursor, f *file) (sources.Artifact, error) {
	a := sources.Artifact{
		File:     bundle.File{Path: f.path, Size: f.size},
		Evidence: bundle.Evidence{Path: f.path, Reason: f.reason},
	}
	a.File.Digest, _ = f.checksum.Digest()
	x := f.more
	if x == nil {
		x = &extra{}
	}
	a.File.Annotations, a.Evidence.Vouched, a.Validator = x.annotations, x.vouched, x.validator
	if !x.digest.IsZero() {
		a.File.Digest = x.digest
	}
	var urls []string
	if f.repo != nil {
		urls = f.repo.urls(f.from)
		a.Evidence.Origin = fetch.Redact(urls[0])
	}
	switch {
	case x.open != nil:
		a.Open = x.open
	case x.content != nil:
		a.Open = sources.InMemory(x.content, "")
	case x.local != "":
		a.Open = env.InScratch(x.local)
	case f.identity != "":
		return a, v.signed(env, base, f, urls, &a)
	case f.checksum.Type != "sha256":
		a.Open = expectation{where: a.Evidence.Origin, checksum: f.checksum, size: f.size}.open(env.Fetch, urls, nil)
	default:
		a.Open = overNetwork(env.Fetch, urls, f.size)
	}
	return a, nil
}

// signed completes an artifact that has to have a signature of its own. What
// the base has counts if it was checked by the same keys.
func (v *inventory) signed(env *sources.Env, base *sources.Cursor, f *file, urls []string, a *sources.Artifact) error {
	want := expectation{where: a.Evidence.Origin, checksum: f.checksum, size: f.size, identity: f.identity}
	a.Evidence.Vouched = v.trust.vouched(f.repo.located)
	a.Validator = v.trust.validator(&want)
	a.Open = want.open(env.Fetch, urls, v.trust)
	r, ok, err := base.Lookup(f.path)
	if err != nil {
		return err
	}
	if ok && r.Validator == a.Validator && (r.File.Digest == a.File.Digest || f.checksum.Type != "sha256") {
		a.File.Digest, a.File.Size = r.File.Digest, r.File.Size
		return nil
	}
	if !f.shared {
		a.Known = readThrough(a.Open)
	}
	return nil
}

// readThrough reads what open gives to its end, for the sake of its checks.
func readThrough(open bundle.Open) func(context.Context) error {
	return func(ctx context.Context) error {
		c, err := open(ctx, 0, "")
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, c.Body)
		if closed := c.Body.Close(); err == nil {
			err = closed
		}
		if errors.Is(err, bundle.ErrCorrupt) { // the mirror is not
			err = fmt.Errorf("%s: %w", err.Error(), fetch.ErrUpstream)
		}
		return err
	}
}

func overNetwork(client *fetch.Client, urls []string, size int64) bundle.Open {
	next := rotation(urls)
	return func(ctx context.Context, at int64, validator string) (*bundle.Content, error) {
		body, err := openFirst(ctx, client, next(at), at, validator)
		if err != nil {
			return nil, err
		}
		sized, err := ending(body, size)
		if err != nil {
			return nil, err
		}
		return &bundle.Content{Body: sized, At: body.At, Validator: body.Meta.Validator()}, nil
	}
}

// ending is a body of the size that an index tells, and -1 where it tells none:
// then it has an end here, as whoever reads it to find its size fills a disk.
func ending(body *fetch.Body, size int64) (io.ReadCloser, error) {
	switch {
	case size >= 0:
		return body, nil
	case body.Meta.Size > maxIndex:
		err := fmt.Errorf("%s: %d bytes, at most %d: %w", body.Meta.URL, body.Meta.Size, int64(maxIndex), fetch.ErrUpstream)
		return nil, errors.Join(err, body.Close())
	}
	return &capped{ReadCloser: body, left: maxIndex, what: body.Meta.URL}, nil
}

// capped ends with an error behind so many bytes.
type capped struct {
	io.ReadCloser
	left int64
	what string
}

func (c *capped) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p[:min(int64(len(p)), c.left+1)])
	if int64(n) > c.left {
		return int(c.left), fmt.Errorf("%s: more than %d bytes, and its index tells no size: %w", c.what, int64(maxIndex), fetch.ErrUpstream)
	}
	c.left -= int64(n)
	return n, err
}

// rotation gives mirrors in the order in which they are to be tried: who begins
// anew was not content with what the first one gave, and gets it last.
func rotation(urls []string) func(at int64) []string {
	var begun atomic.Int64
	return func(at int64) []string {
		n := begun.Load()
		if at == 0 {
			n = begun.Add(1)
		}
		first := int(max(n-1, 0) % int64(len(urls)))
		return slices.Concat(urls[first:], urls[:first])
	}
}

// openFirst opens the first of urls that can be had: mirrors of one another.
func openFirst(ctx context.Context, client *fetch.Client, urls []string, at int64, validator string) (body *fetch.Body, err error) {
	err = firstOf(ctx, urls, func(u string) (err error) {
		body, err = client.Open(ctx, u, at, validator)
		return err
	})
	return body, err
}

// statFirst asks whether one of urls can be had.
func statFirst(ctx context.Context, client *fetch.Client, urls []string) error {
	return firstOf(ctx, urls, func(u string) error {
		_, err := client.Stat(ctx, u)
		return err
	})
}

// firstOf tries mirrors until one will do. Of the errors it gives the first that
// is not about a file that is not there: that mirror may have it.
func firstOf(ctx context.Context, urls []string, try func(url string) error) error {
	var first error
	for _, u := range urls {
		err := try(u)
		if err == nil || !errors.Is(err, fetch.ErrUpstream) || ctx.Err() != nil {
			return err
		}
		if first == nil || isGone(first) && !isGone(err) {
			first = err
		}
	}
	return first
}

// escape is a path as part of a URL.
func escape(p string) string { return (&url.URL{Path: p}).EscapedPath() }
