package unpack

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/unpack/state"
	"github.com/gapbundle/gapbundle/unpack/tree"
)

// Give hands a web path over to a set: a mount, or a path in a mount that sets share.
// Files that another set publishes there stay until a bundle of the set is imported, and are
// left out from then on; bundles of other sets that have something there are refused.
// Errors match bundle.ErrUsage.
func (t Trust) Give(ctx context.Context, path, set string) error {
	if err := checkGivePath(t.m.state, path, set); err != nil {
		return err
	}
	if t.m.o.DryRun {
		return nil
	}
	return t.m.write(ctx, func(w *writer) error {
		if err := checkGivePath(w.state.State, path, set); err != nil {
			return err
		}
		return w.state.Give(path, set)
	})
}

func checkGivePath(of *state.State, path, set string) error {
	if err := bundle.CheckLabel(set); err != nil {
		return err
	}
	if err := bundle.CheckPath(path); err != nil {
		return fmt.Errorf("path %.200q: want a web path without its first slash: %w", path, bundle.ErrUsage)
	}
	first, _, deeper := strings.Cut(path, "/")
	if bundle.IsSharedMount(path) || first == "keys" || strings.HasPrefix(first, "_") {
		return fmt.Errorf("path %.200q: all sets share it: want a path below it that is one set's: %w", path, bundle.ErrUsage)
	}
	if bundle.IsSharedMount(first) && deeper {
		return nil
	}
	owned, err := of.Ratchets()
	if err != nil {
		return err
	}
	for _, r := range owned {
		for _, mount := range r.Mounts {
			if r.Set != set && mount != path && state.Below(mount, path) {
				return fmt.Errorf("path %s: in the mount %s, which set %s has as a whole: give that: %w", path, mount, r.Set, bundle.ErrUsage)
			}
		}
	}
	return nil
}

// takeImages records which images belong to the sets of targets, and, where a program of
// before did not, to the others.
func (r *importing) takeImages(p *proposal, targets []*arrival, current *tree.Generation) error {
	owned, err := r.state.Ratchets()
	if err != nil {
		return err
	}
	all, err := imageOwners(r.state.State, r.trees.Trees, current, owned)
	if err != nil {
		return err
	}
	taken := 0
	for _, t := range owned {
		if t.ImagesKnown || t.Stream == "" || current.Set(t.Set) == nil {
			continue
		}
		t.Images, t.ImagesKnown = all.of(t.Set), true
		taken += len(t.Images)
		if !slices.ContainsFunc(targets, func(a *arrival) bool { return a.set() == t.Set }) {
			p.then.Ratchets = append(p.then.Ratchets, t)
		}
	}
	if taken > 0 {
		r.tookOver = fmt.Sprintf("taken over from an earlier program: %s, for the sets that had each first", bundle.Count(taken, "image name"))
	}
	for _, t := range targets {
		all.release(t.set())
	}
	for _, t := range targets {
		for i, repo := range t.Manifest().Repositories {
			if err := all.claim(tree.Part{Set: t.set(), Repository: repo, Files: t.Files(i)}); err != nil {
				return err
			}
		}
		for i := range p.then.Ratchets {
			if n := &p.then.Ratchets[i]; n.Set == t.set() {
				n.Images, n.ImagesKnown = all.of(t.set()), true
			}
		}
	}
	return nil
}

// release drops the images of a set. The set's next bundle lists those that it owns then.
func (i images) release(set string) {
	for name, owner := range i {
		if owner == set {
			delete(i, name)
		}
	}
}
