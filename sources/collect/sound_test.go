package collect_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/collect"
)

// asking is a kind whose plans end as f says.
type asking struct {
	name string
	f    func(ctx context.Context, env *sources.Env) error
}

func (a asking) kind() sources.Kind {
	return sources.Kind{Name: a.name, New: func([]sources.Spec) (sources.Source, error) { return a, nil }}
}

func (a asking) Plan(ctx context.Context, env *sources.Env) (*sources.Plan, error) {
	return nil, a.f(ctx, env)
}

// TestSound: a plan that ends where upstream would be asked is sound; what is wrong
// apart from that is reported, and nothing else.
func TestSound(t *testing.T) {
	client, err := fetch.New(fetch.Options{Offline: true, Env: func(string) string { return "" }, Home: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	env := &sources.Env{Fetch: client}
	ask := func(ctx context.Context, env *sources.Env) error {
		_, _, err := env.Fetch.ReadAll(ctx, "https://upstream.example/index", 10)
		return fmt.Errorf("source one: %w", err)
	}
	missing := fmt.Errorf("keys/one.asc: no such file: %w", bundle.ErrUsage)
	for name, test := range map[string]struct {
		f     func(ctx context.Context, env *sources.Env) error
		asked int
		want  string
	}{
		"asks": {ask, 1, ""},
		"asks, classed": {func(ctx context.Context, env *sources.Env) error {
			return fmt.Errorf("x: %w: %w", ask(ctx, env), fetch.ErrUpstream)
		}, 1, ""},
		"asks twice":      {func(ctx context.Context, env *sources.Env) error { return errors.Join(ask(ctx, env), ask(ctx, env)) }, 2, ""},
		"wrong":           {func(context.Context, *sources.Env) error { return missing }, 0, missing.Error()},
		"asks, and wrong": {func(ctx context.Context, env *sources.Env) error { return errors.Join(ask(ctx, env), missing) }, 1, missing.Error()},
		"both wrapped": {func(ctx context.Context, env *sources.Env) error {
			return fmt.Errorf("kind: %w", errors.Join(ask(ctx, env), missing))
		}, 1, "keys/one.asc"},
	} {
		asked, err := collect.Sound(t.Context(), sources.Kinds{asking{"k", test.f}.kind()}, []sources.Spec{spec("one", "k")}, env)
		switch {
		case asked != test.asked, test.want == "" && err != nil:
			t.Errorf("%s: %d, %v", name, asked, err)
		case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want) || !errors.Is(err, bundle.ErrUsage)):
			t.Errorf("%s: %v, want %s", name, err, test.want)
		case test.want == missing.Error() && err.Error() != test.want:
			t.Errorf("%s: %v, want %s alone", name, err, test.want)
		}
	}
	if _, err := collect.Sound(t.Context(), nil, []sources.Spec{spec("one", "k")}, env); !errors.Is(err, bundle.ErrUsage) {
		t.Errorf("an unknown kind: %v", err)
	}
}
