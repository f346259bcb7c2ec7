//go:build clients

package simplestreams

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/test/webtest"
)

// lxc: Debian's lxc, without a daemon, lists, shows and exports an image from a source of the
// mirror, whose bytes are upstream's. all: both architectures are carried.
func lxc(t *testing.T, w *world, s *webtest.Server, up *mirror, source string, all bool) {
	home := t.TempDir()
	run := func(args ...string) string {
		t.Helper()
		return string(w.run(t, nil, []string{"HOME=" + home, "LXD_CONF=" + home}, "lxc", args...))
	}
	for line := range strings.Lines(string(w.Client(Name, "lxc/"+source+".sh"))) {
		if rest, ok := strings.CutPrefix(strings.TrimSpace(line), "lxc "); ok {
			run(strings.Fields(rest)...)
		}
	}
	const path = "images/debian/bookworm/amd64/20261120_07-42/"
	meta, squashfs := up.content[path+"lxd.tar.xz"], up.content[path+"rootfs.squashfs"]
	fingerprint := bundle.DigestOf(append(bytes.Clone(meta), squashfs...)).Hex()
	remote := "mirror-" + source + ":"
	list := run("image", "list", remote, "--format", "csv")
	if !strings.Contains(list, "debian/bookworm") || !strings.Contains(list, fingerprint[:12]) || strings.Contains(list, "aarch64") != all {
		t.Errorf("list:\n%s", list)
	}
	if info := run("image", "info", remote+"debian/bookworm/amd64"); !strings.Contains(info, fingerprint) {
		t.Errorf("info:\n%s", info)
	}
	out := t.TempDir()
	run("image", "export", remote+"debian/bookworm", out)
	for file, want := range map[string][]byte{"lxd.tar.xz": meta, "rootfs.squashfs": squashfs} {
		if got, err := os.ReadFile(filepath.Join(out, file)); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %v", file, err)
		}
	}
}
