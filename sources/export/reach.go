package export

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/bundle/reach"
	"github.com/gapbundle/gapbundle/sources/collect"
)

// checkReach checks before anything is signed what every import will check: that the set has
// nothing that a set must not have. Key files of sources that are held back are not on this
// side, so only their lines are checked.
func (j *job) checkReach(ctx context.Context, m *bundle.Manifest, collected []collect.Collected) error {
	t := j.plan.tree(collected, func(bundle.Repository) bool { return true })
	defer t.close()
	survey, err := reach.Look(reach.Set{
		Name: m.Set, Keys: m.Keys, Repositories: m.Repositories,
		Files: func(i int) iter.Seq2[bundle.File, error] { return t.Files(m.Repositories[i].Name) },
	})
	if err != nil {
		return err
	}
	err = survey.Judge(func(f bundle.File) ([]byte, error) {
		a, ok := j.made[f.Digest]
		if !ok || a.Open == nil {
			return nil, reach.ErrNotAtHand
		}
		in, err := a.Open(ctx, 0, "")
		if err != nil {
			return nil, err
		}
		content, err := bundle.ReadAllBounded(in.Body, f.Path, reach.MaxFile)
		return content, errors.Join(err, in.Body.Close())
	})
	if err != nil {
		return fmt.Errorf("no mirror would import this: %w: %w", err, bundle.ErrUsage)
	}
	return nil
}
