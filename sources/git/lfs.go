package git

import (
	"context"
	"fmt"
	"slices"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/git/gitfile"
	"github.com/gapbundle/gapbundle/sources/git/lfs"
)

// object is an object of Git LFS that the last export did not publish.
type object struct {
	gitfile.Stored
	origin string // where upstream has it, without secrets
	open   bundle.Open
}

// pointers looks for pointers of Git LFS in what was fetched and asks upstream
// where their objects are. None of them is read.
func (m *mirror) pointers(ctx context.Context) error {
	if m.lfsMode() == modeNone {
		return nil
	}
	var commits []gitfile.ID
	for _, r := range m.chosen {
		if c, ok := m.commit[r.ID]; ok {
			commits = append(commits, c)
		}
	}
	if len(commits) == 0 {
		return nil
	}
	found, err := m.repo.Pointers(ctx, commits, m.lfsMode() == modeAll)
	if err != nil {
		return err
	}
	known := map[bundle.Digest]bool{}
	for _, o := range m.record.Objects {
		known[o.OID] = true
	}
	store := lfs.New(m.env.Fetch, m.url)
	var wanted []lfs.Object
	for _, f := range found {
		carried := m.past != nil && m.past.have && known[f.OID]
		if !carried {
			wanted = append(wanted, f.Pointer)
		}
		if !known[f.OID] {
			m.record.Objects = append(m.record.Objects, f.Stored)
		}
	}
	actions, err := store.Locate(ctx, wanted)
	if err != nil {
		return err
	}
	for _, f := range found {
		a, ok := actions[f.OID]
		if !ok {
			continue
		}
		if a.Missing != "" {
			commit, err := m.repo.CommitWith(ctx, f.Blob)
			if err != nil {
				return err
			}
			return fmt.Errorf("%s: commit %s, %s: upstream has no object %s of Git LFS: %s: %w", m.url, commit, f.Path, f.OID, a.Missing, fetch.ErrUpstream)
		}
		m.lfs = append(m.lfs, object{Stored: f.Stored, origin: a.Origin(), open: store.Open(f.Pointer)})
	}
	return nil
}

// objects are the artifacts of Git LFS: those that were located now, and those
// that the last export published.
func (m *mirror) objects() []sources.Artifact {
	var all []sources.Artifact
	store := lfs.New(m.env.Fetch, m.url)
	for _, o := range m.record.Objects {
		name := o.ObjectPath()
		a := sources.Artifact{
			File:     bundle.File{Path: m.dir + "/" + name, Size: o.Size, Digest: o.OID},
			Evidence: bundle.Evidence{Path: m.dir + "/" + name, Vouched: m.vouchedFor(), Reason: reasonLFS + " " + o.Path},
		}
		if i := slices.IndexFunc(m.lfs, func(l object) bool { return l.OID == o.OID }); i >= 0 {
			a.Evidence.Origin, a.Open = m.lfs[i].origin, m.lfs[i].open
		} else {
			a.Open = store.Open(o.Pointer)
		}
		if m.past != nil {
			if r, ok := m.past.files[name]; ok {
				a.Evidence.Origin, a.Evidence.Vouched, a.Evidence.Reason = r.Origin, r.Vouched, r.Reason
			}
		}
		all = append(all, a)
	}
	return all
}
