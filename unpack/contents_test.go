package unpack_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/test/bundletest"
	"github.com/gapbundle/gapbundle/unpack"
)

func entry(name, version, path string) bundle.Entry {
	return bundle.Entry{Name: name, Version: version, Type: bundle.TypeDeb, Path: path}
}

// names returns those of the published repositories, in the order of the lists.
func (r *rig) names() (all []string) {
	r.t.Helper()
	g, err := r.Current()
	if err != nil {
		r.t.Fatal(err)
	}
	for _, set := range g.Sets {
		for _, repo := range set.Repositories {
			for e, err := range r.Names().Contents(repo.Repository) {
				if err != nil {
					r.t.Fatal(err)
				}
				all = append(all, repo.Name+": "+e.Name+" "+e.Version)
			}
		}
	}
	return all
}

// TestContentsAreKept: a mirror has the contents lists of every generation that it has,
// whether the last bundle carried them or an earlier one; gc keeps them too.
func TestContentsAreKept(t *testing.T) {
	e := bundletest.New(t, "site")
	r := newRig(t, e)
	one := apt(map[string]string{"pool/a.deb": "a", "pool/b.deb": "b"})
	one.Entries = []bundle.Entry{entry("b", "2", "pool/b.deb"), entry("a", "1", "pool/a.deb"), entry("b", "1", "pool/b.deb")}
	two := shared("slurm", map[string]string{"example.org/slurm.tar": "tar"})
	r.receive(e.Export(t, []bundletest.Repository{one, two}, bundletest.Options{}).Dirs...)
	first := []string{"debs: a 1", "debs: b 1", "debs: b 2"}
	if got := r.names(); !slices.Equal(got, first) {
		t.Errorf("got %q, want %q", got, first)
	}
	two.Entries = []bundle.Entry{entry("slurm", "", "example.org/slurm.tar")}
	made := e.Export(t, []bundletest.Repository{one, two}, bundletest.Options{})
	if carried := made.Manifest.Repositories[0].Carried; len(carried) > 0 {
		t.Fatalf("the second bundle carries %q again", carried)
	}
	r.receive(made.Dirs...)
	second := append(slices.Clone(first), "slurm: slurm ")
	if got := r.names(); !slices.Equal(got, second) {
		t.Errorf("got %q, want %q", got, second)
	}
	r.clock.t = r.clock.t.Add(48 * time.Hour)
	if _, err := r.GC(t.Context(), unpack.GCOptions{Keep: 1, Force: true}); err != nil {
		t.Fatal(err)
	}
	if got := r.names(); !slices.Equal(got, second) {
		t.Errorf("after gc: got %q, want %q", got, second)
	}
	// A program that wrote no such lists: what it said by name is gone with its bundle.
	one.Entries, two.Entries = nil, nil
	one.Files["pool/c.deb"] = "c"
	r.receive(e.Export(t, []bundletest.Repository{one, two}, bundletest.Options{}).Dirs...)
	if got := r.names(); len(got) > 0 {
		t.Errorf("no list, and %q", got)
	}
	r.intact()
}

// TestContentsOfAnotherFile: the gate refuses it, and nothing is published.
func TestContentsOfAnotherFile(t *testing.T) {
	e := bundletest.New(t, "site")
	r := newRig(t, e)
	one := apt(map[string]string{"pool/a.deb": "a"})
	bad := entry("a", "1", "pool/a.deb")
	bad.Digest = bundle.DigestOf([]byte("another"))
	one.Entries = []bundle.Entry{bad}
	_, err := r.Receive(t.Context(), e.Export(t, []bundletest.Repository{one}, bundletest.Options{}).Dirs, unpack.ImportOptions{})
	if !errors.Is(err, bundle.ErrMalformed) {
		t.Errorf("got %v", err)
	}
	if _, err := r.Current(); !errors.Is(err, bundle.ErrIncomplete) {
		t.Errorf("published: %v", err)
	}
}
