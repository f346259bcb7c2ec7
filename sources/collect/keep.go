package collect

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/sources"
)

// Documents keeps the content of artifacts that are marked Keep.
type Documents interface {
	// Has reports whether the content is kept already.
	Has(d bundle.Digest, size int64) bool
	Keep(content []byte) error
	// Limit is the most that one may have, in bytes.
	Limit() int64
}

// Kept is an artifact whose content is kept between exports. Size is -1 and Digest
// zero where a plan does not know them yet.
type Kept struct {
	Repository string
	File       bundle.File
}

// MaxKept bounds how many are remembered: above it the set is refused.
const MaxKept = 100_000

// keepMore appends k, up to one more than the bound, which is enough to refuse it.
func keepMore(all []Kept, k Kept) []Kept {
	if len(all) > MaxKept {
		return all
	}
	return append(all, k)
}

// result returns the future of one artifact: of one that is marked Keep, the content
// is kept by whoever reads it.
func (c *collection) result(p placed) *result {
	u := newResult(p)
	if u.artifact.Keep && c.o.Documents != nil {
		u.artifact.Open = c.keeping(p)
	}
	return u
}

// keeping opens an artifact so that its content is kept. It is small enough to be
// held in memory.
func (c *collection) keeping(p placed) bundle.Open {
	return func(ctx context.Context, _ int64, _ string) (*bundle.Content, error) {
		content, err := p.artifact.Open(ctx, 0, "")
		if err != nil {
			return nil, err
		}
		limit := c.o.Documents.Limit()
		b, err := io.ReadAll(io.LimitReader(content.Body, limit+1))
		if err = errors.Join(err, content.Body.Close()); err != nil {
			return nil, err
		}
		if int64(len(b)) > limit {
			return nil, fmt.Errorf("%s: more than %s to keep between exports: %w", fetch.Redact(p.artifact.Evidence.Origin), bundle.Count(limit, "byte"), bundle.ErrUsage)
		}
		if err := c.o.Documents.Keep(b); err != nil {
			return nil, err
		}
		return sources.InMemory(b, content.Validator)(ctx, 0, "")
	}
}

// ensureKept keeps the content of an artifact that nobody had to read.
func (c *collection) ensureKept(ctx context.Context, u *result) error {
	if !u.artifact.Keep || c.o.Documents == nil || c.o.Documents.Has(u.file.Digest, u.file.Size) {
		return nil
	}
	content, err := u.artifact.Open(ctx, 0, "")
	if err != nil {
		return err
	}
	h := bundle.NewHash()
	if _, err := io.Copy(h, content.Body); err != nil {
		return errors.Join(err, content.Body.Close())
	}
	if got := bundle.SumOf(h); got != u.file.Digest {
		return &movedError{fmt.Errorf("%s: want %s, got %s: %w", fetch.Redact(u.artifact.Evidence.Origin), u.file.Digest, got, fetch.ErrUpstream)}
	}
	return content.Body.Close()
}

// settled writes the lines of a settled result.
func (l *lists) settled(u *result) error {
	e := u.artifact.Evidence
	if u.artifact.Keep {
		e.Annotations = maps.Clone(e.Annotations)
		if e.Annotations == nil {
			e.Annotations = map[string]string{}
		}
		e.Annotations[bundle.KeptKey] = bundle.KeptValue
		l.collected.Kept = keepMore(l.collected.Kept, Kept{l.collected.Repository.Name, u.file})
	}
	return l.write(u.file, e, u.validator, u.artifact.Entries)
}
