package unpack_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/test/bundletest"
	"github.com/gapbundle/gapbundle/unpack"
)

func TestImportPublishesWhatTheListsSay(t *testing.T) {
	e := bundletest.New(t, "site")
	r := newRig(t, e)
	big := noise("big", 3<<20)
	made := e.Export(t, []bundletest.Repository{
		apt(map[string]string{"dists/stable/Release": "release", "pool/a.deb": big, "pool/empty": ""}),
		shared("slurm", map[string]string{"example.org/slurm.tar": "tar", "example.org/again.tar": "tar"}),
	}, bundletest.Options{})
	res := r.receive(made.Dirs...)
	if got := outcomes(res); !slices.Equal(got, []string{"site-000001 imported"}) {
		t.Errorf("outcomes %v", got)
	}
	if res.Generation != 1 || res.Files != 5 || res.Bytes != int64(len(big))+7+6 {
		t.Errorf("result %+v", res)
	}
	r.expect(map[string]string{
		"apt/debs/dists/stable/Release": "release", "apt/debs/pool/a.deb": big, "apt/debs/pool/empty": "",
		"files/example.org/slurm.tar": "tar", "files/example.org/again.tar": "tar",
	})
	r.intact()
	for name, s := range r.served() {
		if !s.mtime.Equal(r.clock.t) {
			t.Errorf("%s: time %s, want that of the publish, %s", name, s.mtime, r.clock.t)
		}
	}
	receipt, err := r.Receipt("site")
	if err != nil {
		t.Fatal(err)
	}
	signed, err := bundle.ParseReceipt(receipt)
	if err != nil {
		t.Fatal(err)
	}
	pub, id, err := signed.Key()
	if err != nil {
		t.Fatal(err)
	}
	claims, err := signed.Verify(pub)
	if err != nil {
		t.Fatal(err)
	}
	if claims.Root != made.Root || claims.State != made.Manifest.State || claims.Sequence != 1 {
		t.Errorf("receipt says %+v", claims)
	}
	st, err := r.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if st.ReceiptKey != id || len(st.Sets) != 1 || st.Sets[0].Sequence != 1 || st.Sets[0].Accepted != 1 || st.Sets[0].State != made.Manifest.State {
		t.Errorf("status %+v", st)
	}
	if code := made.Manifest.State.Hex()[:10]; st.Sets[0].Code != code {
		t.Errorf("code %q, want %q", st.Sets[0].Code, code)
	}
}

func TestModesDoNotDependOnTheUmask(t *testing.T) {
	defer umask(umask(0o077))
	e := bundletest.New(t, "site")
	r := newRig(t, e)
	made := e.Export(t, []bundletest.Repository{
		apt(map[string]string{"pool/a.deb": "a"}), shared("slurm", map[string]string{"example.org/x/y": "y"}),
	}, bundletest.Options{})
	r.receive(made.Dirs...)
	next := e.Export(t, []bundletest.Repository{apt(map[string]string{"pool/b.deb": "a"})}, bundletest.Options{})
	r.receive(next.Dirs...) // b.deb is a copy: other name, old blob
	for _, dir := range []string{"blobs", "trees", "generations"} {
		err := filepath.WalkDir(filepath.Join(r.dir, dir), func(name string, e os.DirEntry, err error) error {
			if err != nil || e.Type()&os.ModeSymlink != 0 {
				return err
			}
			fi, err := e.Info()
			if err != nil {
				return err
			}
			if m := fi.Mode().Perm(); e.IsDir() && m != 0o755 || !e.IsDir() && m != 0o444 && m != 0o644 {
				t.Errorf("%s: mode %v", name, m)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
	fi, err := os.Stat(filepath.Join(r.dir, "state"))
	if err != nil || fi.Mode().Perm() != 0o700 {
		t.Errorf("state: %v, %v, want 0700", fi.Mode(), err)
	}
}

// Apache and nginx compare modification times: P10 of the times in
// docs/design.md.
func TestTimesFollowContent(t *testing.T) {
	e := bundletest.New(t, "site")
	r := newRig(t, e)
	hash := bundle.DigestOf([]byte("named")).Hex()
	first := e.Export(t, []bundletest.Repository{apt(map[string]string{
		"same": "same", "changes": "one", "moves": "content", "by-hash/" + hash: "named",
	}), shared("tools", map[string]string{"h/same": "s", "h/changes": "1"})}, bundletest.Options{})
	r.receive(first.Dirs...)
	t1 := r.clock.t
	second := e.Export(t, []bundletest.Repository{apt(map[string]string{
		"same": "same", "changes": "two", "moved": "content", "elsewhere/" + hash: "named", "new": "new",
	}), shared("tools", map[string]string{"h/same": "s", "h/changes": "2"})}, bundletest.Options{})
	r.receive(second.Dirs...)
	t2 := r.clock.t
	want := map[string]time.Time{
		"apt/debs/same": t1, "apt/debs/changes": t2, "apt/debs/new": t2, "files/h/same": t1, "files/h/changes": t2,
		"apt/debs/moved":             t2, // the content is old, the path has it since now
		"apt/debs/elsewhere/" + hash: t1, // can never have other content
	}
	got := r.served()
	for name, at := range want {
		if !got[name].mtime.Equal(at) {
			t.Errorf("%s: %s, want %s", name, got[name].mtime, at)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d files served, want %d", len(got), len(want))
	}
	r.intact()

	// A publish within the same second, and one with a clock that was set
	// back, still get later times.
	r.clock.t = t1.Add(-48 * time.Hour)
	third := e.Export(t, []bundletest.Repository{apt(map[string]string{"changes": "one"})}, bundletest.Options{})
	r.receive(third.Dirs...)
	if at := r.served()["apt/debs/changes"].mtime; !at.Equal(t2.Add(time.Second)) {
		t.Errorf("after the clock was set back: %s, want %s", at, t2.Add(time.Second))
	}
}

func TestUnchangedRepositoryKeepsItsTree(t *testing.T) {
	e := bundletest.New(t, "site")
	r := newRig(t, e)
	debs := apt(map[string]string{"pool/a.deb": "a"})
	r.receive(e.Export(t, []bundletest.Repository{debs}, bundletest.Options{}).Dirs...)
	r.receive(e.Export(t, []bundletest.Repository{debs, shared("new", map[string]string{"h/x": "x"})}, bundletest.Options{}).Dirs...)
	g, err := r.Generations()
	if err != nil {
		t.Fatal(err)
	}
	if len(g) != 2 || g[0].Sets[0].Repositories[0].Tree != 1 || g[1].Sets[0].Repositories[0].Tree != 1 || g[1].NextTree != 2 {
		t.Errorf("generations %+v", g)
	}
	r.intact()
}

// TestImportTellsChanges: an import says what becomes of the files of each repository.
func TestImportTellsChanges(t *testing.T) {
	e := bundletest.New(t, "site")
	r := newRig(t, e)
	debs, gone := apt(map[string]string{"pool/a.deb": "a", "pool/b.deb": "b", "pool/c.deb": "c"}), shared("old", map[string]string{"h/x": "x"})
	if res := r.receive(e.Export(t, []bundletest.Repository{debs, gone}, bundletest.Options{}).Dirs...); len(res.Changes) > 0 {
		t.Errorf("the first import: %+v", res.Changes)
	}
	r.receipted("files added=4", "files added in old=1", "files changed=0", "files removed=0", "files added in "+debs.Name+"=3")
	next := []bundletest.Repository{apt(map[string]string{"pool/a.deb": "A", "pool/d.deb": "d"}), shared("new", map[string]string{"h/y": "y"})}
	res := r.receive(e.Export(t, next, bundletest.Options{}).Dirs...)
	want := []unpack.RepositoryChanges{
		{Set: "site", Repository: next[0].Name, Changes: bundle.Changes{Added: 1, Changed: 1, Removed: 2, Before: 3}},
		{Set: "site", Repository: "new", Changes: bundle.Changes{Added: 1}},
		{Set: "site", Repository: "old", Changes: bundle.Changes{Removed: 1, Before: 1}},
	}
	if !slices.Equal(res.Changes, want) {
		t.Errorf("%+v, want %+v", res.Changes, want)
	}
	r.receipted("files added=2", "files changed=1", "files removed=3", "files added in new=1", "files removed in old=1", "files changed in "+debs.Name+"=1", "files removed in "+debs.Name+"=2")
	if res := r.receive(e.Export(t, next, bundletest.Options{}).Dirs...); len(res.Changes) > 0 {
		t.Errorf("the same again: %+v", res.Changes)
	}
}

// receipted looks for counts in the newest receipt.
func (r *rig) receipted(want ...string) {
	r.t.Helper()
	receipt, err := r.Receipt("site")
	if err != nil {
		r.t.Fatal(err)
	}
	signed, err := bundle.ParseReceipt(receipt)
	if err != nil {
		r.t.Fatal(err)
	}
	var have []string
	for _, c := range signed.Claims.Checks {
		have = append(have, fmt.Sprintf("%s=%d", c.Name, c.Count))
	}
	if !slices.IsSortedFunc(signed.Claims.Checks, func(a, b bundle.CheckCount) int { return strings.Compare(a.Name, b.Name) }) {
		r.t.Errorf("not in order: %q", have)
	}
	for _, one := range want {
		if !slices.Contains(have, one) {
			r.t.Errorf("the receipt has %q, not %s", have, one)
		}
	}
}

func TestTheSameTwiceIsANoOp(t *testing.T) {
	e := bundletest.New(t, "site")
	r := newRig(t, e)
	first := e.Export(t, []bundletest.Repository{apt(map[string]string{"a": "a"})}, bundletest.Options{})
	second := e.Export(t, []bundletest.Repository{apt(map[string]string{"a": "b"})}, bundletest.Options{})
	r.receive(first.Dirs...)
	r.receive(second.Dirs...)
	before := treeOf(t, r.dir)
	for _, made := range []bundletest.Made{first, second} { // at any number
		res := r.receive(made.Dirs...)
		if len(res.Bundles) != 1 || res.Bundles[0].Outcome != unpack.AlreadyImported || res.Bundles[0].Receipt == "" || res.Generation != 0 {
			t.Errorf("%+v", res)
		}
	}
	if after := treeOf(t, r.dir); !sameTree(before, after) {
		t.Error("something was touched")
	}
}
