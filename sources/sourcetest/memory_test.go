package sourcetest

import (
	"context"
	"fmt"
	"iter"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/test/memtest"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/collect"
	"github.com/gapbundle/gapbundle/sources/config"
	"github.com/gapbundle/gapbundle/sources/export"
)

// The promise about memory, of docs/benchmarks.md: so much for an export, and so much
// for each blob.
const (
	promised        = 160 << 20 // bytes
	promisedPerBlob = 64        // bytes
)

// throngs works like Parcels, with n parcels a source, which it makes as they are requested: of
// three, one is known by its digest and size, one by its size, and one by neither.
func throngs(n int) sources.Kind {
	kind := Parcels()
	kind.New = func(specs []sources.Spec) (sources.Source, error) {
		s, err := newParcels(specs)
		if err != nil {
			return nil, err
		}
		return throng{s.(parcels), n}, nil
	}
	return kind
}

type throng struct {
	parcels
	n int
}

func (t throng) Plan(ctx context.Context, env *sources.Env) (*sources.Plan, error) {
	p, err := t.parcels.Plan(ctx, env)
	if err != nil {
		return nil, err
	}
	for i := range p.Repositories {
		name := p.Repositories[i].Name
		p.Repositories[i].Artifacts = func() iter.Seq2[sources.Artifact, error] {
			return func(yield func(sources.Artifact, error) bool) {
				for i := range t.n {
					if !yield(member(name, i), nil) {
						return
					}
				}
			}
		}
	}
	return p, nil
}

func member(repo string, i int) sources.Artifact {
	content := strings.Repeat(fmt.Sprintf("%s %d\n", repo, i), 4)
	a := sources.Artifact{
		File:     bundle.File{Path: fmt.Sprintf("d%04d/%07d", i/100, i), Size: -1},
		Evidence: bundle.Evidence{Origin: "memory:" + repo, Vouched: bundle.VouchedNone, Reason: "one of many"},
		Open: func(ctx context.Context, at int64, v string) (*bundle.Content, error) {
			return sources.InMemory([]byte(content), "")(ctx, at, v)
		},
	}
	if i%3 < 2 {
		a.File.Size = int64(len(content))
	}
	if i%3 == 0 {
		a.File.Digest = bundle.DigestOf([]byte(content))
	}
	return a
}

// TestMemory: 100,000 artifacts pass the survey and an export within the promise about
// memory, and take no more above what a tenth of them takes than what each blob may.
func TestMemory(t *testing.T) {
	const few, many = 10_000, 100_000
	const besides = 16 << 20 // bytes: how much garbage there is differs from run to run
	defer debug.SetGCPercent(debug.SetGCPercent(20))
	peaks := map[int]int64{}
	for _, n := range []int{few, many} {
		r := throngRig(t, n/2)
		spec, err := config.Load(filepath.Join(r.dir, specName))
		if err != nil {
			t.Fatal(err)
		}
		env, done := r.env()
		resolved, err := collect.Resolve(t.Context(), r.s.Kinds, spec.Sources, env)
		if err != nil {
			t.Fatal(err)
		}
		survey := memtest.HeapPeak(func() {
			s, err := resolved.Survey(collect.SurveyOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if total := s.Total(); total.Files != int64(n) {
				t.Fatalf("%d artifacts in the survey, want %d", total.Files, n)
			}
		})
		done()
		var res *export.Result
		peaks[n] = memtest.HeapPeak(func() {
			// The key is opened, as by a program: that takes more memory than a small export.
			if res, err = r.export(t.Context(), func(o *export.Options) { o.Signers = nil }); err != nil {
				t.Fatal(err)
			}
		})
		if res.Files <= int64(n) { // and the client file
			t.Errorf("%d files exported, want more than %d", res.Files, n)
		}
		t.Logf("%d artifacts: survey %d KiB, export %d KiB at most", n, survey>>10, peaks[n]>>10)
		if peak := max(survey, peaks[n]); peak > promised+promisedPerBlob*int64(n) {
			t.Errorf("%d artifacts: %d bytes at most, promised are %d and %d for each", n, peak, promised, promisedPerBlob)
		}
	}
	if grown := peaks[many] - peaks[few]; grown > promisedPerBlob*(many-few)+besides {
		t.Errorf("%d bytes more for %d more artifacts", grown, many-few)
	}
}

// throngRig has two sources of so many parcels.
func throngRig(t *testing.T, each int) *rig {
	t.Helper()
	s := fakeSuite()
	s.key = newKey(t)
	s.Kinds = sources.Kinds{throngs(each)}
	honest := s.New
	s.New = func(t *testing.T, dir string) *Upstream {
		up := honest(t, dir)
		entry := "  kind: parcels\n  base: " + up.Server.URL("/r/") + "\n  names: [p/3]\n"
		up.Sources = "- name: one\n" + entry + "- name: two\n" + entry
		return up
	}
	return newRig(t, s)
}
