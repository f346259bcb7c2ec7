package export

import (
	"context"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/bundle/media"
	"github.com/gapbundle/gapbundle/sources/collect"
)

// manifest puts the root together, but for what only the writer knows.
func (j *job) manifest(ctx context.Context, collected []collect.Collected) (*bundle.Manifest, []media.Lists, error) {
	m := &bundle.Manifest{
		Format: bundle.Format, Set: j.plan.spec.Set, Destination: j.plan.to.name, Full: j.plan.base == nil, Tool: j.plan.o.Tool,
		Keys: j.plan.published().keys(),
	}
	m.Overrides = j.plan.overrides()
	if j.plan.base != nil {
		m.Base = &bundle.State{Sequence: j.plan.base.manifest.Sequence, State: j.plan.base.manifest.State}
	}
	if err := errors.Join(j.plan.check(ctx, collected), j.plan.keepDates()); err != nil {
		return nil, nil, err
	}
	var lists []media.Lists
	m.Repositories, lists = j.describe(collected)
	m.State = bundle.StateDigest(m.Repositories)
	filled := slices.ContainsFunc(collected, func(c collect.Collected) bool { return c.Filled > 0 })
	named := slices.ContainsFunc(m.Repositories, func(r bundle.Repository) bool { return r.Contents != nil })
	var err error
	m.Requires, err = j.plan.requires(filled, named)
	return m, lists, err
}

// shortContents is the total length of a set's contents lists below which every bundle
// carries all of them, so that each medium alone lists by name what the set holds.
const shortContents = 4 << 20 // bytes

// describe returns the repositories, sorted by name, and their lists that are carried.
func (j *job) describe(collected []collect.Collected) (repos []bundle.Repository, lists []media.Lists) {
	has := j.plan.base.lists()
	maps.DeleteFunc(has, func(d bundle.Digest, _ bool) bool { return j.plan.asked.wantsList(d) })
	names := map[string]collect.Collected{}
	for _, c := range collected {
		repos, names[c.Repository.Name] = append(repos, c.Repository), c
	}
	repos = append(repos, j.plan.held...)
	slices.SortFunc(repos, func(a, b bundle.Repository) int { return strings.Compare(a.Name, b.Name) })
	length := int64(0)
	for i := range repos {
		if repos[i].Contents != nil {
			length += repos[i].Contents.Size
		}
	}
	lists = make([]media.Lists, len(repos))
	for i := range repos {
		r := &repos[i]
		c, fresh := names[r.Name]
		if d := r.Contents; d != nil && (length < shortContents || !has[digestOf(d.Digest.String())]) {
			lists[i].Contents = j.opener(c.ContentsName)
			if !fresh {
				lists[i].Contents = func() (io.ReadCloser, error) { return j.plan.base.openList(digestOf(d.Digest.String())) }
			}
			r.Carried = append(r.Carried, bundle.CarriedContents)
		}
		if fresh && !has[digestOf(r.Evidence.Digest.String())] {
			lists[i].Evidence = j.opener(c.EvidenceName)
			r.Carried = append(r.Carried, bundle.CarriedEvidence)
		}
		if fresh && !has[digestOf(r.Files.Digest.String())] {
			lists[i].Files = j.opener(c.FilesName)
			r.Carried = append(r.Carried, bundle.CarriedFiles)
		}
	}
	return repos, lists
}

// digestOf reads a digest that this program wrote.
func digestOf(s string) bundle.Digest {
	d, err := bundle.ParseDigest(s)
	if err != nil {
		return bundle.Digest{}
	}
	return d
}

func (j *job) opener(name string) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return j.plan.env.Scratch.Open(name) }
}
