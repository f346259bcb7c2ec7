package unpack_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/bundle/contents"
	"github.com/gapbundle/gapbundle/internal/test/bundletest"
	"github.com/gapbundle/gapbundle/unpack"
	"github.com/gapbundle/gapbundle/verify"
)

// told returns what summaries say, a line each.
func told(all []*contents.Summary) (lines []string) {
	for _, s := range all {
		lines = append(lines, fmt.Sprintf("%s: %d removed, %d changed, %d added", s.Set, s.Removed, s.Changed, s.Added))
		for _, c := range s.First {
			line := string(c.Kind) + " " + c.Name
			for _, v := range c.Before {
				line += " -" + v.Version
			}
			for _, v := range c.After {
				line += " +" + v.Version
			}
			lines = append(lines, line)
		}
		for _, r := range s.WithoutList {
			lines = append(lines, fmt.Sprintf("%s %d -> %d files", r.Repository, r.FilesBefore, r.FilesAfter))
		}
	}
	return lines
}

// TestChangesByName: a dry run, verify and the import itself say the same of what a
// bundle changes, and a rollback says the reverse.
func TestChangesByName(t *testing.T) {
	e := bundletest.New(t, "site")
	r := newRig(t, e)
	debs := apt(map[string]string{"pool/a.deb": "a", "pool/b.deb": "b", "pool/c.deb": "c"})
	debs.Entries = []bundle.Entry{entry("a", "1", "pool/a.deb"), entry("b", "1", "pool/b.deb"), entry("c", "1", "pool/c.deb")}
	r.receive(e.Export(t, []bundletest.Repository{debs}, bundletest.Options{}).Dirs...)
	debs.Files = map[string]string{"pool/a.deb": "a", "pool/b2.deb": "b two", "pool/d.deb": "d"}
	debs.Entries = []bundle.Entry{entry("a", "1", "pool/a.deb"), entry("b", "2", "pool/b2.deb"), entry("d", "1", "pool/d.deb")}
	made := e.Export(t, []bundletest.Repository{debs}, bundletest.Options{})
	want := []string{"site: 1 removed, 1 changed, 1 added", "removed c -1", "changed b -1 +2", "added d +1"}

	r.reopen(unpack.Options{DryRun: true})
	res, err := r.Receive(t.Context(), made.Dirs, unpack.ImportOptions{Changes: 20})
	if err != nil || !slices.Equal(told(res.Names), want) {
		t.Errorf("dry run: got %q, %v, want %q", told(res.Names), err, want)
	}
	r.reopen(unpack.Options{})
	if got := told([]*contents.Summary{r.brings(made)}); !slices.Equal(got, want) {
		t.Errorf("verify: got %q, want %q", got, want)
	}
	before, err := r.Current()
	if err != nil {
		t.Fatal(err)
	}
	res, err = r.Receive(t.Context(), made.Dirs, unpack.ImportOptions{Changes: 20})
	if err != nil || !slices.Equal(told(res.Names), want) {
		t.Errorf("import: got %q, %v, want %q", told(res.Names), err, want)
	}
	after, err := r.Rollback(t.Context(), unpack.RollbackOptions{})
	if err != nil {
		t.Fatal(err)
	}
	rolled, err := r.Generations()
	if err != nil {
		t.Fatal(err)
	}
	back, err := r.Names().Changes(t.Context(), &rolled[1], after, contents.All)
	if want := []string{"site: 1 removed, 1 changed, 1 added", "removed d -1", "changed b -2 +1", "added c +1"}; err != nil || !slices.Equal(told(back), want) {
		t.Errorf("rollback: got %q, %v, want %q", told(back), err, want)
	}
	if same, err := r.Names().Changes(t.Context(), before, after, 20); err != nil || len(same) > 0 {
		t.Errorf("the content of generation 1 again: %q, %v", told(same), err)
	}
	if none, err := r.Names().Changes(t.Context(), nil, after, 0); err != nil || none != nil {
		t.Errorf("none asked for: %q, %v", told(none), err)
	}
}

// brings returns what verify says of a bundle.
func (r *rig) brings(made bundletest.Made) *contents.Summary {
	r.t.Helper()
	policy, err := r.Trust().Policy()
	if err != nil {
		r.t.Fatal(err)
	}
	readers, err := bundle.Discover(made.Dirs)
	if err != nil {
		r.t.Fatal(err)
	}
	defer readers[0].Close()
	b, _, err := verify.Open(r.t.Context(), readers[0], verify.Options{Policy: policy, Receiver: r.Receiver(), Now: r.clock.t})
	if err != nil {
		r.t.Fatal(err)
	}
	s, err := r.Names().Brings(r.t.Context(), b, 20)
	if err := errors.Join(err, b.Close()); err != nil {
		r.t.Fatal(err)
	}
	return s
}

// TestChangesWithoutNames: between a bundle of a program that knew no contents lists and
// one with such a list only files are counted, and no name is called new.
func TestChangesWithoutNames(t *testing.T) {
	e := bundletest.New(t, "site")
	r := newRig(t, e)
	debs := apt(map[string]string{"pool/a.deb": "a"})
	r.receive(e.Export(t, []bundletest.Repository{debs}, bundletest.Options{}).Dirs...)
	debs.Files["pool/b.deb"] = "b"
	debs.Entries = []bundle.Entry{entry("a", "1", "pool/a.deb"), entry("b", "1", "pool/b.deb")}
	made := e.Export(t, []bundletest.Repository{debs}, bundletest.Options{})
	res, err := r.Receive(t.Context(), made.Dirs, unpack.ImportOptions{Changes: 20})
	if want := []string{"site: 0 removed, 0 changed, 0 added", "debs 1 -> 2 files"}; err != nil || !slices.Equal(told(res.Names), want) {
		t.Errorf("got %q, %v, want %q", told(res.Names), err, want)
	}
}

// TestChangesWithADamagedList: what was published stays published, and a note says what
// is not known.
func TestChangesWithADamagedList(t *testing.T) {
	e := bundletest.New(t, "site")
	r := newRig(t, e)
	debs := apt(map[string]string{"pool/a.deb": "a"})
	debs.Entries = []bundle.Entry{entry("a", "1", "pool/a.deb")}
	first := e.Export(t, []bundletest.Repository{debs}, bundletest.Options{})
	r.receive(first.Dirs...)
	list, err := bundle.ParseDigest(string(first.Manifest.Repositories[0].Contents.Digest))
	if err != nil {
		t.Fatal(err)
	}
	kept, err := filepath.Glob(filepath.Join(r.dir, "state", "lists", "*", "*", list.Hex()))
	if err != nil || len(kept) != 1 {
		t.Fatal(kept, err)
	}
	if err := os.Chmod(kept[0], 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(kept[0], nil, 0o644); err != nil {
		t.Fatal(err)
	}
	debs.Files["pool/b.deb"] = "b"
	debs.Entries = append(debs.Entries, entry("b", "1", "pool/b.deb"))
	made := e.Export(t, []bundletest.Repository{debs}, bundletest.Options{Full: true})
	res, err := r.Receive(t.Context(), made.Dirs, unpack.ImportOptions{Changes: 20})
	if err != nil || res.Generation != 2 || !strings.Contains(strings.Join(res.Notes, "\n"), "what changed by name is not known") {
		t.Errorf("%+v, %v", res, err)
	}
	r.intact()
}
