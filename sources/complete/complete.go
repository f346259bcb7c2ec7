package complete

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/decompress"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/upstream"
)

// File is a line of a list.
type File struct {
	Size        int64
	Digest      bundle.Digest
	MediaType   string
	Annotations map[string]string
}

// Repo is a repository that is looked at, with its list.
type Repo struct {
	bundle.Repository
	tree  sources.Tree
	files map[string]File
}

// Walk calls look for each repository of a tree, one at a time: it holds the list of
// one. Errors of look are joined, with the name of the source; it returns the end of
// ctx alone.
func Walk(ctx context.Context, t sources.Tree, look func(ctx context.Context, r *Repo) error) error {
	var errs []error
	for _, repo := range t.Repositories() {
		r, err := open(t, repo)
		if err == nil {
			err = look(ctx, r)
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		errs = append(errs, inSource(repo.Name, err)...)
	}
	return errors.Join(errs...)
}

// open reads the list of a repository.
func open(t sources.Tree, repo bundle.Repository) (*Repo, error) {
	r := &Repo{Repository: repo, tree: t, files: make(map[string]File, repo.Count)}
	for f, err := range t.Files(repo.Name) {
		if err != nil {
			return nil, err
		}
		r.files[f.Path] = File{f.Size, f.Digest, f.MediaType, f.Annotations}
	}
	return r, nil
}

// inSource adds to each of joined errors the name of the source, so that each is one
// finding.
func inSource(name string, err error) []error {
	if err == nil {
		return nil
	}
	// Errors that wrap joined ones have something to add about all of them, and stay.
	if joined, ok := err.(interface{ Unwrap() []error }); ok && errors.Join(joined.Unwrap()...).Error() == err.Error() {
		var all []error
		for _, part := range joined.Unwrap() {
			all = append(all, inSource(name, part)...)
		}
		return all
	}
	return []error{fmt.Errorf("source %s: %w", name, err)}
}

// Has reports whether the list has a path.
func (r *Repo) Has(path string) bool {
	_, ok := r.files[path]
	return ok
}

// Paths returns all paths of the list, in no order.
func (r *Repo) Paths() iter.Seq[string] { return maps.Keys(r.files) }

// File returns the line of a path.
func (r *Repo) File(path string) (File, bool) {
	f, ok := r.files[path]
	return f, ok
}

// Where names a file of the mirror, for errors.
func (r *Repo) Where(path string) string { return r.Mount + "/" + path }

// Missing returns the error of a file that is not there. who is the client that would miss
// it, and what for: "apt-get update of stable".
func (r *Repo) Missing(path, who string) error { return Missing(r.Where(path), who) }

// Missing returns the error of a file that is not there, for a kind whose check does not go
// through one repository at a time. where names the file.
func Missing(where, who string) error {
	return fmt.Errorf("%s: is not there: %s would miss it: %w", where, who, bundle.ErrIncomplete)
}

// Want checks that the list has a path with this size and this digest; -1 and the zero
// digest are not compared. who is the client that asks for it.
func (r *Repo) Want(path string, size int64, digest bundle.Digest, who string) error {
	have, ok := r.files[path]
	switch {
	case !ok:
		return r.Missing(path, who)
	case size >= 0 && have.Size != size || !digest.IsZero() && have.Digest != digest:
		return fmt.Errorf("%s: want %s, got %s: %s would refuse it: %w", r.Where(path), sum(size, digest), sum(have.Size, have.Digest), who, bundle.ErrCorrupt)
	}
	return nil
}

func sum(size int64, digest bundle.Digest) string {
	switch {
	case digest.IsZero():
		return bundle.Count(size, "byte")
	case size < 0:
		return digest.String()
	}
	return fmt.Sprintf("%s (%s)", digest, bundle.Count(size, "byte"))
}

// Open opens a file; the caller closes it. The error matches sources.ErrNotAtHand where
// a check need not look.
func (r *Repo) Open(ctx context.Context, path string) (io.ReadCloser, error) {
	return r.tree.Open(ctx, r.Name, path)
}

// OpenAt opens a file for reading at any place; the caller closes it. The error matches
// sources.ErrNotAtHand where the file would have to be fetched for it.
func (r *Repo) OpenAt(ctx context.Context, path string) (sources.ReadAtCloser, error) {
	local, ok := r.tree.(sources.AtHand)
	if !ok {
		return nil, fmt.Errorf("%s: %w", r.Where(path), sources.ErrNotAtHand)
	}
	return local.OpenAt(ctx, r.Name, path)
}

// Read returns the content of a file, at most limit bytes.
func (r *Repo) Read(ctx context.Context, path string, limit int64) ([]byte, error) {
	in, err := r.Open(ctx, path)
	if err != nil {
		return nil, err
	}
	content, err := bundle.ReadAllBounded(in, path, limit)
	return content, errors.Join(err, in.Close())
}

// Unpacked opens a file and unpacks it as the end of its name states, at most limit
// bytes; the caller closes it.
func (r *Repo) Unpacked(ctx context.Context, path string, limit int64) (io.ReadCloser, error) {
	packed, err := r.Open(ctx, path)
	if err != nil {
		return nil, err
	}
	in, err := decompress.Reader(packed, path, r.Where(path), limit)
	if err != nil {
		return nil, errors.Join(r.Corrupt(path, err), packed.Close())
	}
	return &unpacked{in, packed}, nil
}

type unpacked struct {
	io.ReadCloser
	packed io.Closer
}

func (u *unpacked) Close() error { return errors.Join(u.ReadCloser.Close(), u.packed.Close()) }

// Corrupt returns the error of content that does not read as what it is. Nil stays nil, and
// an error of the own disk, of the end of a context, or of sources.ErrNotAtHand stays
// what it is.
func (r *Repo) Corrupt(path string, err error) error {
	switch {
	case err == nil:
		return nil
	case upstream.IsLocal(err), errors.Is(err, sources.ErrNotAtHand), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	}
	return fmt.Errorf("%s: %w: %w", r.Where(path), err, bundle.ErrCorrupt)
}
