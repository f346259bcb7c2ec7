package sourcetest

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
)

// names: a kind has an entry for each thing that its Check counts, of a file that is
// there, and with all of its versions ranked or none. A plan that the base stands for
// returns the list that a plan from upstream's metadata has.
func names(t *testing.T, s Suite) {
	r := newRig(t, s)
	in := newInside(r)
	in.receive(r.must())
	in.named(s)
	before := in.contentsLists()
	r.next(2)
	in.receive(r.must())
	in.named(s)
	recalled := in.contentsLists()
	changed := false
	for name, list := range recalled {
		changed = changed || before[name] != list
	}
	if !changed {
		t.Error("state two has the names of state one")
	}
	r.forgetEntries()
	in.receive(r.must(full))
	for name, list := range in.contentsLists() {
		if recalled[name] != list {
			t.Errorf("source %s: the list of a delta is\n%s\nread from upstream again it is\n%s", name, recalled[name], list)
		}
	}
}

// named looks at the contents lists of the published generation. The gate has compared
// them with the other lists already.
func (in *inside) named(s Suite) {
	in.t.Helper()
	g, err := in.Current()
	if err != nil {
		in.t.Fatal(err)
	}
	things := map[string]bool{}
	counted := int64(0)
	for _, set := range g.Sets {
		for _, repo := range set.Repositories {
			if repo.Contents == nil {
				in.t.Errorf("source %s has no contents list", repo.Name)
			}
			if repo.Kind != s.Kinds[0].Name {
				continue
			}
			counted = 0 // every repository has the counts of its kind
			for _, c := range repo.Checks {
				if slices.Contains(strings.Split(s.Counted, "+"), c.Name) {
					counted += c.Count
				}
			}
			for e, err := range in.Names().Contents(repo.Repository) {
				if err != nil {
					in.t.Fatal(err)
				}
				if e.Type != bundle.TypeFolder { // its files are counted
					things[e.Name+"\x00"+e.Type+"\x00"+e.Version+"\x00"+e.Arch+"\x00"+e.Group+"\x00"+e.Path] = true
				}
				if ranked := s.Kinds[0].Compare != nil; ranked != (e.Rank > 0) {
					in.t.Errorf("source %s: entry %s %s has rank %d", repo.Name, e.Name, e.Version, e.Rank)
				}
			}
		}
	}
	switch {
	case len(things) == 0:
		in.t.Errorf("nothing of kind %s has a name", s.Kinds[0].Name)
	case s.Kinds[0].Check != nil && int64(len(things)) != counted:
		in.t.Errorf("%d things have a name, Check counts %d %s: %v", len(things), counted, s.Counted, slices.Sorted(maps.Keys(things)))
	}
}

// contentsLists returns the published contents lists, but for how entries are vouched for: what
// is seen for the first time is pinned from then on.
func (in *inside) contentsLists() map[string]string {
	in.t.Helper()
	g, err := in.Current()
	if err != nil {
		in.t.Fatal(err)
	}
	all := map[string]string{}
	for _, set := range g.Sets {
		for _, repo := range set.Repositories {
			for e, err := range in.Names().Contents(repo.Repository) {
				if err != nil {
					in.t.Fatal(err)
				}
				e.Vouched = ""
				all[repo.Name] += fmt.Sprintf("%+v\n", e)
			}
		}
	}
	return all
}

// forgetEntries leaves the exporter what a program knew that kept no entries.
func (r *rig) forgetEntries() {
	r.t.Helper()
	gone := 0
	err := filepath.WalkDir(r.dir, func(name string, e fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(name, ".entries.jsonl") {
			gone++
			err = os.Remove(name)
		}
		return err
	})
	if err != nil || gone == 0 {
		r.t.Fatalf("%d files of entries are in %s: %v", gone, r.dir, err)
	}
}
