package export

import (
	"fmt"
	"slices"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/bundle/contents"
	"github.com/gapbundle/gapbundle/sources"
)

// told returns what summaries say, a line for each change.
func told(all []*contents.Summary) (lines []string) {
	for _, s := range all {
		lines = append(lines, fmt.Sprintf("%s: %d removed, %d changed, %d added", s.Set, s.Removed, s.Changed, s.Added))
		for _, c := range s.First {
			line := string(c.Kind) + " " + c.Name
			for i, side := range [][]contents.Version{c.Before, c.After} {
				for _, v := range side {
					line += fmt.Sprintf(" %c%s@%s", "-+"[i], v.Version, v.Repository)
				}
			}
			if c.Older {
				line += " older"
			}
			lines = append(lines, line)
		}
	}
	return lines
}

// TestChanges: a plan and the export after it say the same of what changes by name,
// compared with the base, and for a full bundle with what a delta would build on.
func TestChanges(t *testing.T) {
	w := &world{content: map[string][]byte{"a": []byte("1"), "b": []byte("2"), "c": []byte("1"), "e": []byte("1")}, digests: true, sizes: true}
	w.named = func(path string, content []byte) sources.Entry {
		return sources.Entry{Name: path, Type: bundle.TypeFile, Version: string(content)}
	}
	b := newBench(t, w, "one")
	b.o.Changes = 20
	same := func(want []string, change ...func(*Options)) {
		t.Helper()
		o := b.o
		for _, c := range change {
			c(&o)
		}
		p, err := Plan(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		if got := told(p.Names); !slices.Equal(got, want) {
			t.Errorf("plan: got %q, want %q", got, want)
		}
		if got := told(b.must(change...).Names); !slices.Equal(got, want) {
			t.Errorf("export: got %q, want %q", got, want)
		}
	}
	same([]string{"site: 0 removed, 0 changed, 4 added", "added a +1@one", "added b +2@one", "added c +1@one", "added e +1@one"})
	w.content = map[string][]byte{"a": []byte("1"), "b": []byte("1"), "d": []byte("1"), "e": []byte("2")}
	want := []string{"site: 1 removed, 2 changed, 1 added", "removed c -1@one", "changed b -2@one +1@one older", "changed e -1@one +2@one", "added d +1@one"}
	full := func(o *Options) { o.Full = true }
	same(want, full)
	if r := b.must(); !r.Nothing || len(r.Names) > 0 {
		t.Errorf("nothing new: %q", told(r.Names))
	}
	w.content = map[string][]byte{"a": []byte("1"), "b": []byte("1"), "e": []byte("2")}
	same([]string{"site: 1 removed, 0 changed, 0 added", "removed d -1@one"})
	w.content = map[string][]byte{"a": []byte("1")}
	same(nil, func(o *Options) { o.Changes = 0 })
}

// TestContentsOfASpec: what a spec names is listed before anything is fetched.
func TestContentsOfASpec(t *testing.T) {
	w := &world{content: map[string][]byte{"a": []byte("1"), "b": []byte("2")}}
	w.named = func(path string, content []byte) sources.Entry {
		return sources.Entry{Name: path, Type: bundle.TypeFile, Version: string(content)}
	}
	b := newBench(t, w, "one", "two")
	repos, done, err := Contents(t.Context(), b.o)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := done(); err != nil {
			t.Error(err)
		}
	}()
	var got []string
	for f, err := range contents.Merge(repos) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, f.Name+" "+f.Version+" "+f.Repository.Name)
	}
	if want := []string{"a 1 one", "a 1 two", "b 2 one", "b 2 two"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if w.opened.Load() > 0 {
		t.Error("something was fetched")
	}
}

// TestFolderChanges: a folder has changed where any of its files has, for the plan too, and
// not otherwise.
func TestFolderChanges(t *testing.T) {
	w := &world{content: map[string][]byte{"a": []byte("1"), "b": []byte("2"), "z": []byte("1")}, digests: true, sizes: true}
	w.named = func(path string, content []byte) sources.Entry {
		if path == "z" {
			return sources.Entry{Name: "all", Type: bundle.TypeFolder, Summary: "3 files"}
		}
		return sources.Entry{Name: path, Type: bundle.TypeFile, Version: "1"}
	}
	b := newBench(t, w, "one")
	b.o.Changes = 20
	said := func() (plan, export []string) {
		t.Helper()
		p, err := Plan(t.Context(), b.o)
		if err != nil {
			t.Fatal(err)
		}
		return told(p.Names), told(b.must().Names)
	}
	said()
	w.content["a"] = []byte("2") // the last file, sizes and numbers are as before
	want := []string{"site: 0 removed, 2 changed, 0 added", "changed a -1@one +1@one", "changed all -@one +@one"}
	if plan, export := said(); !slices.Equal(plan, want) || !slices.Equal(export, want) {
		t.Errorf("plan: %q, export: %q, want %q", plan, export, want)
	}
	if plan, export := said(); len(export) > 0 || !slices.Equal(plan, []string{"site: 0 removed, 0 changed, 0 added"}) {
		t.Errorf("nothing has changed; plan: %q, export: %q", plan, export)
	}
}
