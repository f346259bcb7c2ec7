package upstream

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/decompress"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/sources"
)

// MaxIndex bounds a metadata file, packed or not, and payload whose size upstream
// does not state: Fedora's filelists unpack to 800 MB, and a bomb would fill the
// disk or never end.
const MaxIndex = 4 << 30 // bytes

// Want is what an index states about a file.
type Want struct {
	Sum Sum
	// Size is in bytes, -1 if it is not known.
	Size int64
	// Limit is the most bytes of a file whose size is not known; 0: MaxIndex.
	Limit int64
	// Index is the URL of the index, for errors; secrets in it are left out.
	Index string
}

// fetched returns what a client may know of the file: by the checksum it chooses between the
// forms of an answer that has a content coding.
func (w Want) fetched() *fetch.Wanted {
	of := &fetch.Wanted{Size: w.Size, Limit: cmp.Or(w.Limit, MaxIndex)}
	if sum, err := hex.DecodeString(w.Sum.Hex); err == nil && w.Sum.size() == len(sum) && len(sum) > 0 {
		of.Sum, of.Hash = sum, w.Sum.hash
	}
	return of
}

func (w Want) String() string {
	if w.Size < 0 {
		return w.Sum.String()
	}
	return fmt.Sprintf("%s (%s)", w.Sum, bundle.Count(w.Size, "byte"))
}

// Download puts a file that an index lists into scratch as local, checked by its
// size and its checksum, which is trusted. It has one name, or several that are
// tried in turn. It returns its digest and its size, at most MaxIndex. The error is
// a MovedError if the addresses have other content. Whoever can do without the file
// asks IsAbsent, and whoever cannot returns Gone.
func (p *Place) Download(ctx context.Context, env *sources.Env, local string, want Want, names ...string) (digest bundle.Digest, size int64, err error) {
	what := p.Where(names[len(names)-1])
	if err := want.Sum.Check(what); err != nil {
		return digest, 0, err
	}
	if want.Size > MaxIndex {
		return digest, 0, &fault{fmt.Sprintf("%s: %s, at most %d", what, bundle.Count(want.Size, "byte"), int64(MaxIndex)), fetch.ErrUpstream}
	}
	err = firstOf(ctx, p.urls(names), func(_ int, url string) (err error) {
		digest, size, err = downloadFrom(ctx, env, url, local, want)
		return err
	})
	return digest, size, err
}

func downloadFrom(ctx context.Context, env *sources.Env, url, local string, want Want) (digest bundle.Digest, n int64, err error) {
	limit := want.Size
	if limit < 0 {
		limit = MaxIndex
	}
	body, err := openURL(ctx, env, url, 0, "", want)
	if err != nil {
		return digest, 0, err
	}
	defer func() { err = errors.Join(err, body.Close()) }()
	out, err := env.Scratch.Create(local)
	if err != nil {
		return digest, 0, err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	whole, sum := bundle.NewHash(), want.Sum.hash()
	to := io.MultiWriter(out, whole, sum)
	if want.Sum.Algorithm == "sha256" {
		sum, to = whole, io.MultiWriter(out, whole)
	}
	if n, err = io.Copy(to, io.LimitReader(body, limit+1)); err != nil {
		return digest, n, err
	}
	have := Want{Sum: want.Sum.of(sum), Size: n}
	if have.Sum != want.Sum || want.Size >= 0 && n != want.Size || n > limit {
		return digest, n, &MovedError{File: body.Meta.URL, Index: fetch.Redact(want.Index), Want: want.String(), Have: have.String()}
	}
	return bundle.SumOf(whole), n, nil
}

// Gone returns the error of a file that is needed and that upstream does not have although
// its index lists it. cause is the error that IsAbsent was asked about, nil if there
// was none. Steady reads once more for it.
func Gone(file, index string, cause error) error {
	e := &MovedError{File: file, Index: fetch.Redact(index), Have: "no address has it"}
	if cause != nil {
		e.Have = cause.Error()
	}
	return e
}

// Unpacked opens a file that Download put into scratch, and unpacks it as the end
// of name states, at most limit bytes. what names it in errors. Close closes both.
func Unpacked(env *sources.Env, local, name, what string, limit int64) (io.ReadCloser, error) {
	in, err := env.Scratch.Open(local)
	if err != nil {
		return nil, err
	}
	r, err := decompress.Reader(in, name, what, min(limit, MaxIndex))
	if err != nil {
		return nil, errors.Join(err, in.Close())
	}
	return &both{r, in}, nil
}

// both is unpacked content over the packed one.
type both struct {
	io.ReadCloser
	packed io.Closer
}

func (b *both) Close() error { return errors.Join(b.ReadCloser.Close(), b.packed.Close()) }

// Drain reads what follows a document, so that a compression that is cut off is
// noticed.
func Drain(what string, r io.Reader) error {
	_, err := io.Copy(io.Discard, r)
	return Blame(what, err)
}

// Open returns the function by which Collect reads a file: from the mirrors in
// turn, beginning with the next one each time, because whoever reads it once more
// was not content with what the last one sent. A sum of another algorithm than
// SHA-256 is checked here, while the content is read; SHA-256 is left to Collect,
// which checks every file's digest. Content whose size is not known ends with an
// error after want.Limit bytes.
func (p *Place) Open(env *sources.Env, want Want, names ...string) bundle.Open {
	if want.Sum.IsZero() || want.Sum.Algorithm == "sha256" {
		return p.open(env, want, names)
	}
	return p.OpenChecked(env, want, nil, names...)
}

func (p *Place) open(env *sources.Env, want Want, names []string) bundle.Open {
	next := rotation(p, names)
	return func(ctx context.Context, at int64, validator string) (*bundle.Content, error) {
		body, err := openFirst(ctx, env, next(at), at, validator, want)
		if err != nil {
			return nil, err
		}
		ended, err := ending(body, want)
		if err != nil {
			return nil, err
		}
		return &bundle.Content{Body: ended, At: body.At, Size: max(body.Meta.Size, 0), Validator: body.Meta.Validator()}, nil
	}
}

// OpenChecked works like Open, for content that is checked while it is read: by want, and by
// the Verifier that verify makes for each reading; nil: none. It is read from its
// first byte, whatever is asked for.
func (p *Place) OpenChecked(env *sources.Env, want Want, verify func(where string) Verifier, names ...string) bundle.Open {
	next := rotation(p, names)
	return func(ctx context.Context, _ int64, _ string) (*bundle.Content, error) {
		body, err := openFirst(ctx, env, next(0), 0, "", want)
		if err != nil {
			return nil, err
		}
		ended, err := ending(body, want)
		if err != nil {
			return nil, err
		}
		where := body.Meta.URL
		var v Verifier
		if verify != nil {
			v = verify(where)
		}
		return &bundle.Content{Body: Checked(ended, where, want, v), Size: max(body.Meta.Size, 0)}, nil
	}
}

// Validated returns open with a validator of the kind's own in place of upstream's.
// The validator is recorded with the file, so that a later plan knows how it was checked.
func Validated(open bundle.Open, validator string) bundle.Open {
	return func(ctx context.Context, at int64, known string) (*bundle.Content, error) {
		c, err := open(ctx, at, known)
		if err == nil {
			c.Validator = validator
		}
		return c, err
	}
}

// openFirst opens the first of the addresses that has the file.
func openFirst(ctx context.Context, env *sources.Env, urls []string, at int64, validator string, want Want) (body *content, err error) {
	err = firstOf(ctx, urls, func(_ int, url string) (err error) {
		body, err = openURL(ctx, env, url, at, validator, want)
		return err
	})
	return body, err
}

// rotation returns the addresses in the order in which they are to be tried.
func rotation(p *Place, names []string) func(at int64) []string {
	if len(p.bases) == 1 {
		return func(int64) []string { return p.urls(names) }
	}
	var begun atomic.Int64
	return func(at int64) []string {
		n := begun.Load()
		if at == 0 {
			n = begun.Add(1)
		}
		first := int(max(n-1, 0) % int64(len(p.bases)))
		turned := Place{slices.Concat(p.bases[first:], p.bases[:first])}
		return turned.urls(names)
	}
}

// ending returns a bounded body if upstream states no size. Without a bound, reading the
// body to find its size could fill a disk.
func ending(body *content, want Want) (io.ReadCloser, error) {
	limit := cmp.Or(want.Limit, MaxIndex)
	switch {
	case want.Size >= 0:
		return body, nil
	case body.Meta.Size > limit:
		err := &fault{fmt.Sprintf("%s: %s, at most %d", body.Meta.URL, bundle.Count(body.Meta.Size, "byte"), limit), fetch.ErrUpstream}
		return nil, errors.Join(err, body.Close())
	}
	return &capped{ReadCloser: body, left: limit, limit: limit, what: body.Meta.URL}, nil
}

// capped ends with an error after so many bytes.
type capped struct {
	io.ReadCloser
	left, limit int64
	what        string
}

func (c *capped) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p[:min(int64(len(p)), c.left+1)])
	if int64(n) > c.left {
		return int(c.left), &fault{fmt.Sprintf("%s: more than %s, and its index has no size", c.what, bundle.Count(c.limit, "byte")), fetch.ErrUpstream}
	}
	c.left -= int64(n)
	return n, err
}

// ReadThrough returns an Artifact's Known: it reads what open returns to its end, for the
// sake of its checks. Content that is not what an index states is upstream's doing, because
// there is no copy in the mirror that could be corrupt.
func ReadThrough(open bundle.Open) func(context.Context) error {
	return func(ctx context.Context) error {
		c, err := open(ctx, 0, "")
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, c.Body)
		if err == nil {
			err = c.Body.Close()
		} else {
			_ = c.Body.Close() // the first error explains more
		}
		if errors.Is(err, bundle.ErrCorrupt) {
			err = &fault{strings.TrimSuffix(err.Error(), ": "+bundle.ErrCorrupt.Error()), fetch.ErrUpstream}
		}
		return err
	}
}
