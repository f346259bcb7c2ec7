package export

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources/ledger"
)

// acknowledge records a receipt with these features.
func (b *bench) acknowledge(sequence int64, features ...string) {
	b.t.Helper()
	l, err := ledger.Open(b.t.Context(), filepath.Join(b.dir, ".gapbundle", "site"), "site", 0)
	if err != nil {
		b.t.Fatal(err)
	}
	if err := errors.Join(l.Acknowledge("", sequence, "key", features), l.Close()); err != nil {
		b.t.Fatal(err)
	}
}

// TestRequires: a root requires what its lists need, those that are held back
// among them, and plan and export say when the inside does not know it yet.
func TestRequires(t *testing.T) {
	w := &world{content: mixed(), digests: true, sizes: true}
	b := newBench(t, w, "one", "two")
	requires := func(change ...func(*Options)) []string {
		t.Helper()
		r := b.must(change...)
		m, err := readManifest(r.Dirs[0])
		if err != nil {
			t.Fatal(err)
		}
		return m.Requires
	}
	if got := requires(); !slices.Equal(got, []string{bundle.FeatureContents}) {
		t.Errorf("nothing is filled: requires %v", got)
	}
	b.acknowledge(1, bundle.FeatureContents)
	w.content["page"], w.filled = []byte("@BASE@"), "page"
	p, err := Plan(t.Context(), b.o)
	if err != nil {
		t.Fatal(err)
	}
	want := Outdated{Sequence: 1, Features: []string{bundle.FeatureFilled}}
	both := []string{bundle.FeatureContents, bundle.FeatureFilled}
	if p.Outdated == nil || p.Outdated.Sequence != want.Sequence || !slices.Equal(p.Outdated.Features, want.Features) || !slices.Equal(p.Requires, both) {
		t.Errorf("plan: %+v, %+v", p.Requires, p.Outdated)
	}
	r := b.must()
	if r.Outdated == nil {
		t.Error("the export does not say that the inside is too old")
	}
	b.acknowledge(2, both...)
	w.content = map[string][]byte{"other": []byte("x")}
	if got := requires(func(o *Options) { o.Only, o.AllowShrink = []string{"two"}, []string{"two"} }); !slices.Equal(got, both) {
		t.Errorf("one is held back: requires %v", got)
	}
	if p, err = Plan(t.Context(), b.o); err != nil || p.Outdated != nil {
		t.Errorf("after an update: %+v, %v", p, err)
	}
	w.content = map[string][]byte{"page": make([]byte, bundle.MaxFilledSize+1)}
	if _, err := b.run(); err == nil || !strings.Contains(err.Error(), "filled, with 1048577 bytes") {
		t.Errorf("too large: %v", err)
	}
}

// TestAnnotationsAlone: a change of what the root says about a repository, and of
// no file, makes a bundle that carries no list and no content; the same again none.
func TestAnnotationsAlone(t *testing.T) {
	w := &world{content: mixed(), digests: true, sizes: true}
	b := newBench(t, w)
	b.must()
	w.public = "https://upstream.example/a/"
	r := b.must()
	if r.Nothing || r.Volumes != 0 || r.Base != 1 {
		t.Fatalf("%+v", r)
	}
	m, err := readManifest(r.Dirs[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, repo := range m.Repositories {
		if !slices.Equal(repo.Carried, []string{bundle.CarriedContents}) { // short lists are always carried
			t.Errorf("%s carries %v", repo.Name, repo.Carried)
		}
		public, err := bundle.PublicOf(repo.Annotations)
		if err != nil || repo.Name == "one" && (len(public) != 1 || public[0].Path != "/a") {
			t.Errorf("%s: %+v, %v", repo.Name, public, err)
		}
	}
	b.acknowledge(1)
	for range 2 {
		if r := b.must(); !r.Nothing {
			t.Errorf("the same again: %+v", r)
		}
	}
}
