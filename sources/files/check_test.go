package files

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"iter"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
)

// tree is lists without content.
type tree struct {
	repos []bundle.Repository
	files map[string][]bundle.File
}

func (t tree) Repositories() []bundle.Repository { return t.repos }

func (t tree) Files(repo string) iter.Seq2[bundle.File, error] {
	return func(yield func(bundle.File, error) bool) {
		for _, f := range t.files[repo] {
			if !yield(f, nil) {
				return
			}
		}
	}
}

func (tree) Open(context.Context, string, string) (io.ReadCloser, error) { return nil, fs.ErrNotExist }

func TestCheck(t *testing.T) {
	good := bundle.File{Path: "a.example/x", Size: 1, Digest: sumX}
	for _, test := range []struct {
		name  string
		count int64
		files []bundle.File
		class error
	}{
		{"good", 2, []bundle.File{good, {Path: "a.example/y", Size: 1, Digest: sumY}}, nil},
		{"fewer than promised", 2, []bundle.File{good}, bundle.ErrIncomplete},
		{"without digest", 1, []bundle.File{{Path: "a.example/x", Size: 1}}, bundle.ErrIncomplete},
		{"without size", 1, []bundle.File{{Path: "a.example/x", Size: -1, Digest: sumX}}, bundle.ErrIncomplete},
		{"twice", 2, []bundle.File{good, good}, bundle.ErrMalformed},
	} {
		tr := tree{[]bundle.Repository{{Name: "s", Count: test.count}}, map[string][]bundle.File{"s": test.files}}
		counts, err := check(t.Context(), tr)
		if test.class != nil {
			if !errors.Is(err, test.class) {
				t.Errorf("%s: got %v, want %v", test.name, err, test.class)
			}
			continue
		}
		if err != nil || len(counts) != 1 || counts[0] != (bundle.CheckCount{Name: "files", Count: 2}) {
			t.Errorf("%s: got %v, %v", test.name, counts, err)
		}
	}
}

func TestClients(t *testing.T) {
	tr := tree{
		[]bundle.Repository{{Name: "s", Mount: mount}, {Name: "h", Mount: mount, Annotations: map[string]string{formKey: formFolder}}},
		map[string][]bundle.File{"s": {
			{Path: "a.example/x y+z"},
			{Path: "a.example_8080/x", Annotations: map[string]string{originKey: "http://a.example:8080/x"}},
		}},
	}
	files, err := clients(t.Context(), tr.repos, tr)
	if err != nil || len(files) != 2 {
		t.Fatal(files, err)
	}
	want := "# source s: original URL, URL in the mirror\n" +
		"https://a.example/x%20y+z @BASE@/files/a.example/x%20y+z\n" +
		"http://a.example:8080/x @BASE@/files/a.example_8080/x\n"
	if files[0].Path != "s.txt" || string(files[0].Content) != want {
		t.Errorf("%s: got\n%s\nwant\n%s", files[0].Path, files[0].Content, want)
	}
	want = "# source h: original URL, URL in the mirror\n- @BASE@/files/h/\n"
	if files[1].Path != "h.txt" || string(files[1].Content) != want {
		t.Errorf("%s: got\n%s\nwant\n%s", files[1].Path, files[1].Content, want)
	}
}
