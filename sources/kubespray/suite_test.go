package kubespray

import (
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/test/upstreamtest"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/files"
	"github.com/gapbundle/gapbundle/sources/sourcetest"
)

// checkout is a made-up Kubespray with its lists, on the disk and on a fake upstream.
type checkout struct {
	t      testing.TB
	dir    string
	server *upstreamtest.Server
	files  map[string]string // content by path on the server
}

const (
	kubelet = "/release/v1.34.1/bin/linux/amd64/kubelet"
	runsc   = "/gvisor/releases/release/20260101.0/x86_64/runsc"
	helmTGZ = "/helm-v3.18.4-linux-amd64.tar.gz"
)

func (c *checkout) write(name, content string) {
	c.t.Helper()
	full := filepath.Join(c.dir, name)
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		c.t.Fatal(err)
	}
	if err := os.WriteFile(full, []byte(content), 0o644); err != nil {
		c.t.Fatal(err)
	}
}

// publish writes checksums and lists for the files, and returns the spec.
func (c *checkout) publish() string {
	var list strings.Builder
	sums := map[string]string{}
	for _, p := range slices.Sorted(maps.Keys(c.files)) {
		content := []byte(c.files[p])
		c.server.Put(p, content)
		list.WriteString(c.server.URL(p) + "\r\n")
		digest := sha512.Sum512(content)
		sums[p] = "sha256:" + bundle.DigestOf(content).Hex()
		if p == runsc {
			sums[p] = "sha512:" + hex.EncodeToString(digest[:])
		}
	}
	var tables strings.Builder
	for p, entry := range map[string]string{
		kubelet: "kubelet_checksums:\n  amd64:\n    1.34.1: ",
		runsc:   "gvisor_runsc_binary_checksums:\n  amd64:\n    20260101.0: ",
		helmTGZ: "helm_archive_checksums:\n  amd64:\n    3.18.4: ",
	} {
		if sums[p] != "" {
			tables.WriteString(entry + sums[p] + "\n")
		}
	}
	c.write("kubespray/galaxy.yml", "namespace: x\nversion: 2.31.0\n")
	c.write("kubespray/"+tablePlaces[0], tables.String())
	c.write("files.list", "# made by a test\n"+list.String()+list.String())
	return "- name: cluster\n  kind: kubespray\n  checkout: kubespray\n  files: [files.list]\n"
}

func newCheckout(t testing.TB, dir string) *checkout {
	return &checkout{t: t, dir: dir, server: upstreamtest.New(t), files: map[string]string{
		kubelet: strings.Repeat("kubelet", 1000), runsc: "runsc", helmTGZ: strings.Repeat("helm", 1000),
	}}
}

func TestSuite(t *testing.T) {
	sourcetest.Run(t, sourcetest.Suite{
		Kinds: sources.Kinds{Kind(), files.Kind()}, Counted: "deployments", Signed: "what is made here is made of a checkout on the exporter's own disk",
		New: func(t *testing.T, dir string) *sourcetest.Upstream {
			c := newCheckout(t, dir)
			return &sourcetest.Upstream{
				Server: c.server, Sources: c.publish(),
				Payload: map[string][]byte{kubelet: []byte(c.files[kubelet]), helmTGZ: []byte(c.files[helmTGZ])},
				Next: [2]func() string{
					func() string {
						c.files[kubelet], c.files["/extra"] = "changed", "extra"
						spec := c.publish()
						return spec + fmt.Sprintf("  unpinned: [%q]\n", c.server.URL("/extra"))
					},
					func() string {
						delete(c.files, runsc)
						delete(c.files, "/extra")
						return c.publish()
					},
				},
				Nothing: []sourcetest.Nothing{
					{Sources: c.publish() + "  drop: \"*/nosuch\"\n", Names: []string{"drop", "*/nosuch"}},
					{Sources: c.publish() + "  drop: \"*\"\n", Names: []string{"drop", "*"}},
					{Sources: c.publish() + "  unpinned: http://nosuch.example/x\n", Names: []string{"unpinned", "nosuch.example/x"}},
				},
				Forgeries: []sourcetest.Forgery{
					{Name: "another kubelet", Do: func() { c.server.Put(kubelet, []byte("forged")) }, Class: fetch.ErrRefused, Names: []string{c.server.URL(kubelet)}},
					{Name: "another runsc", Do: func() { c.server.Put(runsc, []byte("RUNSC")) }, Class: fetch.ErrRefused, Names: []string{c.server.URL(runsc), "sha512:"}},
					{Name: "a file is gone", Do: func() { c.server.Remove(helmTGZ) }, Class: fetch.ErrUpstream, Names: []string{c.server.URL(helmTGZ)}},
				},
			}
		},
	})
}
