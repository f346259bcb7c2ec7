package deb_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources/apt/deb"
)

func sourceText() string {
	return fmt.Sprintf(`Package: hello
Binary: hello
Version: 2.10-3
Directory: pool/main/h/hello
Files:
 %032x 100 hello_2.10-3.dsc
 %032x 7 hello_2.10.orig.tar.gz.asc
Checksums-Sha256:
 %064x 100 hello_2.10-3.dsc
`, 1, 2, 3)
}

func TestSources(t *testing.T) {
	n := 0
	for s, err := range deb.Sources(strings.NewReader(sourceText()+"\n"+strings.Replace(sourceText(), "pool/main/h/hello", ".", 1)), deb.Limits{}) {
		if err != nil {
			t.Fatal(err)
		}
		folder := "pool/main/h/hello/"
		if n++; n == 2 {
			folder = ""
		}
		if s.Name != "hello" || s.Version != "2.10-3" || len(s.Files) != 2 || s.Files[0].Path != folder+"hello_2.10-3.dsc" || s.Files[0].Size != 100 ||
			s.Files[0].SHA256.IsZero() || s.Files[1].Path != folder+"hello_2.10.orig.tar.gz.asc" || !s.Files[1].SHA256.IsZero() {
			t.Errorf("got %+v", s)
		}
	}
	if n != 2 {
		t.Errorf("%d sources", n)
	}
}

func TestSourcesRefuses(t *testing.T) {
	change := func(old, with string) string { return strings.Replace(sourceText(), old, with, 1) }
	for name, text := range map[string]string{
		"no name":           change("Package: hello\n", ""),
		"no version":        change("Version: 2.10-3\n", ""),
		"no files":          "Package: a\nVersion: 1\n",
		"directory upwards": change("pool/main/h/hello", "pool/../.."),
		"name with slash":   change("100 hello_2.10-3.dsc", "100 sub/hello.dsc"),
		"two sizes":         change("100 hello_2.10-3.dsc", "101 hello_2.10-3.dsc"),
		"two hashes":        sourceText() + fmt.Sprintf(" %064x 100 hello_2.10-3.dsc\n", 9),
		"table twice":       sourceText() + "files:\n",
		"short digest":      change("000001 100", "01 100"),
		"size":              change(" 7 ", " seven "),
	} {
		for s, err := range deb.Sources(strings.NewReader(text), deb.Limits{}) {
			if !errors.Is(err, bundle.ErrMalformed) {
				t.Errorf("%s: got %+v, %v", name, s, err)
			}
		}
	}
}

func FuzzSources(f *testing.F) {
	f.Add(sourceText())
	f.Fuzz(func(t *testing.T, text string) {
		for s, err := range deb.Sources(strings.NewReader(text), deb.Limits{Paragraph: 1 << 16}) {
			if err != nil {
				if !errors.Is(err, bundle.ErrMalformed) {
					t.Error(err)
				}
				continue
			}
			for _, file := range s.Files {
				if bundle.CheckPath(file.Path) != nil || file.Size < 0 {
					t.Errorf("got %+v", file)
				}
			}
		}
	})
}
