//go:build clients

package apt

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/internal/test/prepared"
	"github.com/gapbundle/gapbundle/internal/test/webtest"
)

// TestInstallerClients: apt, as the builds of the Debian installer use it, gets udebs of a verbatim
// and of a rebuilt source, gpgv finds that Release is signed, and the Debian installer itself installs udebs.
func TestInstallerClients(t *testing.T) {
	w := newWorld(t)
	arch := strings.TrimSpace(string(w.run("", "dpkg", "--print-architecture")))
	w.deb("os", "pool/main/h/hello", "hello", "1", arch)
	w.udeb("os", "pool/udebs", "site-lib", "9", arch)
	w.udeb("os", "pool/udebs", "site-menu", "9", arch, "Depends: site-lib")
	w.suite("os", "bookworm", []string{"main"}, []string{arch})
	spec := func(name, more string) string {
		return fmt.Sprintf("- name: %s\n  kind: apt\n  url: %s/os\n  suites: bookworm\n  architectures: %s\n  keyring: upstream.asc\n  installer: bookworm\n  %s\n", name, w.url, arch, more)
	}
	w.publish("whole", spec("whole", "mode: verbatim"))
	w.publish("part", spec("part", "packages: [hello]"))
	s := webtest.Start(t, webtest.Serve, w.mirror)
	for source, key := range map[string]string{"whole": "whole", "part": "part-site"} {
		a, base := w.newApt(s.URL, arch), s.URL+"/apt/"+source
		w.Write(filepath.Join(a.root, "key.asc"), w.get(s.URL+"/keys/"+key+".asc"))
		a.line("installer", "deb [signed-by=KEY] "+base+" bookworm main main/debian-installer")
		a.update()
		a.must("apt-get", "download", "site-menu", "hello")
		if _, err := os.Stat(filepath.Join(a.root, "site-menu_9_"+arch+".udeb")); err != nil {
			t.Errorf("%s: %v", source, err)
		}
		for _, name := range []string{"Release", "Release.gpg"} {
			w.Write(filepath.Join(a.root, name), w.get(base+"/dists/bookworm/"+name))
		}
		w.Write(filepath.Join(a.root, "key.gpg"), w.get(s.URL+"/keys/"+key+".gpg"))
		a.must("gpgv", "--keyring", filepath.Join(a.root, "key.gpg"), "Release.gpg", "Release")
		if label := string(w.get(base + "/dists/bookworm/main/binary-" + arch + "/Release")); !strings.Contains(label, "Component: main\n") {
			t.Errorf("%s: binary-%s/Release is %q", source, arch, label)
		}
		in := newInstaller(t, arch, filepath.Join(a.root, "key.gpg"))
		if out, err := in.run(s.URL, "/apt/"+source); err != nil || !in.has("site-menu") || !in.has("site-lib") || !strings.Contains(out, "Good signature") {
			t.Errorf("%s: the installer: %v, site-menu %v, site-lib %v\n%s", source, err, in.has("site-menu"), in.has("site-lib"), out)
		}
	}
	in := newInstaller(t, arch, filepath.Join(t.TempDir(), "other.gpg")) // no key of the mirror
	if out, err := in.run(s.URL, "/apt/part"); err == nil || in.has("site-menu") || !strings.Contains(out, "Bad signature on") {
		t.Errorf("the installer with another key: %v\n%s", err, out)
	}
}

// debianInstaller is the tree that the Debian installer runs in: what its initrd has.
type debianInstaller struct {
	t    *testing.T
	root string
}

// newInstaller makes a tree of its own, with the keyring that the installer trusts. An empty keyring is made.
func newInstaller(t *testing.T, arch, keyring string) *debianInstaller {
	t.Helper()
	in := &debianInstaller{t, filepath.Join(t.TempDir(), "root")}
	out, err := exec.CommandContext(t.Context(), "cp", "--archive", prepared.DebianInstaller(t, arch), in.root).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	key, err := os.ReadFile(keyring)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(in.root, "usr/share/keyrings/archive.gpg"), key, 0o644); err != nil {
		t.Fatal(err)
	}
	return in
}

// run has the installer's programs choose the mirror, read the index of its udebs and install
// site-menu. It returns what they printed and logged.
func (in *debianInstaller) run(base, directory string) (string, error) {
	in.t.Helper()
	_, host, _ := strings.Cut(base, "://")
	out, err := exec.CommandContext(in.t.Context(), "timeout", "120", "unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "testdata/installer.sh", in.root, host, directory).CombinedOutput()
	return string(out), err
}

// has reports whether a udeb was installed.
func (in *debianInstaller) has(name string) bool {
	_, err := os.Stat(filepath.Join(in.root, "usr/share", name, "content"))
	return err == nil
}

// udeb builds a real package for the installer, and adds it to the index of those.
func (w *world) udeb(repo, folder, name, version, arch string, fields ...string) {
	w.t.Helper()
	w.deb(repo, folder, name, version, arch, fields...)
	root := filepath.Join(w.www, repo)
	index := w.run(root, "apt-ftparchive", "--arch", arch, "packages", folder)
	file := filepath.Join(root, folder, name+"_"+version+"_"+arch)
	w.Check(os.Rename(file+".deb", file+".udeb"))
	w.udebs = append(w.udebs, bytes.ReplaceAll(index, []byte(".deb\n"), []byte(".udeb\n"))...)
}
