package unpack

import (
	"context"
	"fmt"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/unpack/state"
	"github.com/gapbundle/gapbundle/unpack/tree"
)

// GC removes old generations and content that nothing needs any more. It keeps
//
//   - the current and the previous generation, and the newest o.Keep;
//   - generations that were replaced less than a day ago;
//   - content that pending bundles have brought;
//   - of each set, the content of its newest receipt and of its newest accepted bundle,
//     because the next delta leaves that out.
func (m *Mirror) GC(ctx context.Context, o tree.GCOptions) (res *tree.GCResult, err error) {
	if o.Keep < 0 {
		return nil, fmt.Errorf("gc: keep %s: want 1 or more: %w", bundle.Count(o.Keep, "generation"), bundle.ErrUsage)
	}
	if o.Keep == 0 {
		o.Keep = tree.DefaultKeep
	}
	if m.o.DryRun {
		needs, err := m.trees.Survey(ctx, m.state, o)
		if err != nil {
			return nil, err
		}
		return &needs.Result, nil
	}
	err = m.write(ctx, func(w *writer) error {
		needs, err := w.trees.Survey(ctx, w.state.State, o)
		if err != nil {
			return err
		}
		res = &needs.Result
		if err := w.state.Note(state.Entry{Time: w.state.Now(), What: "gc", Detail: removedBy(res)}); err != nil {
			return err
		}
		return w.trees.Collect(ctx, needs)
	})
	return res, err
}

// removedBy returns what the journal has of a gc.
func removedBy(res *tree.GCResult) string {
	var generations []string
	for _, n := range res.Generations {
		generations = append(generations, fmt.Sprint(n))
	}
	what := "no generation"
	if len(generations) > 0 {
		what = "generations " + strings.Join(generations, ", ")
	}
	return fmt.Sprintf("removed: %s; %s, %s", what, bundle.Count(res.Blobs, "blob"), bundle.Count(res.Bytes, "byte"))
}
