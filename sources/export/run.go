package export

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/bundle/media"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/sources/collect"
)

// Run exports: it makes a signed bundle of what the spec names, or finds that
// there is nothing new. Repeating an interrupted export goes on where it
// stopped.
func Run(ctx context.Context, o Options) (*Result, error) {
	if len(o.Targets) == 0 {
		return nil, fmt.Errorf("target: none given: name a directory with --to: %w", bundle.ErrUsage)
	}
	o.writes = true
	in, err := open(ctx, o)
	if err != nil {
		return nil, err
	}
	r, err := in.export(ctx)
	if r != nil {
		r.Destination, r.Adopted = in.to.name, in.adopted
	}
	return r, errors.Join(err, in.close())
}

// export plans, and makes the bundle unless it is made already.
func (in *opened) export(ctx context.Context) (*Result, error) {
	p, err := newPlan(ctx, in)
	if err != nil {
		return nil, err
	}
	if r, err := p.finished(); r != nil || err != nil {
		return r, err
	}
	if r, err := p.alreadyExported(ctx); r != nil || err != nil {
		return r, err
	}
	return write(ctx, p)
}

// finished looks for a bundle that was signed and complete when the export
// that made it died before it could note so: it is noted now, as it is. To
// make it again would put two roots under one number if upstream has changed
// since. nil: there is none, or it was another request than this one, which
// then goes on.
func (p *plan) finished() (*Result, error) {
	pending := p.ledger.Pending()
	if pending == nil {
		return nil, nil
	}
	var dirs []string
	for _, t := range p.o.Targets {
		dir := filepath.Join(t, bundle.DirName(p.spec.Set, pending.Sequence))
		if _, err := os.Stat(dir + bundle.PartialSuffix); err == nil {
			return nil, nil // not complete on every medium
		}
		if _, err := os.Stat(filepath.Join(dir, bundle.RootName)); err == nil {
			dirs = append(dirs, dir)
		}
	}
	if len(dirs) == 0 {
		return nil, nil
	}
	reader, m, err := p.own.openBundle(dirs[0])
	if err != nil {
		return nil, err
	}
	defer func() { _ = reader.Close() }() // read-only
	if m.Stream != p.ledger.Stream() || m.Sequence != pending.Sequence {
		return nil, nil
	}
	request, err := p.request()
	if err != nil {
		return nil, err
	}
	same := pending.Request == request
	if err := keepLists(p.ledger, reader, m); err != nil {
		return nil, err
	}
	documents, err := listedDocuments(m, p.ledger.Lists().Open)
	if err != nil {
		return nil, err
	}
	if err := p.ledger.Commit(m, p.env.Scratch, nil, documents); err != nil || !same {
		return nil, err
	}
	root, err := reader.Root()
	r := &Result{Dirs: dirs, Root: bundle.DigestOf(root), Message: "was complete already"}
	r.of(m)
	return r, err
}

// errCarries ends a look that was to find nothing to carry.
var errCarries = errors.New("there is something to carry")

// alreadyExported finds out whether the destination was sent just this
// before, by a bundle that no receipt has acknowledged yet: then a delta on
// the acknowledged state would be the same bundle once more. nil: it was not.
func (p *plan) alreadyExported(ctx context.Context) (*Result, error) {
	if p.base == nil || p.o.Base != "" || p.asked != nil || len(p.o.Only)+len(p.o.Hold) > 0 {
		return nil, nil
	}
	newest := p.to.known().Exported
	if newest <= p.base.manifest.Sequence {
		return nil, nil
	}
	m, err := p.ledger.Manifest(newest)
	if err != nil {
		return nil, err
	}
	from, sent := *p.opened, *p
	from.base = &base{manifest: m, openList: p.ledger.Lists().Open}
	if from.have, err = from.base.blobs(nil); err != nil {
		return nil, err
	}
	sent.opened = &from
	if sent.survey, err = p.resolved.Survey(collect.SurveyOptions{VolumeSize: p.layout.load.VolumeSize, Have: sent.have.Size}); err != nil || sent.survey.Total().Fetch > 0 {
		return nil, err
	}
	j := newJob(&sent)
	collected, err := j.collect(ctx, func() (*media.Writer, error) { return nil, errCarries })
	if errors.Is(err, errCarries) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	now, _, err := j.manifest(ctx, collected)
	if err != nil || !sameContent(now, m) {
		return nil, err
	}
	return j.nothing()
}

// sameContent reports whether two roots describe the same files with the same annotations.
// Annotations are not part of the state, but the mirror needs them, so a change of them
// alone makes a (tiny) bundle. So does the first contents list of a repository, because
// the mirror learns from it what it holds by name.
func sameContent(a, b *bundle.Manifest) bool {
	return a.State == b.State && slices.EqualFunc(a.Repositories, b.Repositories, func(a, b bundle.Repository) bool {
		return a.Name == b.Name && maps.Equal(a.Annotations, b.Annotations) && (a.Contents == nil) == (b.Contents == nil)
	})
}

// write makes the bundle. Where upstream changed between its metadata and what
// they name, all is planned once more: a bundle holds one state of upstream.
// The number stays, and what fits the new plan on the media.
func write(ctx context.Context, p *plan) (*Result, error) {
	j := newJob(p)
	r, first := j.attempt(ctx)
	if !collect.Moved(first) || ctx.Err() != nil {
		return r, first
	}
	p.o.Log.Info("upstream changed while it was collected: planning once more", "error", first)
	next, changed, err := p.again(ctx)
	switch {
	case err != nil:
		return nil, errors.Join(first, fmt.Errorf("planned once more: %w", err))
	case !changed:
		return nil, errors.Join(first, &atOdds{fmt.Errorf("upstream's metadata, read once more, say the same: %w", fetch.ErrUpstream)})
	}
	left := j.result.Left
	j = newJob(next)
	j.result.Left = left
	r, second := j.attempt(ctx)
	if second != nil && ctx.Err() == nil {
		second = errors.Join(second, fmt.Errorf("before that, planned from older metadata: %w", first))
	}
	return r, second
}

// atOdds is the error of an upstream whose files do not match its metadata, although the
// metadata were read once more and are the same.
type atOdds struct{ error }

func (e *atOdds) Unwrap() error { return e.error }

// Hint returns what to do about it.
func (*atOdds) Hint() string {
	return "repeat the command later; until upstream is right, exclude in the source leaves out what is named (apt and rpm: name=version)"
}
