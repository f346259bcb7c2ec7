//go:build clients

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/internal/test/pages"
)

// pageScript is run with mounts of its own. The account is the one that systemd-sysusers makes by the installed
// file, and the folders are made by systemd-tmpfiles. systemd itself does not run here: systemctl enables
// the units of the root. Where a person would confirm the fingerprint, --yes does.
const pageScript = `set -eu
root=$1 page=$2
for name in passwd group shadow gshadow; do cp "/etc/$name" "$root/etc/$name"; done
systemd-sysusers --root="$root"
for name in passwd group; do mount --bind "$root/etc/$name" "/etc/$name"; done
for dir in /srv /mnt /usr/local/bin /var/lib; do mount -t tmpfs -o mode=755 tmpfs "$dir"; done
cp "$root/usr/bin/gapbundle-inside" /usr/local/bin/
systemd-tmpfiles --create "$root/usr/lib/tmpfiles.d/gapbundle.conf"
cd /mnt
cp "$root/var/lib/gapbundle/export/keys/exporter.pub" .
systemctl() {
  [ "$1 $2" = "enable --now" ]
  command systemctl --root="$root" enable "$3"
}
eval "$page"
stat -c '%U %n' /srv/mirror /srv/mirror/state /var/lib/gapbundle /var/lib/gapbundle/incoming /var/lib/gapbundle/export
runuser -u gapbundle -- gapbundle-inside trust list --mirror /srv/mirror
`

// asThePage runs the commands of docs/install.md for the units, on what was installed below root.
func asThePage(t *testing.T, root string) {
	t.Helper()
	page := pages.Text(t, "docs/install.md", "serve", 1) + pages.Text(t, "docs/install.md", "unattended-exports", 1) +
		confirmed(pages.Text(t, "docs/install.md", "unattended-imports", 1))
	out, err := exec.CommandContext(t.Context(), "unshare", "--mount", "sh", "-c", pageScript, "sh", root, page).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s\n%s", err, page, out)
	}
	for _, want := range []string{"gapbundle /srv/mirror\n", "gapbundle /srv/mirror/state\n", "gapbundle /var/lib/gapbundle/incoming\n", "gapbundle /var/lib/gapbundle/export\n", "exporter  tools "} {
		if !strings.Contains(string(out), want) {
			t.Errorf("want %q in\n%s", want, out)
		}
	}
	for _, name := range []string{"multi-user.target.wants/gapbundle-serve.service", "timers.target.wants/gapbundle-export.timer", "paths.target.wants/gapbundle-import.path"} {
		if _, err := os.Lstat(filepath.Join(root, "etc/systemd/system", name)); err != nil {
			t.Errorf("not enabled: %v\n%s", err, out)
		}
	}
}

// confirmed answers for the person at the terminal.
func confirmed(page string) string {
	return strings.Replace(page, "--set tools exporter.pub", "--set tools --yes exporter.pub", 1)
}

// unitsOfThePage has systemd read the units of docs/serving.md, and rate how much they may do.
func unitsOfThePage(t *testing.T) {
	page, err := os.ReadFile("docs/serving.md")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	blocks := regexp.MustCompile("(?ms)^```ini\n(.*?)^```$").FindAllSubmatch(page, -1)
	if len(blocks) != 2 {
		t.Fatalf("%d units, want 2", len(blocks))
	}
	for i, name := range []string{"gapbundle-page-serve.service", "gapbundle-page-import@.service"} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, blocks[i][1], 0o644); err != nil {
			t.Fatal(err)
		}
		out, err := exec.CommandContext(t.Context(), "systemd-analyze", "security", "--offline=true", "--threshold=40", "--no-pager", path).CombinedOutput()
		if err != nil {
			t.Errorf("%s: may do more than it needs: %v\n%s", name, err, out)
		}
		verified, err := exec.CommandContext(t.Context(), "systemd-analyze", "verify", "--man=no", "--recursive-errors=no", path).CombinedOutput()
		for line := range strings.Lines(string(verified)) {
			if strings.Contains(line, "gapbundle-page") && !strings.Contains(line, "is not executable") { // the program is not installed here
				t.Errorf("systemd-analyze verify: %v: %s", err, line)
			}
		}
	}
}
