package export

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/bundle/contents"
	"github.com/gapbundle/gapbundle/sources/collect"
	"github.com/gapbundle/gapbundle/sources/ledger"
)

// Contents plans what a spec names, as Plan does, and returns what each source would
// hold by name. close releases what the repositories read from; it is nil with an error.
// What only a file's content tells is not known yet: digests and sizes may be missing.
func Contents(ctx context.Context, o Options) (repos []contents.Repository, close func() error, err error) {
	s, err := begin(ctx, o, false)
	if err != nil {
		return nil, nil, err
	}
	if repos, err = s.plannedContents(); err != nil {
		return nil, nil, errors.Join(err, s.close())
	}
	return repos, s.close, nil
}

// plannedContents are the repositories of a plan: those that are planned, whose lists are
// made in scratch, and those that stay as the base has them.
func (s *session) plannedContents() ([]contents.Repository, error) {
	planned, err := s.resolved.Contents(s.scratch)
	if err != nil {
		return nil, err
	}
	var all []contents.Repository
	for i, p := range planned {
		r := contents.Of(s.spec.Set, p.Repository, func() iter.Seq2[bundle.Entry, error] {
			return readEntries(func() (io.ReadCloser, error) { return s.scratch.Open(p.ContentsName) }, func(in io.Reader) iter.Seq2[bundle.Entry, error] {
				// Not ReadContents: a digest that is not known yet is refused there.
				return bundle.ReadList[bundle.Entry](in, "source "+p.Repository.Name)
			})
		})
		r.Files, r.Bytes = s.survey.Tallies[i].Files, s.survey.Tallies[i].Bytes
		all = append(all, r)
	}
	for _, r := range s.held {
		all = append(all, s.base.named(r))
	}
	return all, nil
}

// planNames finds by name what a planned export would change.
func (s *session) planNames(ctx context.Context) ([]*contents.Summary, error) {
	if s.o.Changes == 0 {
		return nil, nil
	}
	after, err := s.plannedContents()
	if err != nil {
		return nil, err
	}
	return s.compareNames(ctx, after)
}

// collectedNames finds by name what the repositories of an export change.
func (s *session) collectedNames(ctx context.Context, repos []bundle.Repository, collected []collect.Collected) ([]*contents.Summary, error) {
	if s.o.Changes == 0 {
		return nil, nil
	}
	lists := map[string]string{}
	for _, c := range collected {
		lists[c.Repository.Name] = c.ContentsName
	}
	var after []contents.Repository
	for _, r := range repos {
		name, fresh := lists[r.Name]
		if !fresh {
			after = append(after, s.base.named(r))
			continue
		}
		after = append(after, contents.Of(s.spec.Set, r, func() iter.Seq2[bundle.Entry, error] {
			return readEntries(func() (io.ReadCloser, error) { return s.scratch.Open(name) }, func(in io.Reader) iter.Seq2[bundle.Entry, error] {
				return bundle.ReadContents(in, "source "+r.Name)
			})
		}))
	}
	return s.compareNames(ctx, after)
}

// compareNames compares with what the destination is taken to have: the base, or for a full
// bundle what a delta would build on.
func (s *session) compareNames(ctx context.Context, after []contents.Repository) ([]*contents.Summary, error) {
	before := s.base
	if before == nil {
		b, err := s.ledger.Base(s.o.Destination)
		var notKept *ledger.NotKeptError
		if err != nil && !errors.As(err, &notKept) { // a full bundle is the remedy then
			return nil, err
		}
		if b != nil {
			before = &base{manifest: b.Manifest, openList: s.ledger.OpenList}
		}
	}
	var was []contents.Repository
	if before != nil {
		for _, r := range before.manifest.Repositories {
			was = append(was, before.named(r))
		}
	}
	summary, err := contents.Summarise(ctx, s.spec.Set, was, after, s.o.Changes)
	if err != nil {
		return nil, fmt.Errorf("what changes by name: %w", err)
	}
	s.direct(summary, was, after)
	return []*contents.Summary{summary}, nil
}

// direct says which changes go back to an older version, by the rules of the kind.
func (s *session) direct(summary *contents.Summary, states ...[]contents.Repository) {
	kinds := map[string]func(typ, a, b string) int{}
	for _, k := range s.o.Kinds {
		kinds[k.Name] = k.Compare
	}
	compare := map[string]func(typ, a, b string) int{}
	for _, state := range states {
		for _, r := range state {
			compare[r.Name] = kinds[r.Kind]
		}
	}
	for i := range summary.First {
		c := &summary.First[i]
		if len(c.Before) > 0 && len(c.After) > 0 {
			c.Direct(compare[c.After[0].Repository])
		}
	}
}

// named is a repository of the base, with what it holds by name.
func (b *base) named(r bundle.Repository) contents.Repository {
	return contents.Of(b.manifest.Set, r, func() iter.Seq2[bundle.Entry, error] {
		what := fmt.Sprintf("base %d, source %s: contents list", b.manifest.Sequence, r.Name)
		return func(yield func(bundle.Entry, error) bool) {
			d, err := bundle.CheckDescriptor(*r.Contents, bundle.MediaTypeContents)
			if err != nil {
				yield(bundle.Entry{}, fmt.Errorf("%s: %w", what, err))
				return
			}
			h := bundle.NewHash()
			for e, err := range readEntries(func() (io.ReadCloser, error) { return b.openList(d) }, func(in io.Reader) iter.Seq2[bundle.Entry, error] {
				return bundle.ReadContents(io.TeeReader(in, h), what)
			}) {
				if !yield(e, err) || err != nil {
					return
				}
			}
			if got := bundle.SumOf(h); got != d {
				yield(bundle.Entry{}, bundle.About(bundle.AboutBase, fmt.Errorf("%s: want %s, got %s: %w", what, d, got, bundle.ErrCorrupt)))
			}
		}
	})
}

// readEntries opens a list, reads it and closes it.
func readEntries(open func() (io.ReadCloser, error), read func(io.Reader) iter.Seq2[bundle.Entry, error]) iter.Seq2[bundle.Entry, error] {
	return func(yield func(bundle.Entry, error) bool) {
		in, err := open()
		if err != nil {
			yield(bundle.Entry{}, err)
			return
		}
		defer in.Close()
		for e, err := range read(in) {
			if !yield(e, err) {
				return
			}
		}
	}
}
