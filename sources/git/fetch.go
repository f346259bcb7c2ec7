package git

import (
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

// fetched is what was fetched of one git repository.
type fetched struct {
	repo    *gitrepo.Repo
	folder  string                    // in scratch, of repo and the packs that are made of it
	whole   bool                      // everything that is chosen is in repo
	ids     map[gitfile.ID]bool       // that chosen refs name
	commits map[gitfile.ID]gitfile.ID // that they lead to; other objects are left out
}

// has reports whether the object that a chosen ref names was fetched.
func (f *fetched) has(id gitfile.ID) bool { return f != nil && f.ids[id] }

// Why a repository is fetched whole although a part of it is new.
const (
	wholeFirst  = "nothing of it was published before"
	wholeMark   = "what the spec asks of it changed"
	wholeCarry  = "its packs are carried, and made, once more"
	wholeRepack = "its packs become one"
	wholeDumb   = "upstream is a static server, which sends no part of a history"
)

// needsAll returns why everything that is chosen has to be fetched, empty if what
// is new is enough.
func needsAll(r *repository) string {
	switch {
	case r.past == nil:
		return wholeFirst
	case r.past.record.Mark != r.wants.mark():
		return wholeMark
	case !r.past.have:
		return wholeCarry
	case r.past.repackDue(r.wants.owner().repack):
		return wholeRepack
	}
	return ""
}

// fetchNew fetches what is chosen and is not there: all of it, or down to what
// the base has. It returns nil if nothing has to be fetched.
func fetchNew(ctx context.Context, t *tools, r *repository) (*fetched, error) {
	reason, got := needsAll(r), r.fetched
	changed := slices.ContainsFunc(r.chosen.refs, func(ref gitfile.Ref) bool { return reason != "" || !r.past.ids[ref.ID] })
	if changed && reason == "" && !r.relay.Smart() {
		reason = wholeDumb
	}
	if got != nil && reason != "" && !got.whole {
		got = nil // what was fetched so far ends at the boundary
	}
	if got == nil && !changed {
		return nil, nil
	}
	var err error
	if got == nil {
		if got, err = begin(ctx, t, r, reason); err != nil {
			return nil, err
		}
	}
	missing := func(ref gitfile.Ref) bool { return !got.has(ref.ID) && (reason != "" || !r.past.ids[ref.ID]) }
	if got, err = fetchNamed(ctx, t, r, got, missing); err != nil {
		return nil, err
	}
	return got, fetchPins(ctx, t, r, got, missing)
}

// begin makes an empty repository in scratch.
func begin(ctx context.Context, t *tools, r *repository, reason string) (*fetched, error) {
	got := &fetched{whole: reason != "", ids: map[gitfile.ID]bool{}, commits: map[gitfile.ID]gitfile.ID{}}
	var err error
	if got.folder, err = os.MkdirTemp(t.scratch, "repository-"); err != nil {
		return nil, err
	}
	if got.repo, err = gitrepo.Init(ctx, t.git, filepath.Join(got.folder, "objects")); err != nil || got.whole {
		return got, err
	}
	return got, got.repo.SetBoundary(boundary(r.past.record.Packs, r.past.commits))
}

// fetchNamed fetches refs of upstream into got, or into a repository that takes its place.
func fetchNamed(ctx context.Context, t *tools, r *repository, got *fetched, missing func(gitfile.Ref) bool) (*fetched, error) {
	err := try(ctx, t, r, got, namedOf(r.chosen.refs, missing))
	if err == nil || got.whole || hasClass(ctx, err) {
		return got, err
	}
	// A server that does not know of shallow histories: all of it, then.
	t.env.Log.Info("git: upstream refused a part of the history, all of it is fetched", "repository", r.url, "cause", err.Error())
	if got, err = begin(ctx, t, r, wholeDumb); err != nil {
		return nil, err
	}
	return got, try(ctx, t, r, got, namedOf(r.chosen.refs, func(gitfile.Ref) bool { return true }))
}

func namedOf(refs []gitfile.Ref, missing func(gitfile.Ref) bool) (all []gitrepo.Want) {
	for _, ref := range refs {
		if !strings.HasPrefix(ref.Name, pinRefs) && missing(ref) {
			all = append(all, gitrepo.Want{ID: ref.ID, Ref: ref.Name})
		}
	}
	return all
}

// try fetches into got.
func try(ctx context.Context, t *tools, r *repository, got *fetched, all []gitrepo.Want) error {
	if len(all) == 0 {
		return nil
	}
	t.env.Log.Info("git: fetching", "repository", r.url, "refs", len(all), "whole", got.whole)
	err := t.during(r, "fetching", func() error {
		// A pack cannot be taken up where it broke off: all of it once more.
		return t.env.Fetch.Attempts(ctx, func() error { return got.repo.Fetch(ctx, r.relay, all) })
	})
	if err != nil {
		return err
	}
	for _, w := range all {
		got.ids[w.ID] = true
	}
	return nil
}

// hasClass reports whether an error is of upstream, the machine or the end of
// ctx, and so not the git program's own.
func hasClass(ctx context.Context, err error) bool {
	return ctx.Err() != nil || upstream.IsLocal(err) || errors.Is(err, fetch.ErrUpstream) || errors.Is(err, fetch.ErrRefused) || errors.Is(err, fetch.ErrConfig)
}

// fetchPins fetches commits by their names. Not every server sends what no ref
// names; then all branches and tags are fetched, and the commits have to be in them.
func fetchPins(ctx context.Context, t *tools, r *repository, got *fetched, missing func(gitfile.Ref) bool) error {
	var pins []gitrepo.Want
	var expressions []string
	for _, ref := range r.chosen.refs {
		if strings.HasPrefix(ref.Name, pinRefs) && missing(ref) {
			pins, expressions = append(pins, pinned(ref.ID, r.up.Refs)), append(expressions, ref.ID.String())
		}
	}
	err := try(ctx, t, r, got, pins)
	if err == nil || hasClass(ctx, err) {
		return err
	}
	if err := got.repo.FetchPattern(ctx, r.relay); err != nil {
		return err
	}
	there, err := got.repo.Look(ctx, expressions)
	if err != nil {
		return err
	}
	var errs []error
	for i, o := range there {
		id := pins[i].ID
		if o.Type != "commit" {
			errs = append(errs, fmt.Errorf("%s: has no commit %s, which %s wants: %w", r.url, id, r.wants.whoPins(id), fetch.ErrUpstream))
			continue
		}
		got.ids[id] = true
		errs = append(errs, got.repo.Hold(ctx, id))
	}
	return errors.Join(errs...)
}

// pinned returns how a commit that is recorded as a submodule is asked for: by a
// ref that names it, if there is one.
func pinned(id gitfile.ID, refs []gitfile.Ref) gitrepo.Want {
	for _, r := range refs {
		if r.ID == id {
			return gitrepo.Want{ID: id, Ref: r.Name}
		}
	}
	return gitrepo.Want{ID: id}
}
