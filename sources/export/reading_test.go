package export_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/test/upstreamtest"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/export"
)

// indexed is a kind that reads the index that its entry names and carries nothing.
type indexed struct {
	specs []sources.Spec
	// choose is called after everything was read; nil: nothing is chosen.
	choose func(context.Context) error
}

func (k indexed) Plan(ctx context.Context, env *sources.Env) (*sources.Plan, error) {
	p := &sources.Plan{}
	for _, s := range k.specs {
		var o struct {
			URL string `yaml:"url"`
		}
		if err := s.Decode(&o); err != nil {
			return nil, err
		}
		if _, _, err := env.Fetch.ReadAll(ctx, o.URL+"/dists/Packages", 1<<20); err != nil {
			return nil, err
		}
		content := []byte(s.Name)
		a := sources.Artifact{
			File:     bundle.File{Path: s.Name, Size: int64(len(content)), Digest: bundle.DigestOf(content)},
			Evidence: bundle.Evidence{Path: s.Name, Origin: o.URL, Vouched: bundle.VouchedIndex}, Open: sources.InMemory(content, ""),
		}
		p.Repositories = append(p.Repositories, sources.Repository{Name: s.Name, Mount: "indexed/" + s.Name, Artifacts: sources.List([]sources.Artifact{a})})
	}
	if k.choose != nil {
		return p, k.choose(ctx)
	}
	return p, nil
}

// counted is a bundle.Progress that adds up.
type counted struct{ total, done atomic.Int64 }

func (c *counted) Grow(n int64) { c.total.Add(n) }
func (c *counted) Add(n int64)  { c.done.Add(n) }
func (c *counted) Item(string)  {}

// TestReadingIsTold: a plan tells which index of which source it reads, and how much, and
// afterwards that it chooses.
func TestReadingIsTold(t *testing.T) {
	up := upstreamtest.New(t)
	up.Put("/debian/dists/Packages", make([]byte, 3000))
	up.Put("/debian-security/dists/Packages", make([]byte, 500))
	dir := t.TempDir()
	spec := "version: 1\nname: tools\nsources:\n  - {name: main, kind: indexed, url: \"" + up.URL("/debian") + "\"}\n  - {name: security, kind: indexed, url: \"" + up.URL("/debian-security") + "\"}\n"
	if err := os.WriteFile(filepath.Join(dir, "s.yaml"), []byte(spec), 0o644); err != nil {
		t.Fatal(err)
	}
	type read struct {
		source, file string
		size         int64
	}
	var mu sync.Mutex
	var got []read
	progress := &counted{}
	chosen := make(chan string, 1)
	choose := func(ctx context.Context) error {
		select {
		case source := <-chosen:
			if source != "security" {
				t.Errorf("it chooses what %s carries, want security", source)
			}
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	kind := sources.Kind{
		Name: "indexed", Doc: "reads an index",
		Options: func() any {
			return new(struct {
				URL string `yaml:"url"`
			})
		},
		New: func(specs []sources.Spec) (sources.Source, error) { return indexed{specs, choose}, nil },
	}
	_, err := export.Plan(ctx, export.Options{
		SpecPath: filepath.Join(dir, "s.yaml"), Kinds: sources.Kinds{kind}, Progress: progress,
		Reading: func(source, file string, size int64) {
			mu.Lock()
			defer mu.Unlock()
			got = append(got, read{source, file, size})
		},
		Choosing: func(source string) { chosen <- source },
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := []read{{"main", "Packages", 3000}, {"security", "Packages", 500}}; !slices.Equal(got, want) {
		t.Errorf("told %v, want %v", got, want)
	}
	if progress.total.Load() != 3500 || progress.done.Load() != 3500 {
		t.Errorf("%d of %d bytes, want 3500 of 3500", progress.done.Load(), progress.total.Load())
	}
}
