package git

import (
	"context"
	"os"
	"path/filepath"
	"time"

	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/git/gitrun"
	"github.com/gapbundle/gapbundle/sources/upstream"
)

// tools are what the steps of one attempt work with.
type tools struct {
	env     *sources.Env
	git     *gitrun.Git
	folder  string // of env.Scratch, from the root
	scratch string // folder of this attempt; what is in it stays until the export ends
	// interval is the time between two lines about a step that goes on.
	interval time.Duration
}

// Plan reads the refs of every repository and fetches what is new, makes packs
// of it, and lays out the files. Where upstream changes meanwhile, all of it is
// done once more.
func (s *source) Plan(ctx context.Context, env *sources.Env) (plan *sources.Plan, err error) {
	git, err := gitrun.Find(ctx)
	if err != nil {
		return nil, err
	}
	if err := loadKeys(env, s.entries); err != nil {
		return nil, err
	}
	err = upstream.Steady(ctx, env, Name, func() error {
		plan, err = attempt(ctx, env, git, s.entries)
		return err
	})
	return plan, err
}

// attempt reads, packs and lays out. The choice of refs is a part of reading,
// because it decides what is fetched, and the submodules of the chosen commits
// are more repositories to read.
func attempt(ctx context.Context, env *sources.Env, git *gitrun.Git, entries []*entry) (*sources.Plan, error) {
	folder, err := filepath.Abs(env.Scratch.Name())
	if err != nil {
		return nil, err
	}
	t := &tools{env: env, git: git, folder: folder, interval: progressInterval}
	if t.scratch, err = os.MkdirTemp(folder, "git-"); err != nil {
		return nil, err
	}
	r, err := read(ctx, t, entries)
	if err != nil {
		return nil, err
	}
	defer r.close()
	made, err := pack(ctx, t, r)
	if err != nil {
		return nil, err
	}
	return lay(t, r, made)
}
