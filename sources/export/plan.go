package export

import (
	"context"
	"crypto/rand"
	"errors"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/bundle/media"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/collect"
)

// plan is what upstreams have, what of it is carried, and how that is cut into volumes.
// newPlan sets all of it.
type plan struct {
	*opened
	env      *sources.Env // what the sources were given: the lock, the dates, scratch
	resolved *collect.Resolved
	survey   *collect.Survey
	layout   *layout
	losses   losses
}

// newPlan reads upstream's metadata, lays out the volumes, and compares with the base.
func newPlan(ctx context.Context, in *opened) (p *plan, err error) {
	p = &plan{opened: in}
	if p.env, err = in.env(); err != nil {
		return nil, err
	}
	if err := unknownAllowed(in.o, in.spec.Sources); err != nil {
		return nil, err
	}
	if in.o.Reading != nil {
		r := newReading(in.o, in.specs)
		defer r.stop()
		ctx = fetch.WithReading(ctx, r)
	}
	if p.resolved, err = collect.Resolve(ctx, in.o.Kinds, in.specs, p.env); err != nil {
		return nil, err
	}
	room, err := in.room()
	if err != nil {
		return nil, err
	}
	o := collect.SurveyOptions{Have: in.have.Size, Room: room, Held: p.env.Held, Before: in.base.before()}
	if p.survey, p.layout, err = layOut(in, p.resolved, o); err != nil {
		return nil, err
	}
	p.losses = compare(in, p.resolved, p.survey)
	if in.o.writes {
		if err := p.losses.refuse(); err != nil {
			return nil, err
		}
	}
	_, err = in.documents(p.survey.Kept)
	return p, err
}

// again plans once more, and reports whether upstream's metadata is another than before.
func (p *plan) again(ctx context.Context) (_ *plan, changed bool, err error) {
	before, err := p.resolved.Digest()
	if err != nil {
		return nil, false, err
	}
	next, err := newPlan(ctx, p.opened)
	if err != nil {
		return nil, false, err
	}
	now, err := next.resolved.Digest()
	return next, now != before, err
}

// env returns what sources get: everything is opened from the top.
func (in *opened) env() (*sources.Env, error) {
	lock, err := sources.OpenLock(filepath.Join(in.spec.Dir, sources.LockName), in.o.UpdateLock)
	if err != nil {
		return nil, err
	}
	scratch, err := in.scratch()
	if err != nil {
		return nil, err
	}
	in.spools = scratch
	memory, err := recollect(in.ledger, in.base)
	if err != nil {
		return nil, err
	}
	before, err := in.ledger.Upstream().Dates()
	if err != nil {
		return nil, err
	}
	env := &sources.Env{
		Dates: sources.NewDates(before, in.o.AllowOlder), Weak: sources.NewWeakKeys(in.spec.AllowWeakKeys),
		Set: in.spec.Set, Tool: in.o.Tool, Program: in.o.Program, Fetch: in.client, Base: memory, Dir: in.spec.Dir, Now: in.o.Now, Site: in.site,
		Scratch: scratch, Lock: lock, Log: in.o.Log,
	}
	if in.base != nil {
		env.Have = in.have.Size
	}
	for _, r := range in.held {
		lists := &tree{base: in.base, held: []bundle.Repository{r}}
		env.Held = append(env.Held, sources.Held{
			Repository: r, Files: func() iter.Seq2[bundle.File, error] { return lists.Files(r.Name) },
		})
	}
	return env, nil
}

// scratch opens the ledger's, or for a plan a folder outside of everything
// that a plan promises to leave alone.
func (in *opened) scratch() (*os.Root, error) {
	if in.o.writes {
		scratch, err := in.ledger.Scratch()
		if err == nil {
			in.atEnd(scratch.Close)
		}
		return scratch, err
	}
	dir, err := os.MkdirTemp("", "gapbundle-plan-")
	if err != nil {
		return nil, err
	}
	in.atEnd(func() error { return os.RemoveAll(dir) })
	scratch, err := os.OpenRoot(dir)
	if err == nil {
		in.atEnd(scratch.Close)
	}
	return scratch, err
}

// spool returns an empty file in scratch, which is gone when it is closed. Content that has an
// expected digest is fetched by plans alone, so scratch is open.
func (in *opened) spool() (*os.File, error) {
	name := "answer-" + rand.Text()
	f, err := in.spools.Create(name)
	if err != nil {
		return nil, err
	}
	return f, in.spools.Remove(name)
}

// room returns the size of the targets' file systems together. It is 0 if there is no bound:
// in a plan (it reports how many media are needed), if another medium can be requested,
// or if there are no targets.
func (in *opened) room() (int64, error) {
	if !in.o.writes || in.o.NextMedium != nil || len(in.o.Targets) == 0 {
		return 0, nil
	}
	return media.FileSystems(in.o.Targets)
}

// unknownAllowed refuses what --allow-shrink and --allow-older name and the spec does not have.
func unknownAllowed(o Options, specs []sources.Spec) error {
	var errs []error
	for _, option := range []struct {
		flag  string
		names []string
	}{{"--allow-shrink", o.AllowShrink}, {"--allow-older", o.AllowOlder}} {
		for _, name := range option.names {
			known := func(p sources.Spec) bool { return p.Name == name || strings.HasPrefix(name, p.Name+"/") }
			if !slices.ContainsFunc(specs, known) {
				errs = append(errs, notInSpec(option.flag, name, specs))
			}
		}
	}
	return errors.Join(errs...)
}

// notes returns the plan's notes for people.
func (p *plan) notes() []Note {
	var all []Note
	for _, of := range p.resolved.Repositories {
		for _, text := range of.Notes {
			all = append(all, Note{of.Name, text})
		}
	}
	return all
}

// overrides returns the checks that were switched off and would have stopped the export,
// as the root has them.
func (p *plan) overrides() []string {
	var all []string
	if p.o.NoReadback {
		all = append(all, "no-readback")
	}
	for _, r := range p.losses.Shrunk {
		if r.Allowed {
			all = append(all, "allow-shrink "+r.Source)
		}
	}
	for _, source := range p.env.Dates.WentBack() {
		all = append(all, "allow-older "+source)
	}
	for _, key := range p.env.Weak.Used() {
		all = append(all, bundle.OverrideWeakKey+key)
	}
	slices.Sort(all)
	return all
}

// keepDates keeps the dates that upstreams gave what is exported: the next export refuses
// an older state. Sources that were not read keep theirs as long as the spec has them.
func (p *plan) keepDates() error {
	return p.ledger.Upstream().KeepDates(p.env.Dates.After(func(source string) bool {
		return slices.ContainsFunc(p.spec.Sources, func(of sources.Spec) bool {
			return of.Name == source || strings.HasPrefix(source, of.Name+"/")
		})
	}))
}
