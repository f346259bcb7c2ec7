// Package prepared finds client programs that .ci puts into folders of their own, because
// Debian has other releases of them or cannot install them together. A program that is not
// there fails the test: a client that is not run proves nothing. It is for tests only.
package prepared

import (
	"os"
	"path/filepath"
	"testing"
)

// Ansible returns a program of a release of ansible-core, such as "2.17.14" or "newest", which
// .ci/ansible installs.
func Ansible(t testing.TB, release, name string) string {
	t.Helper()
	dir := os.Getenv("GAPBUNDLE_ANSIBLE")
	if dir == "" {
		dir = filepath.Join(cache(t), "gapbundle/ansible-core")
	}
	return there(t, ".ci/ansible", filepath.Join(dir, release, "bin", name))
}

// Python returns a program of a virtual environment, such as "pip-26.3", which .ci/python-clients
// makes.
func Python(t testing.TB, env, name string) string {
	t.Helper()
	return there(t, ".ci/python-clients", filepath.Join(cache(t), "gapbundle-clients/python", env, "bin", name))
}

// Zypper returns the program zypper, whose package cannot be installed next to dnf's plugins.
func Zypper(t testing.TB) string {
	t.Helper()
	return there(t, ".ci/clients", filepath.Join(cache(t), "gapbundle/zypper/usr/bin/zypper"))
}

// DebianInstaller returns the tree of the initrd of the Debian installer for an architecture, without
// its kernel modules.
func DebianInstaller(t testing.TB, arch string) string {
	t.Helper()
	dir := filepath.Join(cache(t), "gapbundle/debian-installer-"+arch)
	there(t, ".ci/clients", filepath.Join(dir, "usr/lib/debian-installer/retriever/net-retriever"))
	return dir
}

func cache(t testing.TB) string {
	t.Helper()
	dir, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func there(t testing.TB, script, path string) string {
	t.Helper()
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("%v: %s installs it", err, script)
	}
	return path
}
