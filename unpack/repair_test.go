package unpack_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/test/bundletest"
	"github.com/gapbundle/gapbundle/unpack"
)

// blobOf returns the file of a blob in the store.
func (r *rig) blobOf(content string) string {
	h := bundle.DigestOf([]byte(content)).Hex()
	return filepath.Join(r.dir, "blobs/sha256", h[:2], h)
}

// overwrite changes bytes of a file and keeps its length and time, as a disk does it.
func overwrite(t testing.TB, name string) {
	t.Helper()
	fi, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(name, os.O_WRONLY, 0)
	if errors.Is(err, os.ErrPermission) {
		if err = os.Chmod(name, 0o644); err == nil {
			f, err = os.OpenFile(name, os.O_WRONLY, 0)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteAt([]byte{0xde, 0xad, 0xbe, 0xef}[:min(4, fi.Size())], 0)
	if err := errors.Join(err, f.Chmod(fi.Mode()), f.Close(), os.Chtimes(name, fi.ModTime(), fi.ModTime())); err != nil {
		t.Fatal(err)
	}
}

func (r *rig) repair(paths ...string) *unpack.RepairResult {
	r.t.Helper()
	res, err := unpack.Repair(context.Background(), r.Mirror, paths)
	if err != nil {
		r.t.Fatalf("repair: %v\n%+v", err, res)
	}
	return res
}

// ill is a mirror with two generations of one set, whose bundles are kept.
type ill struct {
	*rig
	e          *bundletest.Exporter
	full, next string
	want       map[string]string
}

func newIll(t testing.TB) *ill {
	e := bundletest.New(t, "site")
	r := newRig(t, e)
	debs := map[string]string{"same": noise("same", 5000), "changes": "one", "long": noise("long", 3<<20), "empty": ""}
	tools := map[string]string{"h/a": "same content", "h/b": "same content", "h/c": "c"}
	first := e.Export(t, []bundletest.Repository{apt(debs), shared("tools", tools)}, bundletest.Options{})
	r.receive(first.Dirs...)
	second := e.Export(t, illRepositories(), bundletest.Options{})
	r.receive(second.Dirs...)
	return &ill{r, e, filepath.Dir(first.Dirs[0]), filepath.Dir(second.Dirs[0]), r.contents()}
}

// illRepositories returns what generation 2 has.
func illRepositories() []bundletest.Repository {
	return []bundletest.Repository{
		apt(map[string]string{"same": noise("same", 5000), "changes": "two", "long": noise("long", 3<<20), "empty": "", "d/e": "new"}),
		shared("tools", map[string]string{"h/a": "same content", "h/b": "same content", "h/c": "c"}),
	}
}

// sound expects what was served before any damage, and nothing wrong in any generation.
func (r *ill) sound() {
	r.t.Helper()
	r.expect(r.want)
	r.intact()
	if got := r.repair(); len(got.Mended) > 0 || got.BadBlobs+got.BadLists > 0 {
		r.t.Errorf("repair once more: %+v", got)
	}
	old := filepath.Join(r.dir, "generations/000001/apt/debs/changes")
	if got := readFile(r.t, old); got != "one" {
		r.t.Errorf("generation 1: %q", got)
	}
}

// Every way in which a mirror can be damaged is put right from the bundles that brought
// it, and every published name with it.
func TestRepair(t *testing.T) {
	damages := map[string]func(r *ill){
		"a blob of two repositories' paths": func(r *ill) { overwrite(t, r.blobOf("same content")) },
		"a blob that is split over volumes": func(r *ill) { overwrite(t, r.blobOf(noise("long", 3<<20))) },
		"a blob that is cut":                func(r *ill) { must(t, os.Truncate(r.blobOf(noise("same", 5000)), 100)) },
		"a blob that is a folder": func(r *ill) {
			must(t, os.Remove(r.blobOf("two")))
			must(t, os.Mkdir(r.blobOf("two"), 0o755))
		},
		"a blob of an older generation alone": func(r *ill) { overwrite(t, r.blobOf("one")) },
		"a blob and its names gone": func(r *ill) {
			must(t, os.Remove(r.blobOf("c")))
			for _, g := range []string{"1", "2"} {
				must(t, os.Remove(filepath.Join(r.dir, "generations/00000"+g+"/files/h/c")))
			}
		},
		"all blobs": func(r *ill) {
			must(t, os.RemoveAll(filepath.Join(r.dir, "blobs/sha256")))
			must(t, os.RemoveAll(filepath.Join(r.dir, "trees/000001")))
			must(t, os.RemoveAll(filepath.Join(r.dir, "trees/000002")))
			must(t, os.RemoveAll(filepath.Join(r.dir, "generations/000001/files")))
			must(t, os.RemoveAll(filepath.Join(r.dir, "generations/000002/files")))
		},
		"a list": func(r *ill) {
			d, err := bundle.ParseDigest(string(r.published().Repositories[0].Files.Digest))
			must(t, err)
			overwrite(t, filepath.Join(r.dir, "state/lists/sha256", d.Hex()[:2], d.Hex()))
			overwrite(t, r.blobOf("two"))
		},
		"all lists": func(r *ill) { must(t, os.RemoveAll(filepath.Join(r.dir, "state/lists/sha256"))) },
	}
	for name, damage := range damages {
		t.Run(name, func(t *testing.T) {
			r := newIll(t)
			before := r.served()
			r.t = t
			damage(r)
			if _, err := r.Check(t.Context(), unpack.CheckOptions{Data: 1}); err == nil && !strings.Contains(name, "older") {
				t.Fatal("check finds nothing")
			}
			r.reopen(unpack.Options{DryRun: true})
			state := treeOf(t, r.dir)
			res, err := unpack.Repair(t.Context(), r.Mirror, []string{r.full, r.next})
			if err != nil || res.BadBlobs+res.BadLists == 0 {
				t.Errorf("dry run: %v, %+v", err, res)
			}
			if !sameTree(state, treeOf(t, r.dir)) {
				t.Error("the dry run changed something")
			}
			r.reopen(unpack.Options{})
			r.repair(r.full, r.next)
			for name, s := range r.served() {
				if was := before[name]; s.mtime != was.mtime && !s.mtime.After(was.mtime) {
					t.Errorf("%s: put right with time %s, was %s", name, s.mtime, was.mtime)
				}
			}
			r.sound()
		})
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (r *ill) published() *unpack.GenerationSet {
	g, err := r.Current()
	must(r.t, err)
	return &g.Sets[0]
}

// A name that was damaged alone, and what a publish makes itself, are put right without
// any bundle.
func TestRepairWithoutBundles(t *testing.T) {
	at := func(r *ill, name string) string { return filepath.Join(r.dir, name) }
	damages := map[string]func(r *ill){
		"a name with other content": func(r *ill) {
			must(t, os.Remove(at(r, "generations/000002/files/h/c")))
			must(t, os.WriteFile(at(r, "generations/000002/files/h/c"), []byte("x"), 0o444))
		},
		"a name that is gone": func(r *ill) { must(t, os.Remove(at(r, "trees/000002/changes"))) },
		"a blob that is gone": func(r *ill) { must(t, os.Remove(r.blobOf("two"))) },
		"a folder in its place": func(r *ill) {
			must(t, os.Remove(at(r, "trees/000002/changes")))
			must(t, os.MkdirAll(at(r, "trees/000002/changes/x"), 0o755))
		},
		"a link in a folder's place": func(r *ill) {
			must(t, os.Rename(at(r, "trees/000002/d"), at(r, "elsewhere")))
			must(t, os.Symlink("../../elsewhere", at(r, "trees/000002/d")))
		},
		"a mode":             func(r *ill) { must(t, os.Chmod(r.blobOf("two"), 0o600)) },
		"a mode of a folder": func(r *ill) { must(t, os.Chmod(at(r, "trees/000002/d"), 0o700)) },
		"the link to a tree": func(r *ill) {
			must(t, os.Remove(at(r, "generations/000002/apt/debs")))
			must(t, os.Symlink("../../../trees/000001", at(r, "generations/000002/apt/debs")))
		},
		"a page that was made":     func(r *ill) { overwrite(t, at(r, "current/index.html")) },
		"a page that is gone":      func(r *ill) { must(t, os.Remove(at(r, "current/index.html"))) },
		"the list of what is made": func(r *ill) { must(t, os.Remove(at(r, "state/generations/000002.generated"))) },
	}
	for name, damage := range damages {
		t.Run(name, func(t *testing.T) {
			r := newIll(t)
			r.t = t
			damage(r)
			if _, err := r.Check(t.Context(), unpack.CheckOptions{Data: 1}); err == nil {
				t.Fatal("check finds nothing")
			}
			r.repair()
			r.sound()
		})
	}
}

// What is not found is named with its bundles, and a signed request is written.
func TestRepairAsks(t *testing.T) {
	r := newIll(t)
	overwrite(t, r.blobOf("one"))
	overwrite(t, r.blobOf("new"))
	res, err := unpack.Repair(t.Context(), r.Mirror, []string{r.full})
	var missing *unpack.MissingError
	if !errors.As(err, &missing) || !errors.Is(err, bundle.ErrIncomplete) {
		t.Fatalf("error %v, want a MissingError", err)
	}
	if len(res.Missing) != 1 || res.NewBlobs != 1 || fmt.Sprint(res.Missing[0].Paths) != "[apt/debs/d/e]" || fmt.Sprint(res.Missing[0].Bundles) != "[1 2]" {
		t.Fatalf("%+v", res)
	}
	content, err := os.ReadFile(res.Requests[0].Path)
	must(t, err)
	signed, err := bundle.ParseRequest(content)
	must(t, err)
	key, id, err := signed.Key()
	must(t, err)
	status, err := r.Status(t.Context())
	must(t, err)
	if id != status.ReceiptKey {
		t.Errorf("signed by %s, the mirror's key is %s", id, status.ReceiptKey)
	}
	q, err := signed.Verify(key)
	must(t, err)
	if q.Set != "site" || q.Sequence != 2 || len(q.Blobs) != 1 || q.Blobs[0] != bundle.DigestOf([]byte("new")) {
		t.Errorf("request %+v", q)
	}
	r.repair(r.next)
	r.sound()
	if _, err := os.Stat(res.Requests[0].Path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the request is still there: %v", err)
	}
}

// A bundle that nobody whom the policy trusts has signed repairs nothing.
func TestRepairTakesNothingFromStrangers(t *testing.T) {
	r := newIll(t)
	overwrite(t, r.blobOf("new"))
	stranger := bundletest.New(t, "site")
	made := stranger.Export(t, []bundletest.Repository{apt(map[string]string{"x": "new"})}, bundletest.Options{})
	res, err := unpack.Repair(t.Context(), r.Mirror, made.Dirs)
	if !errors.Is(err, bundle.ErrIncomplete) || len(res.Notes) != 1 || res.NewBlobs != 0 {
		t.Errorf("error %v, %+v", err, res)
	}
	overwritten := readFile(t, r.blobOf("new"))
	if overwritten == "new" {
		t.Error("it was put right by a stranger")
	}
}

// An import that carries a damaged blob puts it right, also where it was in the store
// already, and every published name with it.
func TestImportHeals(t *testing.T) {
	r := newIll(t)
	overwrite(t, r.blobOf("same content"))
	overwrite(t, r.blobOf(noise("long", 3<<20)))
	overwrite(t, r.blobOf("one"))
	must(t, os.Truncate(r.blobOf(noise("same", 5000)), 100)) // and with it its published names, which are the same file
	made := r.e.Export(t, []bundletest.Repository{
		apt(map[string]string{"same": noise("same", 5000), "changes": "two", "long": noise("long", 3<<20), "empty": "", "d/e": "new", "more": "one"}),
		shared("tools", map[string]string{"h/a": "same content", "h/b": "same content", "h/c": "c"}),
	}, bundletest.Options{Full: true})
	r.receive(made.Dirs...)
	r.want["apt/debs/more"] = "one"
	r.sound()
}
