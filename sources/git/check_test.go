package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/test/gittest"
	"github.com/gapbundle/gapbundle/sources"
)

// Repositories, and with Files of site the rest of sources.Tree: what the last
// export made.
type tree struct{ *site }

func (t tree) Repositories() []bundle.Repository {
	var all []bundle.Repository
	for name, files := range t.files {
		all = append(all, bundle.Repository{Name: name, Kind: Name, Mount: mount, Count: int64(len(files))})
	}
	return all
}

func (t tree) Files(repo string) iter.Seq2[bundle.File, error] {
	return func(yield func(bundle.File, error) bool) {
		for _, r := range t.site.files[repo] {
			if !yield(r.File, nil) {
				return
			}
		}
	}
}

func (t tree) Open(_ context.Context, _, path string) (io.ReadCloser, error) {
	return os.Open(filepath.Join(t.web, "git", path))
}

// files are the paths of the mirror that end so.
func (t tree) ending(end string) string {
	for _, files := range t.files {
		for _, r := range files {
			if strings.HasSuffix(r.File.Path, end) {
				return r.File.Path
			}
		}
	}
	t.t.Fatalf("no file %s", end)
	return ""
}

// checked returns a mirror of a repository with a submodule, a tag and two packs.
func checked(t *testing.T) tree {
	host, s := gittest.NewHost(t, true), newSite(t)
	sub, up := gittest.New(t), gittest.New(t)
	pin := sub.Commit("sub", map[string]string{"sub": "sub\n"})
	host.Publish("sub", sub)
	up.Submodule("one", "../sub.git", pin)
	up.Commit("one", map[string]string{"a": "a\n"})
	up.Git("tag", "-a", "-m", "v1", "v1")
	host.Publish("up", up)
	spec := fmt.Sprintf("- {name: x, url: %q}\n", host.URL("up"))
	s.must(spec)
	up.Commit("two", map[string]string{"a": "b\n"})
	host.Publish("up", up)
	s.must(spec)
	return tree{s}
}

func TestCheck(t *testing.T) {
	tr := checked(t)
	counts, err := check(t.Context(), tr)
	want := []bundle.CheckCount{
		{Name: "git repositories", Count: 2}, {Name: "lfs objects"}, {Name: "objects", Count: 11},
		{Name: "packs", Count: 3}, {Name: "refs", Count: 3}, {Name: "submodules", Count: 2},
	}
	if err != nil || fmt.Sprint(counts) != fmt.Sprint(want) {
		t.Fatalf("got %v, %v\nwant %v", counts, err, want)
	}
	for name, test := range map[string]struct {
		file   string
		change func([]byte) []byte
		class  error
		text   string
	}{
		"pack flipped":     {"up.git/objects/pack/*.pack", func(b []byte) []byte { b[20] ^= 1; return b }, bundle.ErrCorrupt, ".pack: pack: checksum"},
		"index flipped":    {"up.git/objects/pack/*.idx", func(b []byte) []byte { b[1100] ^= 1; return b }, bundle.ErrCorrupt, ".idx: pack index"},
		"info/refs":        {"up.git/info/refs", func(b []byte) []byte { return bytes.Replace(b, []byte("main"), []byte("mane"), 1) }, bundle.ErrCorrupt, "info/refs: not the refs of packed-refs"},
		"packs":            {"up.git/objects/info/packs", func(b []byte) []byte { return b[1:] }, bundle.ErrCorrupt, "not the packs"},
		"HEAD":             {"up.git/HEAD", func([]byte) []byte { return []byte("ref: refs/heads/none\n") }, bundle.ErrCorrupt, "names \"refs/heads/none\""},
		"record":           {"up.git/objects/info/gapbundle", func(b []byte) []byte { return append(b, 'x') }, bundle.ErrCorrupt, "the word"},
		"submodule's pack": {"sub.git/objects/info/gapbundle", withoutPacks, bundle.ErrCorrupt, "sub.git/objects/info/packs"},
		"another pack's":   {"up.git/objects/info/gapbundle", func(b []byte) []byte { return bytes.Replace(b, []byte("pack 1 "), []byte("pack 1 0"), 1) }, bundle.ErrCorrupt, "object name"},
	} {
		t.Run(name, func(t *testing.T) {
			matches, _ := filepath.Glob(filepath.Join(tr.web, "git", "*", filepath.FromSlash(test.file)))
			if len(matches) == 0 {
				t.Fatal("no such file")
			}
			good, err := os.ReadFile(matches[0])
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(matches[0], test.change(bytes.Clone(good)), 0o644); err != nil {
				t.Fatal(err)
			}
			if _, err := check(t.Context(), tr); !errors.Is(err, test.class) || !strings.Contains(err.Error(), test.text) {
				t.Errorf("got %v, want %s", err, test.text)
			}
			if err := os.WriteFile(matches[0], good, 0o644); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// The git program finds what only following links finds: an object that is in
// no pack, although every file is whole.
func TestDeep(t *testing.T) {
	tr := checked(t)
	counts, err := deep(t.Context(), tr.web, tr)
	if err != nil || len(counts) != 1 || counts[0].Count != 2 {
		t.Fatalf("got %v, %v", counts, err)
	}
	dir := filepath.Join(tr.web, "git", filepath.FromSlash(tr.ending("up.git/HEAD")))
	dir = filepath.Dir(dir)
	packs, err := filepath.Glob(dir + "/objects/pack/*.pack")
	if err != nil || len(packs) != 2 {
		t.Fatal(packs, err)
	}
	for _, p := range packs {
		away := strings.TrimSuffix(p, ".pack")
		if err := errors.Join(os.Rename(p, away+".away")); err != nil {
			t.Fatal(err)
		}
		if _, err := deep(t.Context(), tr.web, tr); !errors.Is(err, bundle.ErrCorrupt) || !strings.Contains(err.Error(), "up.git") {
			t.Errorf("without %s: %v", filepath.Base(p), err)
		}
		if err := os.Rename(away+".away", p); err != nil {
			t.Fatal(err)
		}
	}
}

func withoutPacks(b []byte) []byte {
	head, _, _ := bytes.Cut(b, []byte("pack 1"))
	return head
}

// A repository that lacks an object that something names.
func TestCheckMissing(t *testing.T) {
	tr := checked(t)
	refs := filepath.Join(tr.web, "git", filepath.FromSlash(tr.ending("sub.git/packed-refs")))
	text, err := os.ReadFile(refs)
	if err != nil {
		t.Fatal(err)
	}
	id := string(text[len("# pack-refs with: peeled fully-peeled sorted \n"):][:40])
	other := strings.Repeat("12", 20)
	for _, name := range []string{"packed-refs", "info/refs", "HEAD"} {
		file := filepath.Join(filepath.Dir(refs), filepath.FromSlash(name))
		b, err := os.ReadFile(file)
		if err == nil {
			err = os.WriteFile(file, bytes.ReplaceAll(b, []byte(id), []byte(other)), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := check(t.Context(), tr); !errors.Is(err, bundle.ErrIncomplete) && !errors.Is(err, bundle.ErrCorrupt) {
		t.Errorf("a ref whose object is in no pack: %v", err)
	}
	// The submodule's repository is not there at all.
	var kept []sources.Recorded
	for _, r := range tr.files["x"] {
		if !strings.Contains(r.File.Path, "/sub.git/") {
			kept = append(kept, r)
		}
	}
	tr.files["x"] = kept
	if _, err := check(t.Context(), tr); !errors.Is(err, bundle.ErrIncomplete) || !strings.Contains(err.Error(), "the submodule one of") {
		t.Errorf("without the submodule: %v", err)
	}
	// A pack's index is not there.
	if err := os.Remove(filepath.Join(tr.web, "git", filepath.FromSlash(tr.ending("up.git/info/refs")))); err != nil {
		t.Fatal(err)
	}
	if _, err := check(t.Context(), tr); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without info/refs: %v", err)
	}
}

func TestClients(t *testing.T) {
	tr := checked(t)
	all, err := clients(t.Context(), tr.Repositories(), tr)
	if err != nil || len(all) != 4 {
		t.Fatal(all, err)
	}
	for _, f := range all {
		if !bytes.Contains(f.Content, []byte(sources.BaseMark+"/git/127.0.0.1_")) {
			t.Errorf("%s:\n%s", f.Path, f.Content)
		}
	}
	got := string(gitconfig([]string{"github.com/a/b.git", "github.com/c.git", "host_8443/x.git"}))
	for _, want := range []string{
		"[url \"@BASE@/git/github.com/\"]\n\tinsteadOf = \"https://github.com/\"\n", "insteadOf = \"git@github.com:\"", "insteadOf = \"https://host:8443/\"",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("want %s in\n%s", want, got)
		}
	}
	if strings.Count(got, "[url") != 2 {
		t.Errorf("one section for each host:\n%s", got)
	}
}
