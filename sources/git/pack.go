package git

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/git/gitfile"
	"github.com/gapbundle/gapbundle/sources/git/gitrepo"
	"github.com/gapbundle/gapbundle/sources/git/gitrun"
	"github.com/gapbundle/gapbundle/sources/git/lfs"
	"github.com/gapbundle/gapbundle/sources/upstream"
)

// packed is what is published of one git repository.
type packed struct {
	of      *repository
	past    *past // whose packs are published; nil: none of the last export is
	record  gitfile.Record
	commits [][]gitfile.ID                 // of each pack of record
	packs   map[gitfile.ID]*gitrepo.Packed // made here
	dates   map[gitfile.ID]int64           // of fetched objects that refs name, Unix time
	signer  string                         // of all refs that were fetched, as bundle.Evidence.Vouched has it; empty: not of all
	store   *lfs.Store
	origins map[bundle.Digest]string // of objects of Git LFS that were located now, without secrets
	notes   []string
}

func (p *packed) note(format string, args ...any) {
	p.notes = append(p.notes, p.of.dir+": "+fmt.Sprintf(format, args...))
}

// pack makes the packs of all repositories, in the order of their folders.
func pack(ctx context.Context, t *tools, r *reading) ([]*packed, error) {
	all := inOrder(r.all)
	made := make([]*packed, len(all))
	return made, sources.EachOf(ctx, atOnce, len(all), func(ctx context.Context, i int) (err error) {
		made[i], err = packOne(ctx, t, all[i])
		return all[i].blame(err)
	})
}

// packOne checks what was fetched, makes packs of it, and looks for objects of
// Git LFS. A repository of which nothing changed is what the last export has.
func packOne(ctx context.Context, t *tools, r *repository) (*packed, error) {
	p := &packed{
		of: r, past: r.past, record: gitfile.Record{Git: t.git.Version, Mark: r.wants.mark()},
		packs: map[gitfile.ID]*gitrepo.Packed{}, store: lfs.New(t.env.Fetch, r.url), origins: map[bundle.Digest]string{}, notes: slices.Clone(r.notes),
	}
	if p.past != nil {
		last := p.past.record
		p.record.Git, p.record.Packs, p.record.Objects, p.commits = last.Git, slices.Clone(last.Packs), slices.Clone(last.Objects), p.past.commits
	}
	for _, ref := range r.chosen.refs {
		p.record.Submodules = append(p.record.Submodules, r.submodules[ref.Commit()]...)
	}
	if r.fetched != nil {
		if err := p.take(ctx, t, r.fetched); err != nil {
			return nil, err
		}
	}
	p.record.Sort()
	p.record.Submodules = slices.Compact(p.record.Submodules)
	if gone := p.gone(); gone > 0 {
		p.note("%s of the last export gone; what was reachable from there stays in the packs until these become one", bundle.Count(gone, "ref"))
	}
	return p, nil
}

// take makes packs of what was fetched, which then goes.
func (p *packed) take(ctx context.Context, t *tools, got *fetched) (err error) {
	r := p.of
	// Every object is read and every link followed.
	var faults gitrun.Faults
	err = t.during(r, "checking objects", func() (err error) {
		faults, err = got.repo.Examine(ctx)
		return err
	})
	for _, n := range faults.Notes() {
		p.note("%s", n)
	}
	if err != nil {
		return err
	}
	if err := steady(ctx, t, r); err != nil {
		return err
	}
	if p.signer, err = signer(ctx, t, r); err != nil {
		return err
	}
	if p.dates, err = got.repo.Dates(ctx); err != nil {
		return err
	}
	if err := t.during(r, "making packs", func() error { return p.makePacks(ctx, t, got) }); err != nil {
		return err
	}
	if err := p.locate(ctx, got); err != nil {
		return err
	}
	p.note("%s fetched", size(r.relay.Received()))
	return got.repo.Remove()
}

// steady asks for the refs once more: those that are published have to be
// upstream's at one moment.
func steady(ctx context.Context, t *tools, r *repository) error {
	again, err := gitrepo.Advertised(ctx, t.git, r.relay)
	if err != nil || again.Equal(r.up) {
		return err
	}
	return &upstream.MovedError{File: r.url, Want: fmt.Sprintf("the same %s before and after the fetch", bundle.Count(len(r.up.Refs), "ref")), Have: fmt.Sprintf("%s, some of them changed", bundle.Count(len(again.Refs), "ref"))}
}

// makePacks makes the packs: one of everything, those of the last export once
// more, or one for what is new.
func (p *packed) makePacks(ctx context.Context, t *tools, got *fetched) error {
	owner := p.of.wants.owner()
	due := p.past != nil && p.past.repackDue(owner.repack)
	if p.past != nil && !due && !p.past.have {
		again, err := packAgain(ctx, t, got, p.past)
		if err != nil && (ctx.Err() != nil || upstream.IsLocal(err)) {
			return err
		}
		if p.packs = again; err != nil {
			p.note("the packs of the last export cannot be made again: one new pack of everything (%s)", err)
			p.past, p.packs = nil, map[gitfile.ID]*gitrepo.Packed{}
		}
	}
	whole := p.past == nil || due
	if whole {
		p.record.Packs, p.record.Objects, p.record.Git, p.commits = nil, nil, t.git.Version, nil
	}
	var tips []gitfile.Tip
	for _, ref := range p.of.chosen.refs {
		if whole || !p.past.ids[ref.ID] {
			tips = append(tips, gitfile.Tip{ID: ref.ID, Commit: got.commits[ref.ID]})
		}
	}
	if len(tips) == 0 {
		return nil
	}
	gitfile.SortTips(tips)
	tips = slices.CompactFunc(tips, func(a, b gitfile.Tip) bool { return a.ID == b.ID })
	made, err := got.repo.Pack(ctx, tips, boundary(p.record.Packs, p.commits), got.folder)
	if err != nil || made == nil {
		return err
	}
	if due {
		info, err := os.Stat(made.Prefix + ".pack")
		if err != nil {
			return err
		}
		p.note("its %s become one of %s", bundle.Count(len(p.past.record.Packs), "pack"), size(info.Size())) // the next bundle carries all of it
	}
	if len(p.record.Packs) == gitfile.MaxPacks {
		return owner.pos.Errorf("source %s: %s: more than %d packs: let repack be auto", owner.name, p.of.url, gitfile.MaxPacks)
	}
	p.packs[made.Name] = made
	p.record.Packs, p.commits = append(p.record.Packs, made.Pack), append(slices.Clone(p.commits), made.Commits)
	if !slices.Contains(strings.Split(p.record.Git, ","), t.git.Version) {
		p.record.Git += "," + t.git.Version
	}
	return nil
}

// packAgain makes the packs of the last export once more: a full bundle
// carries them, and so does one for a destination that lacks some. Its error
// is why they are not there.
func packAgain(ctx context.Context, t *tools, got *fetched, last *past) (map[gitfile.ID]*gitrepo.Packed, error) {
	var expressions []string
	for _, tip := range last.record.Tips() {
		expressions = append(expressions, tip.ID.String())
	}
	there, err := got.repo.Look(ctx, expressions)
	if err != nil {
		return nil, err
	}
	for i, o := range there {
		if o.Type == "" {
			return nil, fmt.Errorf("upstream no longer has %s", expressions[i])
		}
	}
	var commits [][]gitfile.ID
	made := map[gitfile.ID]*gitrepo.Packed{}
	for i, p := range last.record.Packs {
		again, err := got.repo.Pack(ctx, p.Tips, boundary(last.record.Packs[:i], commits), got.folder)
		if err != nil {
			return nil, err
		}
		if again == nil || again.Name != p.Name {
			if last.record.Git != t.git.Version {
				return nil, fmt.Errorf("git %s makes other bytes than git %s did", t.git.Version, last.record.Git)
			}
			return nil, errors.New("the same git makes other bytes: another zlib")
		}
		made[p.Name], commits = again, append(commits, again.Commits)
	}
	return made, nil
}

// gone counts the refs of the last export that are not there any more, while
// its packs are.
func (p *packed) gone() (n int) {
	if p.past == nil || len(p.past.record.Packs) == 0 || len(p.record.Packs) > 0 && p.record.Packs[0].Name != p.past.record.Packs[0].Name {
		return 0
	}
	now := map[string]bool{}
	for _, ref := range p.of.chosen.refs {
		now[ref.Name] = true
	}
	for _, ref := range p.past.refs {
		if !now[ref.Name] {
			n++
		}
	}
	return n
}
