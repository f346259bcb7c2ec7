package unpack_test

import (
	"flag"
	"maps"
	"os"
	"path/filepath"
	"testing"

	"github.com/gapbundle/gapbundle/internal/test/bundletest"
	"github.com/gapbundle/gapbundle/unpack"
	"github.com/gapbundle/gapbundle/verify"
)

var updateGolden = flag.Bool("update-golden", false, "write the golden bundles of this package again")

const goldenDir = "../bundle/testdata/"

// goldens returns bundles that were written once and are kept: what imports them
// today has to import them for ever.
func goldens() map[string][]bundletest.Repository {
	return map[string][]bundletest.Repository{
		"golden-git": {
			{Name: "one", Kind: "git", Mount: "git", Files: map[string]string{"example.org/one.git/HEAD": "ref: refs/heads/main\n", "example.org/one.git/info/refs": "0123\n"}},
			{Name: "two", Kind: "git", Mount: "git", Files: map[string]string{"example.org/two.git/HEAD": "ref: refs/heads/main\n"}},
		},
		"golden-filled": {pages(map[string]string{"api/more.html": "@HOST@"})},
	}
}

func TestGoldens(t *testing.T) {
	for name, repos := range goldens() {
		dir := goldenDir + name
		if *updateGolden {
			writeGolden(t, dir, repos)
		}
		r := newRig(t)
		if err := r.Trust().Update(t.Context(), "trust", func(p *verify.Policy) error {
			return p.Add(verify.Key{Role: verify.RoleExporter, Set: "golden", PEM: readFile(t, filepath.Join(dir, "exporter.pub"))})
		}); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Receive(t.Context(), []string{dir}, unpack.ImportOptions{BaseURL: "https://mirror.lan"}); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		want := map[string]string{}
		for _, repo := range repos {
			for path, content := range repo.Files {
				want[repo.Mount+"/"+path] = content
			}
		}
		if name == "golden-filled" {
			maps.Copy(want, map[string]string{"galaxy/site/api/index.html": filledPage("mirror.lan"), "galaxy/site/api/more.html": "mirror.lan"})
		}
		r.expect(want)
		r.intact()
	}
}

func writeGolden(t *testing.T, dir string, repos []bundletest.Repository) {
	t.Helper()
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	e := bundletest.New(t, "golden")
	e.Export(t, repos, bundletest.Options{Targets: []string{dir}})
	if err := os.WriteFile(filepath.Join(dir, "exporter.pub"), e.Signer.PublicPEM(), 0o644); err != nil {
		t.Fatal(err)
	}
}
