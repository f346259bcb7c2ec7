package files

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/pgpkeys"
	"github.com/gapbundle/gapbundle/internal/test/plantest"
	"github.com/gapbundle/gapbundle/internal/test/upstreamtest"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/sourcetest"
)

// release is a site with signed checksums and one pinned tool.
type release struct {
	site   *site
	server *upstreamtest.Server
	files  map[string]string
	sign   func(sums string) []byte
}

func (r *release) publish() string {
	var sums strings.Builder
	urls := ""
	for _, name := range slices.Sorted(maps.Keys(r.files)) {
		r.server.Put("/r/"+name, []byte(r.files[name]))
		fmt.Fprintf(&sums, "%s  %s\n", bundle.DigestOf([]byte(r.files[name])).Hex(), name)
		urls += "    - " + r.server.URL("/r/"+name) + "\n"
	}
	r.server.Put("/r/SHA256SUMS", []byte(sums.String()))
	r.server.Put("/r/SHA256SUMS.asc", r.sign(sums.String()))
	tool := r.server.URL("/tool?v=1")
	r.server.Put("/tool", []byte("the tool"))
	return "- name: release\n  kind: files\n  urls:\n" + urls +
		"    - {url: \"" + tool + "\", path: tools/t, sha256: " + bundle.DigestOf([]byte("the tool")).Hex() + "}\n" +
		"  checksums: " + r.server.URL("/r/SHA256SUMS") + "\n  keyring: keys.asc\n" +
		"- name: local\n  kind: files\n  dir: local\n"
}

func TestSuite(t *testing.T) {
	sourcetest.Run(t, sourcetest.Suite{
		Kinds: sources.Kinds{Kind()}, Counted: "files", FirstAlone: true,
		New: func(t *testing.T, dir string) *sourcetest.Upstream {
			alice, eve := plantest.NewSigner(t, "alice", 0), plantest.NewSigner(t, "eve", 0)
			r := &release{
				site: &site{t: t, dir: dir}, server: upstreamtest.New(t),
				files: map[string]string{"a.tar": strings.Repeat("tar", 1000), "v1/b.iso": strings.Repeat("iso", 500_000)},
				sign:  func(sums string) []byte { return detached(t, alice, []byte(sums), true) },
			}
			r.site.keyring("keys.asc", true, alice)
			r.site.write("local/notes/readme.txt", "notes")
			r.site.write("local/z", "z")
			r.site.write("nothing.list", "# all of it was taken out\n")
			if err := os.MkdirAll(filepath.Join(dir, "empty", "below"), 0o755); err != nil {
				t.Fatal(err)
			}
			sums := r.server.URL("/r/SHA256SUMS")
			return &sourcetest.Upstream{
				Server: r.server, Sources: r.publish(),
				Payload: map[string][]byte{"/r/a.tar": []byte(r.files["a.tar"]), "/r/v1/b.iso": []byte(r.files["v1/b.iso"])},
				Next: [2]func() string{
					func() string {
						r.files["a.tar"], r.files["v2/c"] = "changed", "new"
						r.site.write("local/new", "new")
						return r.publish()
					},
					func() string {
						delete(r.files, "v1/b.iso")
						return r.publish()
					},
				},
				Nothing: []sourcetest.Nothing{
					{Sources: "- name: s\n  kind: files\n  list: nothing.list\n", Names: []string{"list nothing.list", "no URL"}},
					{Sources: "- name: s\n  kind: files\n  dir: empty\n", Names: []string{"dir ", "empty: no file"}},
				},
				Forgeries: []sourcetest.Forgery{
					{Name: "signed by somebody else", Do: func() {
						r.sign = func(sums string) []byte { return detached(t, eve, []byte(sums), true) }
						r.publish()
					}, Class: fetch.ErrRefused, Names: []string{sums + ".asc", pgpkeys.Fingerprint(eve), pgpkeys.Fingerprint(alice)}},
					{Name: "signature gone", Do: func() { r.server.Remove("/r/SHA256SUMS.asc") }, Class: fetch.ErrRefused, Names: []string{sums, pgpkeys.Fingerprint(alice)}},
					{Name: "checksums altered", Do: func() { r.server.Put("/r/SHA256SUMS", []byte(sumX.Hex()+"  a.tar\n")) }, Class: fetch.ErrRefused, Names: []string{sums + ".asc"}},
					{Name: "signature truncated", Do: func() {
						r.server.Put("/r/SHA256SUMS.asc", []byte("-----BEGIN PGP SIGNATURE-----\n\n"))
					}, Class: fetch.ErrRefused, Names: []string{sums + ".asc"}},
					{Name: "file gone", Do: func() { r.server.Remove("/r/a.tar") }, Class: fetch.ErrUpstream, Names: []string{r.server.URL("/r/a.tar")}},
					{Name: "pinned file differs", Do: func() { r.server.Put("/tool", []byte("tampered")) }, Class: fetch.ErrRefused, Names: []string{r.server.URL("/tool"), bundle.DigestOf([]byte("the tool")).String()}},
				},
			}
		},
	})
}
