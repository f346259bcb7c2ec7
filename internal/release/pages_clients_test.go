//go:build clients

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/internal/test/pages"
)

// asThePage runs the blocks of docs/install.md on a machine of its own: with copies of /etc and
// empty folders in the places of those that the commands change, with the account that the
// package's sysusers.d makes, and with systemctl on a root that is not booted. So --now has
// nothing to start, and gapbundle-inside gets --yes, because nobody is there to compare.
func asThePage(t *testing.T, release, readme string) {
	for _, text := range []string{pages.Text(t, "README.md", "releases", 1), pages.Text(t, "docs/install.md", "what-a-release-has", 1)} {
		home := t.TempDir()
		check := exec.CommandContext(t.Context(), "sh", "-eu", "-c", strings.ReplaceAll(text, "path/to/clone/README.md", readme))
		check.Dir, check.Env = release, append(os.Environ(), "GNUPGHOME="+home)
		if out, err := check.CombinedOutput(); err != nil || !strings.Contains(string(out), "Good signature") {
			t.Errorf("%v\n%s", err, out)
		}
		_ = exec.Command("gpgconf", "--homedir", home, "--kill", "all").Run()
	}
	root := t.TempDir()
	for _, name := range []string{"usr/lib/systemd/system", "usr/lib/sysusers.d", "usr/bin", "etc", "bin", "srv", "lib", "work"} {
		if err := os.MkdirAll(filepath.Join(root, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, dir := range []string{root, filepath.Dir(root)} { // the account has to reach it
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	entries, err := files.ReadDir("files")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), "gapbundle-") {
			if _, err := unpackFile(filepath.Join(root, "usr/lib/systemd/system"), e.Name()); err != nil {
				t.Fatal(err)
			}
		}
	}
	accounts, err := unpackFile(filepath.Join(root, "usr/lib/sysusers.d"), "sysusers.conf")
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(filepath.Join(release, "gapbundle-inside_linux_amd64"))
	if err != nil {
		t.Fatal(err)
	}
	inside := filepath.Join(root, "usr/bin/gapbundle-inside")
	if err := os.WriteFile(inside, program, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"bin/systemctl":        fmt.Sprintf("#!/bin/sh\n[ \"$1 $2\" = 'enable --now' ] && exec /usr/bin/systemctl --root=%s enable \"$3\"\nexit 1\n", root),
		"bin/gapbundle-inside": "#!/bin/sh\nexec " + inside + " \"$@\" --yes\n",
		"work/machine": fmt.Sprintf(`set -eu
cd %[1]s
cp -a /etc copy
mount --bind copy /etc
mount --bind srv /srv
mount --bind lib /var/lib
systemd-sysusers %[2]s
cd work
openssl genpkey -algorithm ed25519 -out exporter.key
openssl pkey -in exporter.key -pubout -out exporter.pub
export PATH=%[1]s/bin:$PATH
for text in "$@"; do sh -eu -c "$text"; done
stat -c %%U /srv/mirror /srv/mirror/state /var/lib/gapbundle/export
runuser -u gapbundle -- %[1]s/usr/bin/gapbundle-inside trust list --mirror /srv/mirror
`, root, accounts),
	} {
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	out, err := exec.CommandContext(t.Context(), "unshare", "--mount", "sh", filepath.Join(root, "work/machine"),
		pages.Text(t, "docs/install.md", "serve", 1),
		pages.Text(t, "docs/install.md", "unattended-imports", 1),
		pages.Text(t, "docs/install.md", "unattended-exports", 1)).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if !strings.Contains(string(out), "gapbundle\ngapbundle\ngapbundle\n") {
		t.Errorf("the folders are not those of the account:\n%s", out)
	}
	for _, unit := range []string{"gapbundle-serve.service", "gapbundle-import.path", "gapbundle-export.timer"} {
		if found, err := filepath.Glob(filepath.Join(root, "etc/systemd/system/*.wants", unit)); err != nil || len(found) != 1 {
			t.Errorf("%s: not enabled: %v %v\n%s", unit, found, err, out)
		}
	}
}
