package unpack_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gofrs/flock"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/test/bundletest"
	"github.com/gapbundle/gapbundle/unpack"
	"github.com/gapbundle/gapbundle/verify"
)

// versions imports n states of one file.
func versions(t *testing.T, r *rig, e *bundletest.Exporter, n int) {
	t.Helper()
	for i := 1; i <= n; i++ {
		r.receive(e.Export(t, []bundletest.Repository{apt(map[string]string{
			"static": "static", "index": fmt.Sprint("index ", i), fmt.Sprint("v", i): noise(fmt.Sprint(i), 1000),
		})}, bundletest.Options{}).Dirs...)
	}
}

func version(i int) map[string]string {
	return map[string]string{
		"apt/debs/static": "static", "apt/debs/index": fmt.Sprint("index ", i), fmt.Sprint("apt/debs/v", i): noise(fmt.Sprint(i), 1000),
	}
}

func TestRollbackIsAPublish(t *testing.T) {
	e := bundletest.New(t, "site")
	r := newRig(t, e)
	versions(t, r, e, 3)
	before := r.served()
	r.clock.t = r.clock.t.Add(time.Hour)
	g, err := r.Rollback(t.Context(), unpack.RollbackOptions{To: 1})
	if err != nil {
		t.Fatal(err)
	}
	if g.Number != 4 {
		t.Errorf("number %d, want 4", g.Number)
	}
	r.expect(version(1))
	after := r.served()
	for _, name := range []string{"apt/debs/index", "apt/debs/v1"} {
		if !after[name].mtime.Equal(r.clock.t) {
			t.Errorf("%s: time %s, want that of the rollback", name, after[name].mtime)
		}
	}
	if !after["apt/debs/static"].mtime.Equal(before["apt/debs/static"].mtime) {
		t.Error("an unchanged file got another time")
	}
	if _, err = r.Rollback(t.Context(), unpack.RollbackOptions{}); err != nil { // and forwards
		t.Fatal(err)
	}
	r.expect(version(3))
	if g, err = r.Rollback(t.Context(), unpack.RollbackOptions{Set: "site", To: 2}); err != nil {
		t.Fatal(err)
	}
	r.expect(version(2))
	r.intact()
	if got := g.Sets[0]; got.Sequence != 2 || got.Accepted != 3 {
		t.Errorf("published %d, ratchet %d; want 2 and 3", got.Sequence, got.Accepted)
	}
	for _, o := range []unpack.RollbackOptions{{To: 99}, {To: -1}, {Set: "nobody", To: 1}} {
		if _, err := r.Rollback(t.Context(), o); !errors.Is(err, bundle.ErrUsage) {
			t.Errorf("%+v: %v, want ErrUsage", o, err)
		}
	}
	if again, err := r.Rollback(t.Context(), unpack.RollbackOptions{To: 2}); err != nil || again.Number != g.Number {
		t.Errorf("what is published already: %+v, %v", again, err)
	}
	// The next delta builds on what was accepted, not on what is published.
	r.receive(e.Export(t, []bundletest.Repository{apt(map[string]string{"v3": noise("3", 1000)})}, bundletest.Options{Base: 3}).Dirs...)
	r.expect(map[string]string{"apt/debs/v3": noise("3", 1000)})
}

func TestPreviousIsTheGenerationBefore(t *testing.T) {
	e := bundletest.New(t, "site")
	r := newRig(t, e)
	versions(t, r, e, 2)
	for link, want := range map[string]string{"current": "index 2", "previous": "index 1"} {
		if got := readFile(t, filepath.Join(r.dir, link, "apt/debs/index")); got != want {
			t.Errorf("%s: %q, want %q", link, got, want)
		}
	}
}

func TestGC(t *testing.T) {
	e := bundletest.New(t, "site")
	r := newRig(t, e)
	versions(t, r, e, 6)
	r.clock.t = r.clock.t.Add(48 * time.Hour)
	if _, err := r.GC(t.Context(), unpack.GCOptions{Keep: 1}); !errors.Is(err, bundle.ErrUsage) {
		t.Errorf("more than 40 %% without force: %v", err)
	}
	if g, err := r.Generations(); err != nil || len(g) != 6 {
		t.Fatalf("%d generations, %v: something was removed", len(g), err)
	}
	res, err := r.GC(t.Context(), unpack.GCOptions{Keep: 1, Force: true})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(res.Generations, []int{1, 2, 3, 4}) { // 6 is current, servers fall back to 5
		t.Errorf("removed %v", res.Generations)
	}
	if res.Blobs != 8 || res.Trees != 4 || res.Lists == 0 {
		t.Errorf("removed %+v, want 8 blobs of 4 trees", res)
	}
	for dir, want := range map[string]int{"generations": 2, "trees": 2} {
		if left, err := os.ReadDir(filepath.Join(r.dir, dir)); err != nil || len(left) != want {
			t.Errorf("%s: %v, %v; want %d", dir, left, err, want)
		}
	}
	r.expect(version(6))
	r.intact()
	if got := readFile(t, filepath.Join(r.dir, "previous/apt/debs/index")); got != "index 5" {
		t.Errorf("previous: %q", got)
	}
	if _, err := r.Rollback(t.Context(), unpack.RollbackOptions{To: 2}); !errors.Is(err, bundle.ErrUsage) {
		t.Errorf("rollback to what is gone: %v", err)
	}
	res, err = r.GC(t.Context(), unpack.GCOptions{Keep: 1})
	if err != nil || len(res.Generations) > 0 || res.Blobs > 0 || res.Lists > 0 || res.Trees > 0 {
		t.Errorf("a second gc: %+v, %v", res, err)
	}
	versions(t, r, e, 1)
	r.intact()
}

func TestGCKeepsTheYoungAndTheDefaultThree(t *testing.T) {
	e := bundletest.New(t, "site")
	r := newRig(t, e)
	versions(t, r, e, 6) // an hour apart
	res, err := r.GC(t.Context(), unpack.GCOptions{Keep: 1, Force: true})
	if err != nil || len(res.Generations) > 0 {
		t.Errorf("replaced less than a day ago: %+v, %v", res, err)
	}
	r.clock.t = r.clock.t.Add(48 * time.Hour)
	res, err = r.GC(t.Context(), unpack.GCOptions{Force: true})
	if err != nil || !slices.Equal(res.Generations, []int{1, 2, 3}) {
		t.Errorf("%+v, %v", res, err)
	}
}

func TestGCKeepsWhatTheNextDeltaBuildsOn(t *testing.T) {
	e := bundletest.New(t, "site")
	r := newRig(t, e)
	versions(t, r, e, 2)
	if _, err := r.Rollback(t.Context(), unpack.RollbackOptions{To: 1}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.SetBaseURL(t.Context(), "http://mirror.lan"); err != nil {
		t.Fatal(err)
	}
	r.clock.t = r.clock.t.Add(48 * time.Hour)
	// The current generation and the previous have 1; 2 is what the exporter
	// knows to be here.
	if _, err := r.GC(t.Context(), unpack.GCOptions{Keep: 1, Force: true}); err != nil {
		t.Fatal(err)
	}
	delta := e.Export(t, []bundletest.Repository{apt(map[string]string{"v2": noise("2", 1000)})}, bundletest.Options{Base: 2})
	if len(volumesOf(t, delta.Dirs[0])) > 0 {
		t.Fatal("the delta carries what it should leave out")
	}
	r.receive(delta.Dirs...)
	r.expect(map[string]string{"apt/debs/v2": noise("2", 1000)})
}

func TestGCKeepsPending(t *testing.T) {
	e := bundletest.New(t, "site")
	r := newRig(t, e)
	media, want := spread(t, e, []int{1, 2, 5, 6, 7, 8}, []int{3, 4})
	r.refused(bundle.ErrIncomplete, unpack.ImportOptions{}, media[1])
	if _, err := r.GC(t.Context(), unpack.GCOptions{Keep: 1}); err != nil {
		t.Fatal(err)
	}
	res := r.receive(media[0])
	r.expect(want)
	if res.NewBytes >= 6<<20 {
		t.Errorf("%d new bytes: the first medium counted for nothing", res.NewBytes)
	}
}

func TestCheckNamesAllDamage(t *testing.T) {
	e := bundletest.New(t, "site")
	r := newRig(t, e)
	r.receive(e.Export(t, []bundletest.Repository{
		apt(map[string]string{"flipped": "flipped", "again/flipped": "flipped", "gone": "gone", "short": "short", "fine": "fine"}),
		shared("tools", map[string]string{"h/x": "x", "h/replaced": "replaced"}),
	}, bundletest.Options{}).Dirs...)
	r.intact()
	tree := filepath.Join(r.dir, "trees/000001")
	current := filepath.Join(r.dir, "current")
	for _, f := range []func() error{
		func() error { return spoil(filepath.Join(tree, "flipped"), "Flipped") },
		func() error { return os.Remove(filepath.Join(tree, "gone")) },
		func() error { return spoil(filepath.Join(tree, "short"), "sho") },
		func() error { return os.WriteFile(filepath.Join(tree, "stranger"), nil, 0o644) },
		func() error { return os.Remove(filepath.Join(current, "files/h/replaced")) },
		func() error {
			return os.WriteFile(filepath.Join(current, "files/h/replaced"), []byte("REPLACED"), 0o644)
		},
		func() error { return os.WriteFile(filepath.Join(current, "files/another"), nil, 0o644) },
		func() error { return os.Remove(filepath.Join(current, "index.html")) },
	} {
		if err := f(); err != nil {
			t.Fatal(err)
		}
	}
	damaged := func(data float64) []string {
		res, err := r.Check(t.Context(), unpack.CheckOptions{Data: data})
		if !errors.Is(err, bundle.ErrCorrupt) {
			t.Fatalf("%v, want ErrCorrupt", err)
		}
		var paths []string
		for _, d := range res.Damage {
			if d.Problem == "" {
				t.Errorf("%+v: no problem said", d)
			}
			paths = append(paths, d.Path)
		}
		slices.Sort(paths)
		return paths
	}
	looks := []string{"apt/debs/gone", "apt/debs/short", "apt/debs/stranger", "files/another", "index.html"}
	if got := damaged(0); !slices.Equal(got, looks) {
		t.Errorf("by looks: %q\nwant %q", got, looks)
	}
	all := append(slices.Clone(looks), "apt/debs/again/flipped", "apt/debs/flipped", "files/h/replaced")
	slices.Sort(all)
	if got := damaged(1); !slices.Equal(got, all) {
		t.Errorf("by content: %q\nwant %q", got, all)
	}
}

// spoil changes a file in place: every hard link to it.
func spoil(name, content string) error {
	if err := os.Chmod(name, 0o644); err != nil {
		return err
	}
	return os.WriteFile(name, []byte(content), 0o644)
}

func TestDryRunsChangeNothing(t *testing.T) {
	e := bundletest.New(t, "site")
	r := newRig(t, e)
	versions(t, r, e, 4)
	made := e.Export(t, []bundletest.Repository{apt(map[string]string{"a": "new"})}, bundletest.Options{})
	r.reopen(unpack.Options{DryRun: true})
	r.clock.t = r.clock.t.Add(100 * time.Hour)
	before := treeOf(t, r.dir)
	res, err := r.Receive(t.Context(), made.Dirs, unpack.ImportOptions{})
	if err != nil || !slices.Equal(outcomes(res), []string{"site-000005 imported"}) {
		t.Errorf("%+v, %v", res, err)
	}
	gc, err := r.GC(t.Context(), unpack.GCOptions{Keep: 1, Force: true})
	if err != nil || !slices.Equal(gc.Generations, []int{1, 2}) {
		t.Errorf("%+v, %v", gc, err)
	}
	g, err := r.Rollback(t.Context(), unpack.RollbackOptions{To: 1})
	if err != nil || g.Number != 5 {
		t.Errorf("%+v, %v", g, err)
	}
	for _, err := range []error{
		r.Trust().Update(t.Context(), "", func(p *verify.Policy) error { return p.SetRequire(verify.RoleExporter, 2) }),
		r.Trust().SetTime(t.Context(), time.Now()),
		r.Trust().AdoptStream(t.Context(), "site", strings.Repeat("ab", 16)),
		second(r.Forget(t.Context(), "site")),
		second(r.SetBaseURL(t.Context(), "http://mirror.lan")),
	} {
		if err != nil {
			t.Error(err)
		}
	}
	if !sameTree(before, treeOf(t, r.dir)) {
		t.Error("something was changed")
	}
	if _, err := unpack.Create(filepath.Join(t.TempDir(), "new"), unpack.Options{DryRun: true}); !errors.Is(err, bundle.ErrIncomplete) {
		t.Errorf("a mirror that is not there: %v", err)
	}
}

func second[T any](_ T, err error) error { return err }

func TestBaseURLIsFilledInAndNothingElse(t *testing.T) {
	e := bundletest.New(t, "site")
	r := newRig(t, e)
	const client = "deb [signed-by=/k] @BASE@/apt/debs stable main\n"
	repos := []bundletest.Repository{
		apt(map[string]string{"doc": "not here: @BASE@"}),
		{Name: "_clients", Kind: "clients", Mount: "_gapbundle/clients", Files: map[string]string{"apt/debs.conf": client}},
	}
	r.receive(e.Export(t, repos, bundletest.Options{}).Dirs...)
	file := filepath.Join(r.dir, "current/_gapbundle/clients/apt/debs.conf")
	if got := readFile(t, file); got != client {
		t.Errorf("without an address: %q", got)
	}
	r.intact()
	g, err := r.SetBaseURL(t.Context(), "http://mirror.lan:8080")
	if err != nil {
		t.Fatal(err)
	}
	if g.Number != 2 || g.BaseURL != "http://mirror.lan:8080" {
		t.Errorf("%+v", g)
	}
	want := strings.ReplaceAll(client, "@BASE@", "http://mirror.lan:8080")
	if got := readFile(t, file); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	r.expect(map[string]string{"apt/debs/doc": "not here: @BASE@"})
	r.intact()
	if err := spoil(file, strings.ToUpper(want)); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Check(t.Context(), unpack.CheckOptions{}); !errors.Is(err, bundle.ErrCorrupt) {
		t.Errorf("a client file that was changed: %v", err)
	}
	if _, err := r.SetBaseURL(t.Context(), "ftp://mirror.lan"); !errors.Is(err, bundle.ErrUsage) {
		t.Errorf("%v", err)
	}

	// An import can bring another, with or without anything new.
	made := e.Export(t, repos, bundletest.Options{})
	for i, base := range []string{"https://a.lan", "https://b.lan"} {
		if _, err := r.Receive(t.Context(), made.Dirs, unpack.ImportOptions{BaseURL: base}); err != nil {
			t.Fatal(err)
		}
		if got := readFile(t, file); !strings.Contains(got, base) {
			t.Errorf("import %d: %q", i, got)
		}
		st, err := r.Status(t.Context())
		if err != nil || st.BaseURL != base {
			t.Errorf("status: %q, %v", st.BaseURL, err)
		}
	}
	r.intact()
}

func TestJournalIsAChain(t *testing.T) {
	e := bundletest.New(t, "site")
	r := newRig(t, e)
	versions(t, r, e, 2)
	if _, err := r.Rollback(t.Context(), unpack.RollbackOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.GC(t.Context(), unpack.GCOptions{}); err != nil {
		t.Fatal(err)
	}
	entries, err := r.History()
	if err != nil {
		t.Fatal(err)
	}
	var what []string
	for _, e := range entries {
		what = append(what, e.What)
	}
	if !slices.Equal(what, []string{"trust", "import", "import", "rollback", "gc"}) {
		t.Errorf("%v", what)
	}
	if entries[1].Sequence != 1 || entries[1].Generation != 1 || len(entries[1].Signers) != 1 || entries[3].Generation != 3 {
		t.Errorf("%+v", entries)
	}
	name := filepath.Join(r.dir, "state/journal.jsonl")
	journal := []byte(readFile(t, name))
	lines := bytes.SplitAfter(journal, []byte{'\n'})
	for what, damaged := range map[string][]byte{
		"a line changed":    bytes.Replace(journal, []byte(`"sequence":1`), []byte(`"sequence":7`), 1),
		"a line taken out":  bytes.Join(append(slices.Clone(lines[:2]), lines[3:]...), nil),
		"the first is gone": bytes.Join(lines[1:], nil),
	} {
		if err := os.WriteFile(name, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := r.History(); !errors.Is(err, bundle.ErrCorrupt) {
			t.Errorf("%s: %v, want ErrCorrupt", what, err)
		}
	}
	// A line that a crash cut off is no damage, and the next one takes its place.
	if err := os.WriteFile(name, append(slices.Clone(journal), `{"previous":"sha256:12`...), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := r.GC(t.Context(), unpack.GCOptions{}); err != nil {
		t.Fatal(err)
	}
	if entries, err := r.History(); err != nil || len(entries) != 6 {
		t.Errorf("%d entries, %v; want 6", len(entries), err)
	}
}

func TestLock(t *testing.T) {
	e := bundletest.New(t, "site")
	r := newRig(t, e)
	versions(t, r, e, 2)
	other := flock.New(filepath.Join(r.dir, "state/lock"))
	if ok, err := other.TryLock(); !ok || err != nil {
		t.Fatal(ok, err)
	}
	if _, err := r.GC(t.Context(), unpack.GCOptions{}); !errors.Is(err, bundle.ErrBusy) {
		t.Errorf("%v, want ErrBusy", err)
	}
	r.reopen(unpack.Options{RetryLock: 300 * time.Millisecond})
	if _, err := r.GC(t.Context(), unpack.GCOptions{}); !errors.Is(err, bundle.ErrBusy) {
		t.Errorf("after waiting in vain: %v, want ErrBusy", err)
	}
	if _, err := r.Status(t.Context()); err != nil { // readers are not blocked
		t.Error(err)
	}
	r.intact()
	r.reopen(unpack.Options{RetryLock: time.Minute})
	done := make(chan error)
	go func() {
		_, err := r.GC(context.Background(), unpack.GCOptions{})
		done <- err
	}()
	if err := other.Unlock(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Errorf("after the lock was free: %v", err)
	}
}

func TestCreateRefusesOtherFolders(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "thesis.tex"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := unpack.Create(dir, unpack.Options{}); !errors.Is(err, bundle.ErrUsage) {
		t.Errorf("%v, want ErrUsage", err)
	}
	if _, err := unpack.Open(dir, unpack.Options{}); !errors.Is(err, bundle.ErrIncomplete) {
		t.Errorf("%v, want ErrIncomplete", err)
	}
	if _, err := unpack.Create(filepath.Join(dir, "a", "b"), unpack.Options{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("more than the last element: %v", err)
	}
}

func TestTreeOfAKind(t *testing.T) {
	a, b := bundletest.New(t, "alpha"), bundletest.New(t, "beta")
	r := newRig(t, a, b)
	r.receive(a.Export(t, []bundletest.Repository{apt(map[string]string{"p": "1"}), shared("tools", map[string]string{"h/a": "a"})}, bundletest.Options{}).Dirs...)
	r.receive(b.Export(t, []bundletest.Repository{shared("tools", map[string]string{"h/b": "b"})}, bundletest.Options{}).Dirs...)
	tree, err := r.Tree("files")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, repo := range tree.Repositories() {
		for f, err := range tree.Files(repo.Name) {
			if err != nil {
				t.Fatal(err)
			}
			in, err := tree.Open(t.Context(), repo.Name, f.Path)
			if err != nil {
				t.Fatal(err)
			}
			content, err := io.ReadAll(in)
			if err := errors.Join(err, in.Close()); err != nil {
				t.Fatal(err)
			}
			got = append(got, repo.Name+" "+f.Path+" "+string(content))
		}
	}
	if !slices.Equal(got, []string{"alpha/tools h/a a", "beta/tools h/b b"}) {
		t.Errorf("%q", got)
	}
	for _, path := range []string{"../../../state/trust.json", "/etc/passwd", "h/none"} {
		if _, err := tree.Open(t.Context(), "alpha/tools", path); err == nil {
			t.Errorf("%s: opened", path)
		}
	}
}
