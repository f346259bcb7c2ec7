//go:build clients

package apt

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/internal/test/webtest"
)

// line tries an entry as roles write it that have a base address and add the rest of the path
// by themselves.
func (a *apt) line(name, entry string) {
	key := filepath.Join(a.root, "key.asc")
	a.w.Write(filepath.Join(a.root, "etc/apt/sources.list.d", name+".list"), []byte(strings.Replace(entry, "KEY", key, 1)+"\n"))
}

// TestAptByBaseAddress: the NVIDIA Container Toolkit's role has a base address and appends
// /stable/deb/<architecture>. It finds the mirror's address without a word about the folder,
// by at, and in a base that sources share, verbatim and rebuilt.
func TestAptByBaseAddress(t *testing.T) {
	w := newWorld(t)
	for _, channel := range []string{"stable", "experimental"} {
		for _, arch := range []string{"amd64", "arm64"} {
			at := "libnvidia-container/" + channel + "/deb/" + arch
			w.deb(at, "", "toolkit", map[string]string{"stable": "1.17-1", "experimental": "1.18~rc1-1"}[channel], arch)
			w.flat(at)
		}
	}
	source := func(name, channel, more string) string {
		return fmt.Sprintf("- name: %s\n  kind: apt\n  url: %s/libnvidia-container/%s/deb/$(ARCH)\n  suites: /\n  architectures: [amd64, arm64]\n  keyring: upstream.asc\n%s", name, w.url, channel, more)
	}
	w.publish("plain", source("toolkit", "stable", ""))
	w.publish("part", source("chosen", "stable", "  packages: [toolkit]\n"))
	w.publish("placed", source("stable", "stable", "  base: nvidia\n  at: stable/deb/$(ARCH)\n")+
		source("experimental", "experimental", "  base: nvidia\n  at: experimental/deb/$(ARCH)\n  newest: 1\n  release: any\n"))
	webtest.Each(t, w.mirror, func(t *testing.T, s *webtest.Server) {
		here := *w
		here.t = t
		for base, test := range map[string]struct{ key, channel, version string }{
			"/apt/toolkit/libnvidia-container": {"toolkit.asc", "stable", "1.17-1"},
			"/apt/chosen/libnvidia-container":  {"part-site.asc", "stable", "1.17-1"},
			"/apt/nvidia":                      {"stable.asc", "stable", "1.17-1"},
			"/apt/nvidia/":                     {"placed-site.asc", "experimental", "1.18~rc1-1"},
		} {
			for _, arch := range []string{"$(ARCH)", "arm64"} {
				a := here.newApt(s.URL, "arm64")
				here.Write(filepath.Join(a.root, "key.asc"), here.get(s.URL+"/keys/"+test.key))
				a.line("role", "deb [signed-by=KEY] "+s.URL+strings.TrimSuffix(base, "/")+"/"+test.channel+"/deb/"+arch+" /")
				a.update()
				a.must("apt-get", "install", "--download-only", "--yes", "toolkit")
				if got := a.downloaded(); got != "toolkit_"+test.version+"_arm64.deb" {
					t.Errorf("%s %s: downloaded %s", base, arch, got)
				}
			}
		}
		for _, name := range []string{"toolkit", "chosen", "stable", "experimental"} { // and by the client files
			a := here.newApt(s.URL, "amd64", name)
			a.update()
			a.must("apt-get", "install", "--download-only", "--yes", "toolkit")
		}
	})
}

// publicHost is where the packages of vendors lead their clients.
const publicHost = "public.invalid"

// releasePackage builds a package as vendors have it: with a file of sources that leads to
// the public host. Everything below /etc is a conffile (Debian Policy, 10.7).
func (w *world) releasePackage(repo, name, file, content string) {
	w.t.Helper()
	dir := filepath.Join(w.t.TempDir(), name)
	w.Write(filepath.Join(dir, "DEBIAN/control"), fmt.Appendf(nil, "Package: %s\nVersion: 1\nArchitecture: all\nMaintainer: Nobody <nobody@a.example>\nDescription: sources of a vendor\n", name))
	w.Write(filepath.Join(dir, "DEBIAN/conffiles"), []byte("/etc/apt/sources.list.d/"+file+"\n"))
	w.Write(filepath.Join(dir, "etc/apt/sources.list.d", file), []byte(content))
	w.run("", "dpkg-deb", "--root-owner-group", "--build", dir, filepath.Join(w.www, repo, name+"_1_all.deb"))
}

// install has the real dpkg install packages into the client's root.
func (a *apt) install(options []string, names ...string) (string, error) {
	a.w.t.Helper()
	for _, folder := range []string{"lib/dpkg/info", "lib/dpkg/updates", "lib/dpkg/triggers", "log/apt"} {
		a.w.Check(os.MkdirAll(filepath.Join(a.root, "var", folder), 0o755))
	}
	args := append([]string{"install", "--yes", "-o", "Dpkg::Options::=--root=" + a.root, "-o", "Dpkg::Options::=--log=/dev/null"}, options...)
	return a.try("apt-get", append(args, names...)...)
}

// TestAptKeepsClientFiles: the package of a vendor that is installed later does not bring the
// public host back over a client file that has its name, and it does over one that has another.
// Ansible's apt module passes these options of dpkg.
func TestAptKeepsClientFiles(t *testing.T) {
	w := newWorld(t)
	w.deb("vendor", "", "driver", "570.1", "amd64")
	const file = "cuda-ubuntu2404-x86_64.list"
	w.releasePackage("vendor", "cuda-keyring", file, "deb http://"+publicHost+"/cuda /\n")
	w.releasePackage("vendor", "vendor-release", "vendor.sources", "Types: deb\nURIs: http://"+publicHost+"/vendor\nSuites: /\n")
	w.flat("vendor")
	source := func(name, more string) string {
		return fmt.Sprintf("- name: %s\n  kind: apt\n  url: %s/vendor\n  suites: /\n  architectures: amd64\n  keyring: upstream.asc\n%s", name, w.url, more)
	}
	w.publish("set", source("lines", "  as: "+file+"\n")+source("deb822", "  as: vendor.sources\n  newest: 1\n  release: any\n")+source("plain", ""))
	base := webtest.Start(t, webtest.Serve, w.mirror).URL
	keep := []string{"-o", "Dpkg::Options::=--force-confdef", "-o", "Dpkg::Options::=--force-confold"}
	uris := func(a *apt) string { return a.must("apt-get", "update", "--print-uris") }
	for _, test := range []struct{ client, file, release string }{
		{"lines/" + file, file, "cuda-keyring"}, {"deb822/vendor.sources", "vendor.sources", "vendor-release"},
	} {
		a := w.newApt(base, "amd64", test.client)
		a.update()
		client := filepath.Join(a.root, "etc/apt/sources.list.d", test.file)
		before, err := os.ReadFile(client)
		w.Check(err)
		if out, err := a.install(keep, test.release); err != nil {
			t.Fatalf("%s: %v\n%s", test.release, err, out)
		}
		after, err := os.ReadFile(client)
		w.Check(err)
		if string(before) != string(after) || strings.Contains(uris(a), publicHost) {
			t.Errorf("%s: the client file is\n%s\nand asks\n%s", test.release, after, uris(a))
		}
		a.update()
		if out, err := a.install(keep, "driver"); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		// dpkg by itself asks, and nobody is there to answer: it changes nothing and fails.
		b := w.newApt(base, "amd64", test.client)
		b.update()
		if out, err := b.install(nil, test.release); err == nil || strings.Contains(uris(b), publicHost) {
			t.Errorf("%s without options: %v\n%s", test.release, err, out)
		}
		// Under another name the public host is back.
		c := w.newApt(base, "amd64", "plain")
		c.update()
		if out, err := c.install(keep, test.release); err != nil || !strings.Contains(uris(c), publicHost) {
			t.Errorf("%s over a client file of another name: %v\n%s", test.release, err, out)
		}
	}
}
