package unpack_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/gapbundle/gapbundle/internal/test/bundletest"
	"github.com/gapbundle/gapbundle/unpack"
)

// P14: full = base + deltas, byte for byte, over random histories.
func TestRandomHistories(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		site := bundletest.New(t, "site")
		chain := newRig(t, site)
		own, common := map[string]string{}, map[string]string{}
		base := int64(0) // what the mirror has for certain
		for step := range rapid.IntRange(1, 5).Draw(rt, "steps") {
			mutate(rt, own)
			mutate(rt, common)
			repos := []bundletest.Repository{apt(own), shared("tools", common)}
			made := site.Export(t, repos, bundletest.Options{Base: base})
			if step > 0 && rapid.IntRange(0, 3).Draw(rt, "lost") == 0 {
				continue // lost on the way: the next builds on what is there
			}
			chain.receive(made.Dirs...)
			base = made.Manifest.Sequence
			if rapid.IntRange(0, 3).Draw(rt, "rollback") == 0 && step > 0 {
				_, _ = chain.Rollback(t.Context(), unpack.RollbackOptions{}) // or there is nothing to go back to
			}
			if rapid.IntRange(0, 3).Draw(rt, "gc") == 0 {
				if _, err := chain.GC(t.Context(), unpack.GCOptions{Keep: 1, Force: true}); err != nil {
					rt.Fatal(err)
				}
			}
		}
		repos := []bundletest.Repository{apt(own), shared("tools", common)}
		chain.receive(site.Export(t, repos, bundletest.Options{Base: base}).Dirs...)

		other := bundletest.New(t, "site")
		whole := newRig(t, other)
		whole.receive(other.Export(t, repos, bundletest.Options{Full: true}).Dirs...)
		if got, want := chain.contents(), whole.contents(); !maps.Equal(got, want) {
			rt.Fatalf("base and deltas: %s\nfull: %s", brief(got), brief(want))
		}
		chain.intact()
		whole.intact()
	})
}

// mutate adds, changes, renames and removes files, and adds some again that
// were there before: contents come from a small pool.
func mutate(rt *rapid.T, files map[string]string) {
	path := rapid.Custom(func(rt *rapid.T) string {
		return fmt.Sprintf("d%d/f%d", rapid.IntRange(0, 2).Draw(rt, "folder"), rapid.IntRange(0, 4).Draw(rt, "file"))
	})
	content := rapid.Custom(func(rt *rapid.T) string {
		return noise(fmt.Sprint(rapid.IntRange(0, 6).Draw(rt, "content")), rapid.SampledFrom([]int{0, 1, 700, 40000}).Draw(rt, "size"))
	})
	for range rapid.IntRange(0, 4).Draw(rt, "changes") {
		names := slices.Sorted(maps.Keys(files))
		what := rapid.IntRange(0, 3).Draw(rt, "what")
		switch {
		case what == 0 || len(names) == 0:
			files[path.Draw(rt, "path")] = content.Draw(rt, "content")
		case what == 1:
			files[rapid.SampledFrom(names).Draw(rt, "changed")] = content.Draw(rt, "content")
		case what == 2:
			from := rapid.SampledFrom(names).Draw(rt, "from")
			moved := files[from]
			delete(files, from)
			files[path.Draw(rt, "to")] = moved
		default:
			delete(files, rapid.SampledFrom(names).Draw(rt, "removed"))
		}
	}
}

// TestRollbackPassesOverTheSameState: a full bundle of what is published
// already is another generation with nothing new in it.
func TestRollbackPassesOverTheSameState(t *testing.T) {
	e := bundletest.New(t, "site")
	r := newRig(t, e)
	versions(t, r, e, 2)
	same := map[string]string{"static": "static", "index": "index 2", "v2": noise("2", 1000)}
	r.receive(e.Export(t, []bundletest.Repository{apt(same)}, bundletest.Options{}).Dirs...)
	for _, o := range []unpack.RollbackOptions{{Set: "site"}, {}} {
		if _, err := r.Rollback(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		want := version(1)
		if o.Set == "" {
			want = version(2) // and forwards
		}
		r.expect(want)
	}
}
