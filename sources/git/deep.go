package git

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/git/gitrepo"
	"github.com/gapbundle/gapbundle/sources/git/gitrun"
)

// deep has the git program read every object of every published repository and
// follow every link. It looks through a repository of its own, whose objects
// are the published ones: nothing is written to the mirror.
func deep(ctx context.Context, web string, t sources.Tree) ([]bundle.CheckCount, error) {
	git, err := gitrun.Find(ctx)
	if err != nil {
		return nil, err
	}
	all := map[string]bool{}
	for _, r := range t.Repositories() {
		for f, err := range t.Files(r.Name) {
			if err != nil {
				return nil, err
			}
			if dir, name, ok := cutDir(f.Path); ok && name == nameHead {
				all[dir] = true
			}
		}
	}
	var errs []error
	for _, dir := range slices.Sorted(maps.Keys(all)) {
		if err := examine(ctx, git, filepath.Join(web, mount, filepath.FromSlash(dir))); err != nil {
			errs = append(errs, fmt.Errorf("%s/%s: %w", mount, dir, err))
		}
	}
	return []bundle.CheckCount{{Name: "git repositories whose links were followed", Count: int64(len(all))}}, errors.Join(errs...)
}

func examine(ctx context.Context, git *gitrun.Git, published string) (err error) {
	work, err := os.MkdirTemp("", "gapbundle-check-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	repo, err := gitrepo.Over(ctx, git, filepath.Join(work, "r"), published)
	if err != nil {
		return err
	}
	_, err = repo.Examine(ctx)
	if err != nil && ctx.Err() == nil && !errors.Is(err, os.ErrNotExist) {
		err = fmt.Errorf("%w: %w", err, bundle.ErrCorrupt)
	}
	return err
}
