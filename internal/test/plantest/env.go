// Package plantest is what tests of sources share: an environment to plan in, a base
// that was recorded from a plan, and keys that sign an upstream's files. It is for
// tests only.
package plantest

import (
	"context"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/gapbundle/gapbundle/internal/decompress"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/strictyaml"
	"github.com/gapbundle/gapbundle/internal/test/upstreamtest"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/collect"
	"github.com/gapbundle/gapbundle/sources/config"
)

// Now returns the judging time of all plans in tests.
func Now() time.Time { return time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC) }

// NewEnv returns what a plan gets: a client that does not try twice, and an empty
// scratch. dir is the folder of the spec file; base may be nil.
func NewEnv(t testing.TB, dir string, base sources.Base) *sources.Env {
	t.Helper()
	client, err := fetch.New(fetch.Options{Env: func(string) string { return "" }, Home: dir, Retries: -1, Decode: decompress.Coding, Wait: func(context.Context, time.Duration) error { return nil }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	scratch, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = scratch.Close() }) // a folder of the test
	return &sources.Env{Set: "demo", Fetch: client, Base: base, Dir: dir, Now: Now(), Scratch: scratch, Log: slog.New(slog.DiscardHandler)}
}

// NewNamedEnv works like NewEnv, for tests that ask servers without a spec: those of the test's
// process that are up already count as named by it.
func NewNamedEnv(t testing.TB, dir string, base sources.Base) *sources.Env {
	t.Helper()
	env := NewEnv(t, dir, base)
	env.Fetch.Name(upstreamtest.Running())
	return env
}

// Load reads a spec of these sources, lines of YAML.
func Load(t testing.TB, dir, text string) []sources.Spec {
	t.Helper()
	name := filepath.Join(dir, "spec.yaml")
	if err := os.WriteFile(name, []byte("version: 1\nname: demo\nsources:\n"+text), 0o600); err != nil {
		t.Fatal(err)
	}
	spec, err := config.Load(name)
	if err != nil {
		t.Fatal(err)
	}
	return spec.Sources
}

// Plan plans a spec of one kind.
func Plan(t testing.TB, kind sources.Kind, env *sources.Env, text string) (*collect.Resolved, error) {
	t.Helper()
	return collect.Resolve(t.Context(), sources.Kinds{kind}, Load(t, env.Dir, text), env)
}

// Artifacts returns the artifacts of a planned repository by their paths.
func Artifacts(t testing.TB, r *collect.Resolved, name string) map[string]sources.Artifact {
	t.Helper()
	all := map[string]sources.Artifact{}
	for _, repo := range r.Repositories {
		if repo.Name != name {
			continue
		}
		for a, err := range repo.Artifacts() {
			if err != nil {
				t.Fatal(err)
			}
			all[a.File.Path] = a
		}
	}
	return all
}

// Base is what an export would have recorded, by repository and in order of paths.
type Base map[string][]sources.Recorded

// Files streams what was recorded of a repository.
func (b Base) Files(repo string) iter.Seq2[sources.Recorded, error] {
	return func(yield func(sources.Recorded, error) bool) {
		for _, r := range b[repo] {
			if !yield(r, nil) {
				return
			}
		}
	}
}

// Entries streams what was recorded by name.
func (b Base) Entries(repo string) (iter.Seq2[sources.NamedPath, error], bool) {
	return func(yield func(sources.NamedPath, error) bool) {
		for _, r := range b[repo] {
			if r.Entries != "" && !yield(sources.NamedPath{Path: r.File.Path, Entries: r.Entries}, nil) {
				return
			}
		}
	}, true
}

// Record returns the base that an export of a plan leaves.
func Record(t testing.TB, r *collect.Resolved) Base {
	t.Helper()
	all := Base{}
	for _, repo := range r.Repositories {
		for a, err := range repo.Artifacts() {
			if err != nil {
				t.Fatal(err)
			}
			all[repo.Name] = append(all[repo.Name], sources.Recorded{
				File: a.File, Origin: a.Evidence.Origin, Vouched: a.Evidence.Vouched, Reason: a.Evidence.Reason, Validator: a.Validator, Entries: a.Entries,
			})
		}
	}
	return all
}

// SourcesOf reads sources of one kind, lines of YAML as in a spec file but without the
// kind. dir is the folder of the spec file.
func SourcesOf(t testing.TB, kind, dir, text string) []sources.Spec {
	t.Helper()
	root, err := strictyaml.Parse("spec.yaml", []byte("sources:\n"+text))
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Sources []*strictyaml.Node `yaml:"sources"`
	}
	if err := root.Decode(&doc); err != nil {
		t.Fatal(err)
	}
	var specs []sources.Spec
	for _, n := range doc.Sources {
		own, rest := n.Split("name")
		var named struct {
			Name string `yaml:"name,required"`
		}
		if err := own.Decode(&named); err != nil {
			t.Fatal(err)
		}
		specs = append(specs, sources.Spec{Name: named.Name, Kind: kind, Dir: dir, At: n.Pos().String(), Decode: rest.Decode})
	}
	return specs
}
