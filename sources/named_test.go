package sources_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/strictyaml"
	"github.com/gapbundle/gapbundle/sources"
)

// TestNameHosts: what a person wrote names hosts, in the spec and in the lists that it
// names. What upstream says does not: not in a derived source, and not in a lock file,
// which is made from an index.
func TestNameHosts(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"urls.txt": "# comment\nhttp://10.0.0.2:8080/a.tar.gz\n", "uv.lock": "url = \"http://10.0.0.3:8080/b.whl\"\n", "site.key": "http://10.0.0.5:8080/\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	client, err := fetch.New(fetch.Options{Env: func(string) string { return "" }, Home: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	spec := func(kind, from, text string) sources.Spec {
		node, err := strictyaml.Parse("spec.yaml", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return sources.Spec{Name: "x", Kind: kind, From: from, Dir: dir, Decode: node.Decode}
	}
	sources.NameHosts(&sources.Env{Fetch: client}, []sources.Spec{
		spec("files", "", "urls: [\"http://10.0.0.1:8080/x\"]\nlist: urls.txt\nkeyring: site.key\n"),
		spec("pypi", "", "locks: [uv.lock]\n"),
		spec("files", "x", "urls: [\"http://10.0.0.4:8080/x\"]\n"),
	})
	for address, want := range map[string]bool{
		"http://10.0.0.1:8080/other": true, "http://10.0.0.2:8080/": true, "http://10.0.0.1:8081/x": false,
		"http://10.0.0.3:8080/": false, "http://10.0.0.4:8080/x": false, "http://10.0.0.5:8080/": false,
	} {
		if got := client.IsNamed(address); got != want {
			t.Errorf("%s: named %v, want %v", address, got, want)
		}
	}
}
