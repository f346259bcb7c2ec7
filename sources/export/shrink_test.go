package export

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
)

// numbered returns n files.
func numbered(n int) map[string][]byte {
	all := map[string][]byte{}
	for i := range n {
		all[fmt.Sprintf("pool/p%02d", i)] = noise(uint64(i), 100)
	}
	return all
}

// TestChangesAreTold: plan and export say what becomes of the files of the base, also of
// those whose content nobody knows before, and what is made late is no loss.
func TestChangesAreTold(t *testing.T) {
	for name, w := range map[string]*world{
		"digests": {content: numbered(10), digests: true, sizes: true},
		"sizes":   {content: numbered(10), sizes: true},
		"late":    {content: numbered(10), digests: true, sizes: true, late: func(paths []string) []byte { return []byte(strings.Join(paths, "\n")) }},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, w)
			if first := b.must(); len(first.Changes) > 0 {
				t.Errorf("the first export: %+v", first.Changes)
			}
			w.content = maps.Clone(w.content)
			delete(w.content, "pool/p03")
			delete(w.content, "pool/p09")
			w.content["pool/p04"], w.content["new"] = noise(99, 100), noise(98, 100)
			want := bundle.Changes{Added: 1, Changed: 1, Removed: 2, Before: 10}
			if !w.digests {
				want.Changed = 0
			}
			report, err := Plan(context.Background(), b.o)
			if err != nil || report.Sources[0].Changes != want || report.Total.Changes != want || len(report.Shrunk) > 0 {
				t.Errorf("plan: %+v %v", report, err)
			}
			if r := b.must(); len(r.Changes) != 1 || r.Changes[0] != (SourceChanges{"one", want}) {
				t.Errorf("export: %+v, want %+v", r.Changes, want)
			}
		})
	}
}

// TestShrunk: an upstream that lost most of its files stops the export, and the operator
// who lets it pass is on record.
func TestShrunk(t *testing.T) {
	w := &world{content: numbered(12), digests: true, sizes: true}
	b := newBench(t, w)
	b.must()
	w.content = numbered(8) // a third is less than 40 %
	b.must()
	w.content = numbered(4) // a half
	report, err := Plan(context.Background(), b.o)
	if err != nil || len(report.Shrunk) > 0 {
		t.Errorf("four files of eight: %+v %v", report, err) // fewer than five are never stopped
	}
	w.content = map[string][]byte{}
	report, err = Plan(context.Background(), b.o)
	if want := (Shrunk{Source: "one", Before: 8}); err != nil || len(report.Shrunk) != 1 || report.Shrunk[0] != want {
		t.Errorf("plan of nothing: %+v %v", report, err)
	}
	before, err := os.ReadDir(b.medium)
	if err != nil {
		t.Fatal(err)
	}
	_, err = Run(context.Background(), b.o)
	if !errors.Is(err, bundle.ErrUsage) || !strings.Contains(err.Error(), "one: has 0 files and had 8") || !strings.Contains(err.Error(), "--allow-shrink one") {
		t.Errorf("export of nothing: %v", err)
	}
	if after, err := os.ReadDir(b.medium); err != nil || len(after) != len(before) {
		t.Errorf("the medium has %v, %v", after, err)
	}
	o := b.o
	o.AllowShrink = []string{"two"}
	if _, err := Run(context.Background(), o); !errors.Is(err, bundle.ErrUsage) || !strings.Contains(err.Error(), `--allow-shrink: source "two": not in the spec`) {
		t.Errorf("a source that is none: %v", err)
	}
	r := b.must(func(o *Options) { o.AllowShrink = []string{"one"} })
	m, err := readManifest(filepath.Join(r.Dirs[0]))
	if err != nil || !slices.Equal(m.Overrides, []string{"allow-shrink one"}) || r.Changes[0].Removed != 8 {
		t.Errorf("%v %v %+v", m.Overrides, err, r.Changes)
	}
	w.content = numbered(3)
	if r = b.must(func(o *Options) { o.AllowShrink = []string{"one"} }); len(r.Dirs) == 0 {
		t.Fatal(r)
	}
	if m, err = readManifest(r.Dirs[0]); err != nil || len(m.Overrides) > 0 {
		t.Errorf("recorded without need: %v %v", m.Overrides, err)
	}
}

// TestWeakKeysAreRecorded: a weak key that the spec allows is on record in the root, while a
// source has it.
func TestWeakKeysAreRecorded(t *testing.T) {
	print := strings.Repeat("0A", 20)
	w := &world{content: numbered(2), digests: true, sizes: true, weak: print}
	b := newBench(t, w)
	if _, err := b.run(); !errors.Is(err, fetch.ErrRefused) {
		t.Fatalf("a weak key that the spec does not have: %v", err)
	}
	spec, err := os.ReadFile(b.o.SpecPath)
	if err == nil {
		err = os.WriteFile(b.o.SpecPath, append(spec, "allow-weak-key: "+strings.ToLower(print)+"\n"...), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	for weak, want := range map[string][]string{print: {"allow-weak-key " + print}, "": nil} {
		w.weak = weak
		w.content["new"] = []byte("new" + weak)
		m, err := readManifest(b.must().Dirs[0])
		if err != nil || !slices.Equal(m.Overrides, want) {
			t.Errorf("overrides %q, %v; want %q", m.Overrides, err, want)
		}
	}
}
