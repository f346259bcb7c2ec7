package readers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/complete"
	"github.com/gapbundle/gapbundle/sources/rebuild"
	"github.com/gapbundle/gapbundle/sources/simplestreams/streams"
)

// Check reads the streams as MAAS, lxc and sstream-mirror do: each products file
// of the index fits its model, each item is there with its size and digest, and
// the signed and the unsigned form of a file have the same content.
func Check(ctx context.Context, t sources.Tree) ([]bundle.CheckCount, error) {
	c := &checking{}
	err := complete.Walk(ctx, t, c.repository)
	return []bundle.CheckCount{
		{Name: "bootable", Count: c.bootable}, {Name: "items", Count: c.items}, {Name: "products", Count: c.products}, {Name: "versions", Count: c.versions},
	}, err
}

type checking struct{ bootable, items, products, versions int64 }

func (c *checking) repository(ctx context.Context, r *complete.Repo) error {
	path := r.Annotations[IndexKey]
	index, err := readIndex(ctx, r, path)
	if err != nil {
		return err
	}
	v := streams.NewView(index)
	var errs []error
	for _, e := range index.Entries {
		errs = append(errs, c.file(ctx, r, v, e))
	}
	own := path
	if r.Mode == string(rebuild.Rebuilt) {
		own = rebuild.UpstreamFolder + path
	}
	if made := streams.Unsigned(path); made != path {
		errs = append(errs, sameIndex(ctx, r, index, made))
	}
	line, ok := r.File(own)
	if !ok {
		errs = append(errs, r.Missing(own, "whoever looks at what upstream signed"))
	}
	if want := line.Annotations[readersKey]; want != streams.ReadersItems {
		if misfit := v.Misfit(); misfit != nil {
			errs = append(errs, fmt.Errorf("%s: %w", r.Where(path), misfit))
		} else if got := v.Readers(); ok && got != want {
			errs = append(errs, fmt.Errorf("%s: is for readers %s, want %s: %w", r.Where(path), got, want, bundle.ErrIncomplete))
		}
	}
	c.bootable += v.Bootable()
	c.products += v.Products
	c.versions += v.Versions
	return errors.Join(errs...)
}

func readIndex(ctx context.Context, r *complete.Repo, path string) (*streams.Index, error) {
	if !r.Has(path) {
		return nil, r.Missing(path, "every reader of the mirror")
	}
	content, err := r.Read(ctx, path, streams.MaxIndex)
	if err != nil {
		return nil, err
	}
	if path == streams.Signed(path) {
		var text bytes.Buffer
		if _, err := streams.Unsign(&text, bytes.NewReader(content)); err != nil {
			return nil, r.Corrupt(path, err)
		}
		content = text.Bytes()
	}
	index, err := streams.ReadIndex(bytes.NewReader(content))
	return index, r.Corrupt(path, err)
}

// sameIndex checks that the unsigned index leads to the same products files.
func sameIndex(ctx context.Context, r *complete.Repo, signed *streams.Index, path string) error {
	other, err := readIndex(ctx, r, path)
	if err != nil {
		return err
	}
	same := func(a, b streams.Entry) bool { return a.ID == b.ID && streams.Unsigned(a.Path) == b.Path }
	if !slices.EqualFunc(signed.Entries, other.Entries, same) {
		return r.Corrupt(path, errors.New("does not have the entries of the signed index"))
	}
	return nil
}

// file checks a products file and everything that it names.
func (c *checking) file(ctx context.Context, r *complete.Repo, v *streams.View, e streams.Entry) error {
	if !r.Has(e.Path) {
		return r.Missing(e.Path, "every reader of "+e.ID)
	}
	text := NewTextSum()
	header, err := scan(ctx, r, e.Path, text, func(*streams.Product) error { return nil })
	if err != nil {
		return err
	}
	var errs []error
	if made := streams.Unsigned(e.Path); made != e.Path {
		errs = append(errs, sameText(ctx, r, made, text.Sum()))
	}
	v.Begin(header)
	f, err := streams.NewFile(header)
	if err != nil {
		return r.Corrupt(e.Path, err)
	}
	_, err = scan(ctx, r, e.Path, io.Discard, func(p *streams.Product) error {
		v.Product(p)
		if err := f.Expand(p); err != nil {
			return err
		}
		for _, version := range p.Versions {
			for i := range version.Items {
				errs = append(errs, c.item(r, header, p, &version, &version.Items[i]))
			}
		}
		return nil
	})
	v.End(r.Where(e.Path))
	return errors.Join(append(errs, err)...)
}

func (c *checking) item(r *complete.Repo, header streams.Object, p *streams.Product, v *streams.Version, i *streams.Item) error {
	place, ok, err := streams.Locate(header, p, v, i)
	if err != nil || !ok {
		return err
	}
	c.items++
	return r.Want(place.Path, place.Size, place.Digest, fmt.Sprintf("whoever takes %s of %s, version %s,", i.Name, p.Name, v.Name))
}

// scan reads a products file, signed or not; what is signed goes to text too.
func scan(ctx context.Context, r *complete.Repo, path string, text io.Writer, visit func(*streams.Product) error) (header streams.Object, err error) {
	in, err := r.Open(ctx, path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	plain := io.Reader(in)
	if path == streams.Signed(path) {
		pipe, w := io.Pipe()
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_, err := streams.Unsign(w, in)
			_ = w.CloseWithError(err) // always nil
		}()
		defer func() {
			_ = pipe.Close() // ends the other side
			<-ended
		}()
		plain = pipe
	}
	header, err = streams.Scan(io.TeeReader(plain, text), func(p *streams.Product, _ int64) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		return visit(p)
	})
	if errors.Is(err, bundle.ErrMalformed) {
		err = r.Corrupt(path, err)
	}
	return header, err
}

// sameText checks that the unsigned form of a file is what is signed.
func sameText(ctx context.Context, r *complete.Repo, path string, want bundle.Digest) (err error) {
	if !r.Has(path) {
		return r.Missing(path, "lxc and incus")
	}
	in, err := r.Open(ctx, path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	text := NewTextSum()
	if _, err := io.Copy(text, in); err != nil {
		return err
	}
	if text.Sum() != want {
		return r.Corrupt(path, errors.New("is not the text of the signed file next to it"))
	}
	return nil
}

// TextSum makes the digest of a text without newlines at its end: whether the last
// one is signed differs from program to program.
type TextSum struct {
	hash  hash.Hash
	lines int // newlines that were not written yet
}

// NewTextSum returns one of an empty text.
func NewTextSum() *TextSum { return &TextSum{hash: bundle.NewHash()} }

// Write adds to the text.
func (s *TextSum) Write(p []byte) (int, error) {
	rest := bytes.TrimRight(p, "\n")
	if len(rest) > 0 {
		for ; s.lines > 0; s.lines-- {
			_, _ = s.hash.Write([]byte{'\n'}) // never fails
		}
		_, _ = s.hash.Write(rest)
	}
	s.lines += len(p) - len(rest)
	return len(p), nil
}

// Sum returns the digest of what was written so far.
func (s *TextSum) Sum() bundle.Digest { return bundle.SumOf(s.hash) }
