package git

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/sources/git/gitfile"
	"github.com/gapbundle/gapbundle/sources/git/gitrepo"
	"github.com/gapbundle/gapbundle/sources/upstream"
)

// Why a repository is fetched whole although a part of it is new.
const (
	wholeFirst  = "nothing of it was published before"
	wholeMark   = "what the spec asks of it changed"
	wholeCarry  = "its packs are carried, and made, once more"
	wholeRepack = "its packs become one"
	wholeDumb   = "upstream is a static server, which sends no part of a history"
)

// needsAll is why everything that is chosen has to be fetched, empty if what
// is new is enough.
func (m *mirror) needsAll() string {
	switch {
	case m.past == nil:
		return wholeFirst
	case m.past.record.Mark != m.mark():
		return wholeMark
	case !m.past.have:
		return wholeCarry
	case m.repackDue():
		return wholeRepack
	}
	return ""
}

// Bounds of the automatic repack.
const (
	maxPacks  = 20
	minRepack = 10 << 20 // bytes in later packs below which their share does not matter
)

// repackDue reports whether the packs of the last export become one.
func (m *mirror) repackDue() bool {
	packs := m.past.record.Packs
	if len(packs) < 2 {
		return false
	}
	switch m.owner().repack {
	case repackNow:
		return true
	case repackNever:
		return false
	}
	first, later := int64(0), int64(0)
	for i, p := range packs {
		size := m.past.files[packName(p.Name, ".pack")].File.Size
		if i == 0 {
			first = size
		} else {
			later += size
		}
	}
	return len(packs) >= maxPacks || later >= minRepack && later*3 >= first
}

// fetch fetches what is chosen and is not there: all of it, or down to what
// the base has.
func (m *mirror) fetch(ctx context.Context) error {
	reason := m.needsAll()
	changed := slices.ContainsFunc(m.chosen, func(r gitfile.Ref) bool { return reason != "" || !m.past.ids[r.ID] })
	if changed && reason == "" && !m.relay.Smart() {
		reason = wholeDumb
	}
	if m.repo != nil && reason != "" && !m.whole {
		m.repo = nil // what was fetched so far ends at the boundary
	}
	if m.repo == nil && changed {
		if err := m.open(ctx, reason); err != nil {
			return err
		}
	}
	var named, pins []gitrepo.Want
	for _, r := range m.chosen {
		switch {
		case m.fresh[r.ID] || reason == "" && m.past.ids[r.ID]:
		case strings.HasPrefix(r.Name, pinRefs):
			pins = append(pins, m.pinned(r.ID))
		default:
			named = append(named, gitrepo.Want{ID: r.ID, Ref: r.Name})
		}
	}
	if err := m.fetchNamed(ctx, named); err != nil {
		return err
	}
	if err := m.fetchPins(ctx, pins); err != nil {
		return err
	}
	for _, w := range slices.Concat(named, pins) {
		m.fresh[w.ID] = true
	}
	return nil
}

// open makes the repository in scratch.
func (m *mirror) open(ctx context.Context, reason string) (err error) {
	m.whole, m.fresh = reason != "", map[gitfile.ID]bool{}
	if m.folder, err = os.MkdirTemp(m.scratch, "repository-"); err != nil {
		return err
	}
	if m.repo, err = gitrepo.Init(ctx, m.git, filepath.Join(m.folder, "objects")); err != nil || m.whole {
		return err
	}
	return m.repo.SetBoundary(boundary(m.past.record.Packs, m.past.commits))
}

func (m *mirror) fetchNamed(ctx context.Context, wants []gitrepo.Want) error {
	err := m.try(ctx, wants)
	if err == nil || m.whole || hasClass(ctx, err) {
		return err
	}
	// A server that does not know of shallow histories: all of it, then.
	m.env.Log.Info("git: upstream refused a part of the history, all of it is fetched", "repository", m.url, "cause", err.Error())
	if err := m.open(ctx, wholeDumb); err != nil {
		return err
	}
	wants = nil
	for _, r := range m.chosen {
		if !strings.HasPrefix(r.Name, pinRefs) {
			wants = append(wants, gitrepo.Want{ID: r.ID, Ref: r.Name})
		}
	}
	for _, w := range wants {
		m.fresh[w.ID] = true
	}
	return m.try(ctx, wants)
}

func (m *mirror) try(ctx context.Context, wants []gitrepo.Want) error {
	if len(wants) == 0 {
		return nil
	}
	m.env.Log.Info("git: fetching", "repository", m.url, "refs", len(wants), "whole", m.whole)
	return m.during("fetching", func() error {
		// A pack cannot be taken up where it broke off: all of it once more.
		return m.env.Fetch.Attempts(ctx, func() error { return m.repo.Fetch(ctx, m.relay, wants) })
	})
}

// hasClass reports whether an error is of upstream, the machine or the end of
// ctx, and so not the git program's own.
func hasClass(ctx context.Context, err error) bool {
	return ctx.Err() != nil || upstream.IsLocal(err) || errors.Is(err, fetch.ErrUpstream) || errors.Is(err, fetch.ErrRefused) || errors.Is(err, fetch.ErrConfig)
}

// pinned is how a commit that is recorded as a submodule is asked for: by a
// ref that names it, if there is one.
func (m *mirror) pinned(id gitfile.ID) gitrepo.Want {
	for _, r := range m.refs {
		if r.ID == id {
			return gitrepo.Want{ID: id, Ref: r.Name}
		}
	}
	return gitrepo.Want{ID: id}
}

// fetchPins fetches commits by their names. Not every server sends what no ref
// names; then all branches and tags are fetched, and the commits have to be in them.
func (m *mirror) fetchPins(ctx context.Context, pins []gitrepo.Want) error {
	err := m.try(ctx, pins)
	if err == nil || hasClass(ctx, err) {
		return err
	}
	if err := m.repo.FetchPattern(ctx, m.relay); err != nil {
		return err
	}
	var expressions []string
	for _, w := range pins {
		expressions = append(expressions, w.ID.String())
	}
	there, err := m.repo.Look(ctx, expressions)
	if err != nil {
		return err
	}
	var errs []error
	for i, o := range there {
		if o.Type == "commit" {
			errs = append(errs, m.repo.Hold(ctx, o.ID))
			continue
		}
		errs = append(errs, fmt.Errorf("%s: has no commit %s, which %s wants: %w", m.url, pins[i].ID, m.whoPins(pins[i].ID), fetch.ErrUpstream))
	}
	return errors.Join(errs...)
}

func (m *mirror) whoPins(id gitfile.ID) string {
	for _, w := range m.wants {
		if w.pin == id {
			return w.why
		}
	}
	return "a submodule"
}

// submodules returns what the chosen commits record as submodules. Those of
// commits that were published before are known.
func (m *mirror) submodules(ctx context.Context) ([]want, error) {
	if !m.hasSubmodules() {
		return nil, nil
	}
	known := map[gitfile.ID]bool{}
	if m.past != nil && m.needsAll() != wholeMark {
		for _, r := range m.past.refs {
			known[r.Commit()] = true
		}
		for _, s := range m.past.record.Submodules {
			if _, done := m.sub[s.Commit]; !done || !slices.Contains(m.sub[s.Commit], s) {
				m.sub[s.Commit] = append(m.sub[s.Commit], s)
			}
		}
	}
	var unknown []gitfile.ID
	for _, r := range m.chosen {
		if c := r.Commit(); !known[c] {
			known[c] = true
			if _, done := m.sub[c]; !done {
				unknown = append(unknown, c)
			}
		}
	}
	if len(unknown) > 0 {
		pins, unnamed, err := m.repo.Submodules(ctx, unknown)
		if err != nil {
			return nil, err
		}
		for _, c := range unknown {
			m.sub[c] = pins[c]
		}
		if unnamed > 0 {
			m.note("%d paths in .gitmodules are no submodules of their commit, or have no URL: git passes over them, too", unnamed)
		}
	}
	return m.children()
}

// children are the wants that the submodules of all chosen commits make.
func (m *mirror) children() ([]want, error) {
	var all []want
	for _, r := range m.chosen {
		for _, s := range m.sub[r.Commit()] {
			child, err := resolve(m.url, s.URL)
			if err != nil {
				return nil, fmt.Errorf("%w: %w", err, fetch.ErrUpstream)
			}
			why := fmt.Sprintf("the submodule %s of %s at commit %s", s.Path, m.url, s.Commit)
			for _, parent := range m.wantsOf(r) {
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

// wantsOf are the wants that choose a ref.
func (m *mirror) wantsOf(r gitfile.Ref) []want {
	var all []want
	for _, w := range m.wants {
		if w.pin == r.Commit() || w.depth == 0 && takes(m.patterns(w), w.exclude, r.Name) || w.every && !strings.HasPrefix(r.Name, pinRefs) {
			all = append(all, w)
		}
	}
	return all
}
