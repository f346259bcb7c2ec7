package replay

import (
	"context"
	"fmt"
	"sync"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/sources"
)

// Again makes what the base recorded as made once more, when somebody opens it: for a
// full bundle, or for a destination that does not have it yet. It is made once for
// all, and is safe for concurrent use.
type Again struct {
	remake func(ctx context.Context) (*sources.Plan, error)

	mu   sync.Mutex
	made map[place]sources.Artifact // nil: not yet
}

type place struct{ repo, path string }

// NewAgain makes again what remake plans: it reads the indexes and chooses, from the
// very files that the plan was decided by.
func NewAgain(remake func(ctx context.Context) (*sources.Plan, error)) *Again {
	return &Again{remake: remake}
}

// Open returns the function that opens a file that was made.
func (m *Again) Open(repo, path string) bundle.Open {
	return func(ctx context.Context, at int64, validator string) (*bundle.Content, error) {
		a, err := m.find(ctx, place{repo, path})
		if err != nil {
			return nil, err
		}
		return a.Open(ctx, at, validator)
	}
}

func (m *Again) find(ctx context.Context, at place) (sources.Artifact, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.made == nil {
		plan, err := m.remake(ctx)
		if err != nil {
			return sources.Artifact{}, err
		}
		made := map[place]sources.Artifact{}
		for _, r := range plan.Repositories {
			for a, err := range r.Artifacts() {
				if err != nil {
					return sources.Artifact{}, err
				}
				if a.Evidence.Origin == "" {
					made[place{r.Name, a.File.Path}] = a
				}
			}
		}
		m.made = made
	}
	a, ok := m.made[at]
	if !ok {
		return a, fmt.Errorf("source %s, %s: was made for the last export, and is not made any more: %w", at.repo, at.path, fetch.ErrUpstream)
	}
	return a, nil
}
