//go:build clients

package rpm

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/internal/test/webtest"
)

// publicHost is where the packages of vendors lead their clients.
const publicHost = "public.invalid"

// releasePackage is the spec of a package as EPEL and vendors have it: with a .repo file that
// leads to the public host.
const releasePackage = `Name: epel-release
Version: 9
Release: 1
License: MIT
BuildArch: noarch
AutoReqProv: no
Summary: repositories of a vendor
%description
It is there for a test.
%install
mkdir -p %{buildroot}/etc/yum.repos.d
printf '[epel]\nname=EPEL\nmetalink=https://public.invalid/metalink\nenabled=1\ngpgcheck=1\n' >%{buildroot}/etc/yum.repos.d/epel.repo
%files
%config(noreplace) /etc/yum.repos.d/epel.repo
%changelog
* Mon Nov 02 2026 Nobody <nobody@a.example> - 1
- Made.
`

// TestDNFPlacement: repositories below a shared base, called as tasks call them, verbatim and
// rebuilt, by every server.
func TestDNFPlacement(t *testing.T) {
	w := newWorld(t)
	w.fill()
	source := func(name, from, more string) string {
		return fmt.Sprintf("- name: %s\n  kind: rpm\n  baseurl: %s/%s\n  gpgkey: upstream.asc\n  vars: {basearch: x86_64}\n  base: rocky\n%s", name, w.url, from, more)
	}
	w.publish("set", source("base", "os", "  at: 9/BaseOS/$basearch/os\n  repoid: baseos\n")+
		source("powertools", "flat", "  at: 9/PowerTools/$(ARCH)/os\n  repoid: [powertools, crb]\n  newest: 1\n  as: Rocky-PowerTools.repo\n"))
	webtest.Each(t, w.mirror, func(t *testing.T, s *webtest.Server) {
		here := *w
		here.t = t
		d := here.newDNF(s.URL, "base", "powertools/Rocky-PowerTools")
		for _, options := range [][]string{nil, {"--enablerepo=powertools"}, {"--enablerepo=crb"}, {"--disablerepo=powertools", "--enablerepo=crb"}} {
			if got := d.download(append(options, "tool")...); !strings.Contains(got, "tool-3^git1-1.x86_64") {
				t.Errorf("%v: downloaded %s", options, got)
			}
		}
		if out, err := d.try("install", "--downloadonly", "--disablerepo=powertools", "tool"); err == nil {
			t.Errorf("both names are on:\n%s", out)
		}
		if out := d.must("repolist", "--all"); !strings.Contains(out, "powertools") || !strings.Contains(out, "crb") || !strings.Contains(out, "baseos") {
			t.Errorf("repositories:\n%s", out)
		}
		here.get(s.URL + "/rpm/rocky/9/BaseOS/x86_64/os/repodata/repomd.xml")
		here.get(s.URL + "/rpm/rocky/9/PowerTools/x86_64/os/repodata/repomd.xml")
	})
}

// TestDNFKeepsClientFiles: a release package that is installed later does not bring the public
// host back over a client file that has its name, and it does over one that has another.
func TestDNFKeepsClientFiles(t *testing.T) {
	w := newWorld(t)
	w.put("epel", "signed/os")
	w.put("epel", "signed/release")
	w.createrepo("epel", true)
	source := func(name, more string) string {
		return fmt.Sprintf("- name: %s\n  kind: rpm\n  baseurl: %s/epel\n  gpgkey: upstream.asc\n%s", name, w.url, more)
	}
	w.publish("set", source("epel9", "  as: epel.repo\n  repoid: epel\n")+source("other", "  mode: rebuilt\n  architectures: x86_64\n"))
	base := webtest.Start(t, webtest.Serve, w.mirror).URL
	d := w.newDNF(base, "epel9/epel")
	client := filepath.Join(d.root, "etc/yum.repos.d/epel.repo")
	before, err := os.ReadFile(client)
	w.Check(err)
	d.must("install", "epel-release")
	after, err := os.ReadFile(client)
	w.Check(err)
	if string(after) != string(before) || !strings.Contains(string(after), "\n[epel]\n") {
		t.Errorf("the client file is\n%s", after)
	}
	if _, err := os.Stat(client + ".rpmnew"); err != nil {
		t.Errorf("the file of the package: %v", err)
	}
	d.must("clean", "all")
	if out := d.must("repolist", "-v"); strings.Contains(out, publicHost) || !strings.Contains(out, base) {
		t.Errorf("repositories:\n%s", out)
	}
	d.must("install", "--enablerepo=epel", "hello")
	other := w.newDNF(base, "other")
	if _, err := os.Stat(filepath.Join(other.root, "etc/yum.repos.d/epel.repo")); !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	other.must("install", "epel-release")
	if out, err := other.try("--refresh", "makecache"); err == nil || !strings.Contains(out, publicHost) {
		t.Errorf("over a client file of another name: %v\n%s", err, out)
	}
}
