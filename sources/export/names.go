package export

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/bundle/contents"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/collect"
	"github.com/gapbundle/gapbundle/sources/ledger"
)

// Contents plans what a spec names, as Plan does, and returns what each source would
// hold by name. close releases what the repositories read from; it is nil with an error.
// Digests and sizes may be missing, because no file was downloaded yet.
func Contents(ctx context.Context, o Options) (repos []contents.Repository, close func() error, err error) {
	in, err := open(ctx, o)
	if err != nil {
		return nil, nil, err
	}
	p, err := newPlan(ctx, in)
	if err == nil {
		repos, err = p.contents()
	}
	if err != nil {
		return nil, nil, errors.Join(err, in.close())
	}
	return repos, in.close, nil
}

// contents returns the repositories of a plan: those that are planned, whose lists are
// made in scratch, and those that stay as the base has them.
func (p *plan) contents() ([]contents.Repository, error) {
	planned, err := p.resolved.Contents(p.env.Scratch)
	if err != nil {
		return nil, err
	}
	var all []contents.Repository
	for i, of := range planned {
		r := contents.Of(p.spec.Set, of.Repository, func() iter.Seq2[bundle.Entry, error] {
			return readEntries(func() (io.ReadCloser, error) { return p.env.Scratch.Open(of.ContentsName) }, func(in io.Reader) iter.Seq2[bundle.Entry, error] {
				// Not ReadContents: a digest that is not known yet is refused there.
				return bundle.ReadList[bundle.Entry](in, "source "+of.Repository.Name)
			})
		})
		r.Files, r.Bytes = p.survey.Tallies[i].Files, p.survey.Tallies[i].Bytes
		all = append(all, r)
	}
	for _, r := range p.held {
		all = append(all, p.base.named(r))
	}
	return all, nil
}

// names finds by name what a planned export would change.
func (p *plan) names(ctx context.Context) ([]*contents.Summary, error) {
	if p.o.Changes == 0 {
		return nil, nil
	}
	after, err := p.contents()
	if err != nil {
		return nil, err
	}
	return p.compareNames(ctx, after)
}

// collectedNames finds by name what the repositories of an export change.
func (p *plan) collectedNames(ctx context.Context, repos []bundle.Repository, collected []collect.Collected) ([]*contents.Summary, error) {
	if p.o.Changes == 0 {
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
			after = append(after, p.base.named(r))
			continue
		}
		after = append(after, contents.Of(p.spec.Set, r, func() iter.Seq2[bundle.Entry, error] {
			return readEntries(func() (io.ReadCloser, error) { return p.env.Scratch.Open(name) }, func(in io.Reader) iter.Seq2[bundle.Entry, error] {
				return bundle.ReadContents(in, "source "+r.Name)
			})
		}))
	}
	return p.compareNames(ctx, after)
}

// compareNames compares with what the destination is taken to have: the base, or for a full
// bundle what a delta would build on.
func (in *opened) compareNames(ctx context.Context, after []contents.Repository) ([]*contents.Summary, error) {
	before := in.base
	if before == nil {
		b, err := in.ledger.Base(in.to.name)
		var notKept *ledger.NotKeptError
		if err != nil && !errors.As(err, &notKept) { // a full bundle is the remedy then
			return nil, err
		}
		if b != nil {
			before = &base{manifest: b.Manifest, openList: in.ledger.Lists().Open}
		}
	}
	var was []contents.Repository
	if before != nil {
		for _, r := range before.manifest.Repositories {
			was = append(was, before.named(r))
		}
	}
	summary, err := contents.Summarise(ctx, in.spec.Set, was, after, in.o.Changes)
	if err != nil {
		return nil, fmt.Errorf("what changes by name: %w", err)
	}
	direct(in.o.Kinds, summary, was, after)
	return []*contents.Summary{summary}, nil
}

// direct marks the changes that go back to an older version, by the rules of the kind.
func direct(all sources.Kinds, summary *contents.Summary, states ...[]contents.Repository) {
	kinds := map[string]func(typ, a, b string) int{}
	for _, k := range all {
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

// named returns a repository of the base, with what it holds by name.
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
