package promises

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/test/bundletest"
)

// makeGoldenEnv names a folder into which TestGolden writes bundles again. The
// kept ones are never written again: a reader of format 1 has to read them.
const makeGoldenEnv = "GAPBUNDLE_MAKE_GOLDEN"

// golden is where bundles of format 1 are kept that were made in November
// 2026: a full one and a delta by the program, and one with everything that
// the folder kind does not use. In "refused" is the first of the latter, which
// declares a key that it does not publish: it is read, and refused by that name.
const golden = "testdata/golden"

// Format 1 does not drift: what was written once is verified and imported, and
// is read to be the same.
func TestGolden(t *testing.T) {
	if to := os.Getenv(makeGoldenEnv); to != "" {
		makeGolden(t, to)
	}
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	s := &site{t: t, dir: t.TempDir()}
	from := filepath.Join(here, golden)
	s.shell("cp -r " + from + "/. .")
	for _, set := range []string{"site", "kinds", "keyed"} {
		s.ok("trust", "add", "--mirror", "mirror", "--role", "exporter", "--set", set, "--yes", set+".pub")
	}
	// Any key and path that the root of format 1 has is known by name.
	for _, name := range []string{"medium/site-000001", "medium/site-000002", "medium/keyed-000001", "refused/kinds-000001"} {
		m, err := bundle.ParseManifest([]byte(s.read(name + "/bundle.json")))
		if err != nil {
			t.Fatal(err)
		}
		if m.Format != 1 || bundle.StateDigest(m.Repositories) != m.State {
			t.Errorf("%s: format %d, state %s", name, m.Format, m.State)
		}
	}
	s.ok("verify", "medium/site-000001", "medium/site-000002", "--mirror", "mirror")
	s.fails(4, []string{"0123456789ABCDEF0123456789ABCDEF01234567"}, "verify", "refused/kinds-000001", "--mirror", "mirror")
	s.fails(4, []string{"keys/0123456789ABCDEF0123456789ABCDEF01234567.asc"}, "verify", "refused/kinds-000001", "--pub", "kinds.pub")
	s.fails(4, []string{"keys/0123456789ABCDEF0123456789ABCDEF01234567.asc"}, "import", "refused", "--to", "mirror", "--accept-keys")
	s.fails(4, []string{bundletest.Fingerprint}, "verify", "medium/keyed-000001", "--mirror", "mirror")
	s.ok("verify", "medium/site-000001", "--pub", "site.pub")
	s.ok("import", "medium/site-000001", "medium/keyed-000001", "--to", "mirror", "--accept-keys=keyed-000001")
	s.expect("mirror", "served-1")
	s.ok("import", "medium", "--to", "mirror", "--accept-keys")
	s.expect("mirror", "served-2")
	for _, dir := range []string{"medium/site-000001", "medium/site-000002", "medium/keyed-000001", "refused/kinds-000001"} {
		s.shell("cd " + dir + " && sha256sum --quiet -c SHA256SUMS")
	}
}

// expect compares what a mirror serves of the lists with a file like SHA256SUMS.
func (s *site) expect(mirror, sums string) {
	s.t.Helper()
	got := s.sums(mirror)
	if want := s.read(sums); got != want {
		s.t.Errorf("%s serves\n%swant\n%s", mirror, got, want)
	}
}

func (s *site) sums(mirror string) string {
	s.t.Helper()
	contents := map[string]string{}
	for _, place := range []string{"files", "apt/debs", "oci/images"} {
		real, err := filepath.EvalSymlinks(s.path(mirror + "/current/" + place))
		s.check(err)
		rel, err := filepath.Rel(s.dir, real)
		s.check(err)
		for name, c := range s.contents(rel) {
			contents[place+name] = c
		}
	}
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(contents)) {
		fmt.Fprintf(&b, "%x  %s\n", sha256.Sum256([]byte(contents[name])), name)
	}
	return b.String()
}

// makeGolden writes the bundles, their keys and what they hold.
func makeGolden(t *testing.T, to string) {
	s := newSite(t, map[string]string{
		"text": strings.Repeat("a line that compresses\n", 200), "empty": "", "noise": noise(1, 3000), "same": noise(1, 3000),
		"deep/er/ü ☃.txt": "a name that is not plain", "spans": noise(2, 1<<20+1<<18),
	})
	s.export("medium", "--volume-size", "1MiB")
	s.write("data/text", "another text")
	s.write("data/new", "new")
	s.check(os.Remove(s.path("data/empty")))
	s.export("medium")
	makeKeyed(s)
	s.copy("keys/exporter.pub", "site.pub")
	for _, set := range []string{"site", "keyed"} {
		s.ok("trust", "add", "--mirror", "mirror", "--role", "exporter", "--set", set, "--yes", set+".pub")
	}
	s.ok("import", "medium/site-000001", "medium/keyed-000001", "--to", "mirror", "--accept-keys")
	s.write("served-1", s.sums("mirror"))
	s.ok("import", "medium", "--to", "mirror", "--accept-keys")
	s.write("served-2", s.sums("mirror"))
	s.shell("mkdir -p " + to + " && cp -r medium site.pub keyed.pub served-1 served-2 " + to)
}

// makeKeyed writes the bundle with everything that the folder kind does not use.
func makeKeyed(s *site) {
	e := bundletest.New(s.t, "keyed")
	e.Export(s.t, []bundletest.Repository{
		{Name: "debs", Kind: "apt", Mount: "apt/debs", Files: map[string]string{"dists/stable/InRelease": "release", "pool/a.deb": noise(3, 2000)}},
		{Name: "images", Kind: "oci", Mount: "oci/images", Files: map[string]string{"v2/a/manifests/latest": "{}"},
			MediaTypes: map[string]string{"v2/a/manifests/latest": "application/vnd.oci.image.index.v1+json"}},
		bundletest.Keyring(),
	}, bundletest.Options{
		Targets: []string{s.path("medium")},
		Keys:    []bundle.PublishedKey{bundletest.Published("apt/debs")},
		Change: func(m *bundle.Manifest) {
			m.Annotations = map[string]string{"dev.example.note": "kept as it is"}
		},
	})
	s.write("keyed.pub", string(e.Signer.PublicPEM()))
}
