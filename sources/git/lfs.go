package git

import (
	"context"
	"fmt"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/git/gitfile"
	"github.com/gapbundle/gapbundle/sources/git/lfs"
)

// locate looks for pointers of Git LFS in what was fetched and asks upstream
// where their objects are. None of them is read.
func (p *packed) locate(ctx context.Context, got *fetched) error {
	want := p.of.wants.lfs()
	if want == modeNone {
		return nil
	}
	var commits []gitfile.ID
	for _, r := range p.of.chosen.refs {
		if c, ok := got.commits[r.ID]; ok {
			commits = append(commits, c)
		}
	}
	if len(commits) == 0 {
		return nil
	}
	found, err := got.repo.Pointers(ctx, commits, want == modeAll)
	if err != nil {
		return err
	}
	known := map[bundle.Digest]bool{}
	for _, o := range p.record.Objects {
		known[o.OID] = true
	}
	var wanted []lfs.Object
	for _, f := range found {
		carried := p.past != nil && p.past.have && known[f.OID]
		if !carried {
			wanted = append(wanted, f.Pointer)
		}
		if !known[f.OID] {
			p.record.Objects = append(p.record.Objects, f.Stored)
		}
	}
	actions, err := p.store.Locate(ctx, wanted)
	if err != nil {
		return err
	}
	for _, f := range found {
		a, ok := actions[f.OID]
		if !ok {
			continue
		}
		if a.Missing != "" {
			commit, err := got.repo.CommitWith(ctx, f.Blob)
			if err != nil {
				return err
			}
			return fmt.Errorf("%s: commit %s, %s: upstream has no object %s of Git LFS: %s: %w", p.of.url, commit, f.Path, f.OID, a.Missing, fetch.ErrUpstream)
		}
		p.origins[f.OID] = a.Origin()
	}
	return nil
}

// objects returns the artifacts of Git LFS: those that were located now, and those
// that the last export published.
func objects(p *packed) []sources.Artifact {
	var all []sources.Artifact
	for _, o := range p.record.Objects {
		name := o.ObjectPath()
		path := p.of.dir + "/" + name
		a := sources.Artifact{
			File:     bundle.File{Path: path, Size: o.Size, Digest: o.OID},
			Evidence: bundle.Evidence{Path: path, Vouched: p.vouched(), Reason: reasonLFS + " " + o.Path, Origin: p.origins[o.OID]},
			Open:     p.store.Open(o.Pointer),
		}
		if r, ok := p.recorded(name); ok {
			a.Evidence.Origin, a.Evidence.Vouched, a.Evidence.Reason = r.Origin, r.Vouched, r.Reason
		}
		all = append(all, a)
	}
	return all
}
