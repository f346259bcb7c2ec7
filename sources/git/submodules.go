package git

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/sources/git/gitfile"
)

// findSubmodules finds what the chosen commits record as submodules. Those of
// commits that were published before are known.
func (r *repository) findSubmodules(ctx context.Context) error {
	known := map[gitfile.ID]bool{}
	if r.past != nil && needsAll(r) != wholeMark {
		for _, ref := range r.past.refs {
			known[ref.Commit()] = true
		}
		for _, s := range r.past.record.Submodules {
			if !slices.Contains(r.submodules[s.Commit], s) {
				r.submodules[s.Commit] = append(r.submodules[s.Commit], s)
			}
		}
	}
	var unknown []gitfile.ID
	for _, ref := range r.chosen.refs {
		c := ref.Commit()
		if _, done := r.submodules[c]; !done && !known[c] {
			known[c] = true
			unknown = append(unknown, c)
		}
	}
	if len(unknown) == 0 {
		return nil
	}
	pins, unnamed, err := r.fetched.repo.Submodules(ctx, unknown)
	if err != nil {
		return err
	}
	for _, c := range unknown {
		r.submodules[c] = pins[c]
	}
	if unnamed > 0 {
		r.note("%s in .gitmodules that no commit has as a submodule, or without a URL: skipped, as git does", bundle.Count(unnamed, "path"))
	}
	return nil
}

// children returns the wants that the submodules of all chosen commits make.
func children(r *repository) ([]want, error) {
	var all []want
	for _, ref := range r.chosen.refs {
		for _, s := range r.submodules[ref.Commit()] {
			child, err := resolve(r.url, s.URL)
			if err != nil {
				return nil, fmt.Errorf("%w: %w", err, fetch.ErrUpstream)
			}
			why := fmt.Sprintf("the submodule %s of %s at commit %s", s.Path, r.url, s.Commit)
			for _, parent := range r.wants.of(ref, r.up.Symref) {
				if parent.entry.submodules == modeNone {
					continue
				}
				if parent.depth == maxDepth {
					return nil, fmt.Errorf("%s: more than %d submodules in one another: %w", why, maxDepth, fetch.ErrUpstream)
				}
				all = append(all, want{
					entry: parent.entry, pos: parent.pos, by: child, why: why, depth: parent.depth + 1, pin: s.Pin,
					every: parent.entry.submodules == modeAll,
				})
			}
		}
	}
	slices.SortFunc(all, func(a, b want) int {
		return cmp.Or(cmp.Compare(a.entry.number, b.entry.number), strings.Compare(a.by, b.by), bytes.Compare(a.pin[:], b.pin[:]), cmp.Compare(a.depth, b.depth))
	})
	return slices.CompactFunc(all, func(a, b want) bool { return a.entry == b.entry && a.by == b.by && a.pin == b.pin }), nil
}
