package pypi

import (
	"context"
	"errors"
	"io"
	"iter"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/pypi/pages"
	"github.com/gapbundle/gapbundle/sources/pypi/piptest"
)

// published is a mirror in memory.
type published struct {
	repo    bundle.Repository
	content map[string]string
}

func (p *published) Repositories() []bundle.Repository { return []bundle.Repository{p.repo} }

func (p *published) Files(string) iter.Seq2[bundle.File, error] {
	return func(yield func(bundle.File, error) bool) {
		for _, at := range slices.SortedFunc(maps.Keys(p.content), bundle.ComparePaths) {
			b := []byte(p.content[at])
			if !yield(bundle.File{Path: at, Size: int64(len(b)), Digest: bundle.DigestOf(b)}, nil) {
				return
			}
		}
	}
}

func (p *published) Open(_ context.Context, _, at string) (io.ReadCloser, error) {
	return io.NopCloser(strings.NewReader(p.content[at])), nil
}

func (p *published) OpenAt(_ context.Context, _, at string) (sources.ReadAtCloser, error) {
	return struct {
		io.ReaderAt
		io.Closer
	}{strings.NewReader(p.content[at]), io.NopCloser(nil)}, nil
}

var _ sources.AtHand = (*published)(nil)

// fetched is a mirror whose files would have to be fetched: only what has to be read is.
type fetched struct {
	sources.Tree
	t *testing.T
}

func (f *fetched) Open(ctx context.Context, repo, at string) (io.ReadCloser, error) {
	if strings.HasSuffix(at, ".whl") {
		f.t.Errorf("%s was opened", at)
	}
	return f.Tree.Open(ctx, repo, at)
}

// A mirror that lacks what a client would ask for is not complete, and says which
// client and what for.
func TestCheck(t *testing.T) {
	w := newWorld(t).add(
		piptest.Wheel{Name: "app", Version: "1.0", Extras: []string{"x"}, Requires: []string{"lib>=1", `more; extra == "x"`, `win; sys_platform == "win32"`}},
		piptest.Wheel{Name: "lib", Version: "1.0"}, piptest.Wheel{Name: "more", Version: "1.0"},
	)
	p := newSite(t).must("kind: pypi\nindex: " + w.URL() + "\npackages: app[x]\n" + for312)
	whole := map[string]string{}
	for at := range p.files {
		whole[at] = p.read(at)
	}
	const lock = "locks/cp312-manylinux_2_28_x86_64.txt"
	lib := ""
	for at := range whole {
		if strings.HasSuffix(at, "/lib-1.0-py3-none-any.whl") {
			lib = at
		}
	}
	look := func(change func(content map[string]string)) ([]bundle.CheckCount, error) {
		content := maps.Clone(whole)
		change(content)
		return pages.Check(t.Context(), &published{bundle.Repository{Name: "python", Kind: Name, Mount: "pypi/python", Annotations: p.repo.Annotations}, content})
	}
	counts, err := look(func(map[string]string) {})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []bundle.CheckCount{{Name: "files", Count: 3}, {Name: "locks", Count: 1}, {Name: "projects", Count: 3}, {Name: "requirements", Count: 2}} {
		if !slices.Contains(counts, want) {
			t.Errorf("%v lacks %v", counts, want)
		}
	}
	tree := &published{bundle.Repository{Name: "python", Kind: Name, Mount: "pypi/python", Annotations: p.repo.Annotations}, whole}
	if _, err := pages.Check(t.Context(), &fetched{tree, t}); err != nil {
		t.Error("at export:", err)
	}
	without := func(text, name string) string {
		before, after, _ := strings.Cut(text, name+"==")
		_, after, _ = strings.Cut(after, "\n    ")
		_, after, _ = strings.Cut(after, "\n")
		return before + after
	}
	for name, c := range map[string]struct {
		change func(content map[string]string)
		class  error
		want   string
	}{
		"the record is gone":     {func(m map[string]string) { delete(m, pages.RecordPath) }, bundle.ErrIncomplete, pages.RecordPath},
		"the record is broken":   {func(m map[string]string) { m[pages.RecordPath] = "{" }, bundle.ErrCorrupt, pages.RecordPath},
		"a wheel is gone":        {func(m map[string]string) { delete(m, lib) }, bundle.ErrIncomplete, "lib-1.0-py3-none-any.whl"},
		"its metadata is gone":   {func(m map[string]string) { delete(m, lib+pages.MetadataEnd) }, bundle.ErrIncomplete, "lib-1.0-py3-none-any.whl.metadata"},
		"a page is gone":         {func(m map[string]string) { delete(m, "simple/lib/index.html") }, bundle.ErrIncomplete, "simple/lib/index.html"},
		"a page as JSON is gone": {func(m map[string]string) { delete(m, "simple/lib/index.v1_json") }, bundle.ErrIncomplete, "simple/lib/index.v1_json"},
		"the lock is gone":       {func(m map[string]string) { delete(m, lock) }, bundle.ErrIncomplete, lock},
		"the list is gone":       {func(m map[string]string) { delete(m, "simple/index.html") }, bundle.ErrIncomplete, "simple/index.html"},
		"a wheel is another":     {func(m map[string]string) { m[lib] = "another" }, bundle.ErrCorrupt, "lib-1.0"},
		"a page says otherwise":  {func(m map[string]string) { m["simple/lib/index.html"] = m["simple/more/index.html"] }, bundle.ErrCorrupt, "lists other files"},
		"a link leads elsewhere": {func(m map[string]string) {
			m["simple/lib/index.html"] = strings.ReplaceAll(m["simple/lib/index.html"], "../../files", "../files")
		}, bundle.ErrCorrupt, "link"},
		"its metadata is another's": {func(m map[string]string) {
			before := bundle.DigestOf([]byte(m[lib+pages.MetadataEnd])).Hex()
			m[lib+pages.MetadataEnd] += "and more\n"
			for _, page := range []string{"simple/lib/index.html", "simple/lib/index.v1_json"} {
				m[page] = strings.ReplaceAll(m[page], before, bundle.DigestOf([]byte(m[lib+pages.MetadataEnd])).Hex())
			}
		}, bundle.ErrCorrupt, "METADATA of the wheel is"},
		"a wheel is no zip": {func(m map[string]string) {
			path, digest := "files/aa/"+strings.Repeat("a", 64)+"/lib-1.0-py3-none-any.whl", bundle.DigestOf([]byte("no zip")).Hex()
			m[path], m[path+pages.MetadataEnd] = "no zip", digest
		}, bundle.ErrCorrupt, "not a valid zip file"},
		"the lock lacks a need":   {func(m map[string]string) { m[lock] = without(m[lock], "lib") }, bundle.ErrIncomplete, "app 1.0 wants lib>=1, and there is nothing"},
		"the lock lacks an extra": {func(m map[string]string) { m[lock] = without(m[lock], "more") }, bundle.ErrIncomplete, "wants more"},
		"the lock names nobody":   {func(m map[string]string) { m[lock] += "other==1.0 --hash=sha256:" + strings.Repeat("0", 64) + "\n" }, bundle.ErrIncomplete, "other==1.0"},
		"the lock has no hash":    {func(m map[string]string) { m[lock] += "other==1.0\n" }, bundle.ErrCorrupt, "one hash"},
	} {
		if _, err := look(c.change); !errors.Is(err, c.class) || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "python") {
			t.Errorf("%s: %v, want %v and %s", name, err, c.class, c.want)
		}
	}
}
