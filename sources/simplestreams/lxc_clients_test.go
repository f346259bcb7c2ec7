//go:build clients

package simplestreams

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
)

// Debian's lxc, without a daemon, lists, shows and exports an image from the
// mirror, whose bytes are upstream's.
func TestLXC(t *testing.T) {
	for name, options := range map[string][]string{"rebuilt": {`filters: "arch=amd64"`}, "verbatim": nil} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.t = t
			containers(t, w.mirror)
			w.ship(options...)
			w.serve(func(t *testing.T, at string) {
				home := t.TempDir()
				lxc := func(args ...string) string {
					t.Helper()
					return string(w.run(nil, []string{"HOME=" + home, "LXD_CONF=" + home}, "lxc", args...))
				}
				script := strings.ReplaceAll(string(w.curl(at+"/_gapbundle/clients/simplestreams/lxc/images.sh")), "@BASE@", at)
				for line := range strings.Lines(script) {
					if rest, ok := strings.CutPrefix(strings.TrimSpace(line), "lxc "); ok {
						lxc(strings.Fields(rest)...)
					}
				}
				const path = "images/debian/bookworm/amd64/20261120_07-42/"
				meta, squashfs := w.content[path+"lxd.tar.xz"], w.content[path+"rootfs.squashfs"]
				fingerprint := bundle.DigestOf(append(bytes.Clone(meta), squashfs...)).Hex()
				list := lxc("image", "list", "mirror-images:", "--format", "csv")
				if !strings.Contains(list, "debian/bookworm") || !strings.Contains(list, fingerprint[:12]) || strings.Contains(list, "aarch64") != (name == "verbatim") {
					t.Errorf("list:\n%s", list)
				}
				if info := lxc("image", "info", "mirror-images:debian/bookworm/amd64"); !strings.Contains(info, fingerprint) {
					t.Errorf("info:\n%s", info)
				}
				out := t.TempDir()
				lxc("image", "export", "mirror-images:debian/bookworm", out)
				for file, want := range map[string][]byte{"lxd.tar.xz": meta, "rootfs.squashfs": squashfs} {
					if got, err := os.ReadFile(filepath.Join(out, file)); err != nil || !bytes.Equal(got, want) {
						t.Errorf("%s: %v", file, err)
					}
				}
			})
		})
	}
}
