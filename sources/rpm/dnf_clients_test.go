//go:build clients

package rpm

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/test/webtest"
	"github.com/gapbundle/gapbundle/sources/rpm/rpmmd"
)

const helloAndDependencies = "data-2.10-1.noarch hello-2.10-1.x86_64 libhello-2.10-1.x86_64"

const comps = `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE comps PUBLIC "-//Red Hat, Inc.//DTD Comps info//EN" "comps.dtd">
<comps>
  <group><id>greeters</id><name>Greeters</name><description>They greet</description><default>true</default><uservisible>true</uservisible>
    <packagelist><packagereq type="mandatory">hello</packagereq><packagereq type="optional">other</packagereq></packagelist></group>
  <group><id>rest</id><name>The rest</name><description>It does not</description><default>false</default><uservisible>true</uservisible>
    <packagelist><packagereq type="mandatory">other</packagereq></packagelist></group>
  <environment><id>everything</id><name>Everything</name><description>All of it</description><display_order>1</display_order>
    <grouplist><groupid>greeters</groupid><groupid>rest</groupid></grouplist></environment>
</comps>
`

func updates() string {
	one := func(id, kind, name, version string) string {
		return fmt.Sprintf(`  <update from="a@a.example" status="stable" type="%s" version="2"><id>%s</id><title>%[3]s %s</title><issued date="2026-10-01 00:00:00"/><updated date="2026-10-01 00:00:00"/><severity>Important</severity><description>About %[3]s</description>
    <references><reference href="https://a.example/%[2]s" id="CVE-2026-1" type="cve" title="CVE-2026-1"/></references>
    <pkglist><collection short="a"><name>a</name><package name="%[3]s" version="%[4]s" release="1" epoch="0" arch="x86_64" src="%[3]s-%[4]s-1.src.rpm"><filename>%[3]s-%[4]s-1.x86_64.rpm</filename></package></collection></pkglist></update>
`, kind, id, name, version)
	}
	return "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<updates>\n" + one("A-2026:1", "security", "hello", "2.10") + one("A-2026:2", "bugfix", "other", "2.10") + "</updates>\n"
}

func modules() string {
	one := func(stream, version string) string {
		return fmt.Sprintf(`---
document: modulemd
version: 2
data:
  name: nodejs
  stream: "%s"
  version: 1
  context: a
  arch: x86_64
  summary: node %[1]s
  description: It is there for a test.
  license: {module: [MIT]}
  profiles:
    common: {rpms: [node]}
  artifacts:
    rpms:
    - node-0:%[2]s-1.x86_64
    - node-libs-0:%[2]s-1.x86_64
...
`, stream, version)
	}
	return one("20", "20.1") + one("22", "22.1") + "---\ndocument: modulemd-defaults\nversion: 1\ndata:\n  module: nodejs\n  stream: \"20\"\n  profiles:\n    \"20\": [common]\n...\n"
}

// fill makes an upstream with a repository of every form.
func (w *world) fill() {
	w.put("os/Packages", "signed/os")
	w.put("os/Packages", "signed/os-new")
	w.put("os/Packages", "signed/module")
	w.put("os/Packages", "signed/module2")
	w.Write(filepath.Join(w.www, "comps.xml"), []byte(comps))
	w.createrepo("os", false, "--groupfile", filepath.Join(w.www, "comps.xml"), "--database")
	for name, text := range map[string]string{"updateinfo.xml": updates(), "modules.yaml": modules()} {
		file := filepath.Join(w.www, name)
		w.Write(file, []byte(text))
		w.run(w.www, "modifyrepo_c", "--mdtype="+strings.TrimSuffix(strings.TrimSuffix(name, ".xml"), ".yaml"), file, filepath.Join(w.www, "os/repodata"))
	}
	w.sign("os")
	w.put("flat", "signed/tool")
	w.createrepo("flat", false, "--no-database")
	w.put("nested/pool", "signed/os")
	w.Check(os.MkdirAll(filepath.Join(w.www, "nested/meta/x86_64"), 0o755))
	w.run(filepath.Join(w.www, "nested"), "createrepo_c", "--quiet", "--location-prefix", "../../pool", "--outputdir", "meta/x86_64", "pool")
	w.put("twins/a", "signed/twin")
	w.put("twins/b", "signed/twin2")
	w.createrepo("twins", true)
	w.put("xz", "signed/os")
	w.createrepo("xz", true, "--xz", "--general-compress-type=xz")
	w.put("zstd", "signed/os")
	w.createrepo("zstd", false, "--no-database")
	w.repack("zstd")
	w.sign("zstd")
}

// repack packs the metadata of a folder with zstd: Debian's createrepo_c cannot.
func (w *world) repack(folder string) {
	w.t.Helper()
	dir := filepath.Join(w.www, folder)
	text, err := os.ReadFile(filepath.Join(dir, nameRepomd))
	w.Check(err)
	index, err := rpmmd.ParseRepomd(text)
	w.Check(err)
	enc, err := zstd.NewWriter(nil)
	w.Check(err)
	for i := range index.Data {
		d := &index.Data[i]
		plain := w.run(dir, "gzip", "-dc", d.Location)
		w.Check(os.Remove(filepath.Join(dir, d.Location)))
		packed := enc.EncodeAll(plain, nil)
		d.Size, d.Checksum.Hex = int64(len(packed)), bundle.DigestOf(packed).Hex()
		d.Location = "repodata/" + d.Checksum.Hex + "-" + d.Type + ".xml.zst"
		w.Write(filepath.Join(dir, d.Location), packed)
	}
	w.Write(filepath.Join(dir, nameRepomd), index.Marshal())
}

// full returns a spec of all repositories as they are.
func (w *world) full() string {
	var b strings.Builder
	one := func(name, more string) {
		fmt.Fprintf(&b, "- name: %s\n  kind: rpm\n  gpgkey: upstream.asc\n  %s\n", name, strings.ReplaceAll(more, "\n", "\n  "))
	}
	w.Write(filepath.Join(w.dir, "vendor.repo"), []byte("[flat]\nname=Flat for $releasever\nbaseurl="+w.url+"/$what/\ngpgcheck=0\nenabled=0\n\n[other]\nname=Other\nbaseurl=http://127.0.0.1:9/\n"))
	one("os", "baseurl: "+w.url+"/os")
	one("flat", "repofile: vendor.repo\nrepoids: flat\nvars: {releasever: \"9\", what: flat}")
	one("nested", "baseurl: "+w.url+"/nested/meta/x86_64")
	one("twins", "baseurl: "+w.url+"/twins")
	one("xz", "baseurl: "+w.url+"/xz")
	one("zstd", "baseurl: "+w.url+"/zstd")
	return b.String()
}

// TestDNFFromEveryServer: repositories of every form, whole and in part, by
// every server that a mirror has a configuration for.
func TestDNFFromEveryServer(t *testing.T) {
	w := newWorld(t)
	w.fill()
	w.publish("whole", w.full())
	w.publish("part", w.part())
	// Another set: what two sources of one have, one of them is chosen from.
	w.publish("module", fmt.Sprintf("- name: some-module\n  kind: rpm\n  baseurl: %s/os\n  gpgkey: upstream.asc\n  architectures: [x86_64]\n  modules: [\"nodejs:22\"]\n", w.url))
	webtest.Each(t, w.mirror, func(t *testing.T, s *webtest.Server) {
		here := *w
		here.t = t
		t.Run("whole", func(t *testing.T) { here.t = t; here.whole(s.URL) })
		t.Run("part", func(t *testing.T) { here.t = t; here.partial(s.URL) })
		t.Run("same", func(t *testing.T) { here.t = t; here.same(s.URL) })
	})
}

// part returns a spec of selections.
func (w *world) part() string {
	return fmt.Sprintf(`- name: some
  kind: rpm
  baseurl: %[1]s/os
  gpgkey: upstream.asc
  architectures: [x86_64]
  packages: [hello-2.10]
- name: some-nested
  kind: rpm
  baseurl: %[1]s/nested/meta/x86_64
  gpgkey: upstream.asc
  mode: rebuilt
  architectures: [x86_64]
- name: some-flat
  kind: rpm
  baseurl: %[1]s/flat
  gpgkey: upstream.asc
  architectures: [x86_64]
  packages: [tool]
`, w.url)
}

func (w *world) partial(base string) {
	d := w.newDNF(base, "some", "some-nested", "some-flat")
	d.must("makecache")
	if got := d.download("--setopt=install_weak_deps=0", "--disablerepo=some-nested", "hello-2.10"); got != helloAndDependencies {
		w.t.Errorf("downloaded %s", got)
	}
	if got := d.download("--setopt=install_weak_deps=0", "--disablerepo=*", "--enablerepo=some-nested", "hello"); got != helloAndDependencies {
		w.t.Errorf("nested: downloaded %s", got)
	}
	if got := d.download("--setopt=install_weak_deps=0", "--disablerepo=some-nested", "tool"); got != "hello-2.11~rc1-1.x86_64 libhello-2.10-1.x86_64 tool-3^git1-1.x86_64" {
		w.t.Errorf("flat: downloaded %s", got)
	}
	d.extras("some", "(greeters) (everything)", "hello-2.10", "A-2026:1", "")
	m := w.newDNF(base, "some-module")
	if got := m.download("@nodejs:22/common"); got != "node-22.1-1.x86_64 node-libs-22.1-1.x86_64" {
		w.t.Errorf("module: downloaded %s", got)
	}
	if out := m.must("module", "list"); !strings.Contains(out, "nodejs 22") || strings.Contains(out, "nodejs 20") {
		w.t.Errorf("modules:\n%s", out)
	}
	if got := d.sync("some"); got != "data-2.10-1.noarch hello-2.10-1.x86_64 hello-2.11~rc1-1.x86_64 libhello-2.10-1.x86_64" {
		w.t.Errorf("reposync: %s", got)
	}
}

// same: what a package needs is resolved over the partial mirror as over the
// whole one, and the same files are downloaded.
func (w *world) same(base string) {
	whole, part := w.newDNF(base, "os"), w.newDNF(base, "some")
	resolved := func(d *dnf, name string) string { // dnf has remarks of its own next to it
		var all []string
		for line := range strings.Lines(d.must("--quiet", "repoquery", "--requires", "--resolve", "--qf", "is %{name}-%{evr}.%{arch}", name)) {
			if strings.HasPrefix(line, "is ") {
				all = append(all, line)
			}
		}
		slices.Sort(all)
		return strings.Join(all, "")
	}
	for _, name := range []string{"hello-2.10", "libhello", "data"} {
		want, got := resolved(whole, name), resolved(part, name)
		if got != want || name == "hello-2.10" && !strings.Contains(got, "libhello-2.10-1.x86_64") {
			w.t.Errorf("%s needs over the partial mirror\n%sand over the whole one\n%s", name, got, want)
		}
	}
	install := []string{"--setopt=install_weak_deps=0", "hello-2.10"}
	if want, got := whole.download(install...), part.download(install...); got != want || got == "" {
		w.t.Errorf("downloaded %s, from the whole one %s", got, want)
	}
}

func (w *world) whole(base string) {
	d := w.newDNF(base, "os", "flat", "nested", "twins", "xz", "zstd")
	only := func(name string, args ...string) []string {
		return append([]string{"--disablerepo=*", "--enablerepo=" + name, "--setopt=install_weak_deps=0"}, args...)
	}
	d.must("makecache")
	for _, name := range []string{"nested", "xz", "zstd"} {
		if got := d.download(only(name, "hello")...); got != helloAndDependencies {
			w.t.Errorf("%s: downloaded %s", name, got)
		}
	}
	if got := d.download("--setopt=install_weak_deps=0", "--disablerepo=nested,xz,zstd", "tool"); got != "hello-2.11~rc1-1.x86_64 libhello-2.10-1.x86_64 tool-3^git1-1.x86_64" {
		w.t.Errorf("flat: downloaded %s", got)
	}
	if got := d.download(only("twins", "twin")...); got != "twin-1-1.x86_64" {
		w.t.Errorf("twins: downloaded %s", got)
	}
	d.extras("os", "(greeters) (rest) (everything)", "hello-2.10 other", "A-2026:1 A-2026:2", "nodejs 20 [d] nodejs 22")
	if got := d.sync("os"); got != "data-2.10-1.noarch extra-2.10-1.x86_64 hello-2.10-1.x86_64 hello-2.11~rc1-1.x86_64 libhello-2.10-1.x86_64 node-20.1-1.x86_64 node-22.1-1.x86_64 node-libs-20.1-1.x86_64 node-libs-22.1-1.x86_64 other-2.10-1.x86_64" {
		w.t.Errorf("reposync: %s", got)
	}
}

// extras asks for groups, modules and advisories of the repository os. Advisories
// are about what is installed, so that is done before.
func (d *dnf) extras(repo, groups, install, advisories, streams string) {
	t := d.w.t
	t.Helper()
	only := func(args ...string) []string {
		return append([]string{"--disablerepo=*", "--enablerepo=" + repo, "--setopt=install_weak_deps=0"}, args...)
	}
	d.must(only(append([]string{"install"}, strings.Fields(install)...)...)...)
	for _, ask := range []struct {
		of, want string
		args     []string
		all      []string
	}{
		{"groups", groups, []string{"group", "list", "--ids"}, []string{"(greeters)", "(rest)", "(everything)"}},
		{"advisories", advisories, []string{"updateinfo", "list", "--all"}, []string{"A-2026:1", "A-2026:2"}},
		{"modules", streams, []string{"module", "list"}, []string{"nodejs 20 [d]", "nodejs 22 "}},
	} {
		out := d.must(only(ask.args...)...)
		plain := strings.Join(strings.Fields(out), " ") + " "
		for _, name := range ask.all {
			if strings.Contains(plain, name) != strings.Contains(ask.want, strings.TrimSpace(name)) {
				t.Errorf("%s, want %s:\n%s", ask.of, ask.want, out)
			}
		}
	}
}

// sync mirrors a repository by reposync, and names the packages.
func (d *dnf) sync(repo string) string {
	d.w.t.Helper()
	dir := d.w.t.TempDir()
	d.must("reposync", "--repoid="+repo, "--download-metadata", "--gpgcheck", "-p", dir)
	return names(d.w.t, dir)
}

// TestDNFDefaultStream: a package of a module is that of the stream that clients
// see, and so it is in a partial mirror.
func TestDNFDefaultStream(t *testing.T) {
	w := newWorld(t)
	w.fill()
	w.publish("part", fmt.Sprintf("- name: os\n  kind: rpm\n  baseurl: %s/os\n  gpgkey: upstream.asc\n  architectures: [x86_64]\n  packages: [node, other]\n", w.url))
	d := w.newDNF(webtest.Start(t, webtest.Serve, w.mirror).URL, "os")
	if got := d.download("node"); got != "node-20.1-1.x86_64 node-libs-20.1-1.x86_64" {
		t.Errorf("downloaded %s", got)
	}
	d.extras("os", "(rest) (everything) (greeters)", "other", "A-2026:2", "nodejs 20 [d]")
	if got := d.sync("os"); got != "node-20.1-1.x86_64 node-libs-20.1-1.x86_64 other-2.10-1.x86_64" {
		t.Errorf("reposync: %s", got)
	}
}

// TestDNFDoesWithout: what this package takes for needed is what dnf refuses a
// repository without.
func TestDNFDoesWithout(t *testing.T) {
	w := newWorld(t)
	w.put("os/Packages", "signed/os")
	w.Write(filepath.Join(w.www, "comps.xml"), []byte(comps))
	w.createrepo("os", false, "--groupfile", filepath.Join(w.www, "comps.xml"), "--database", "--zck")
	for kind, text := range map[string]string{"updateinfo": updates(), "modules": modules(), "prestodelta": "<prestodelta/>", "productid": strings.Repeat("certificate\n", 20)} {
		file := filepath.Join(w.www, kind)
		w.Write(file, []byte(text))
		w.run(w.www, "modifyrepo_c", "--mdtype="+kind, file, filepath.Join(w.www, "os/repodata"))
	}
	text, err := os.ReadFile(filepath.Join(w.www, "os", nameRepomd))
	w.Check(err)
	index, err := rpmmd.ParseRepomd(text)
	w.Check(err)
	d := &dnf{w: w, root: t.TempDir()}
	repos := filepath.Join(d.root, "repos")
	w.Write(filepath.Join(repos, "os.repo"), []byte("[os]\nname=os\ngpgcheck=0\nbaseurl="+w.url+"/os\nmetadata_expire=0\n"))
	d.configure(repos)
	d.must("makecache")
	for _, data := range index.Data {
		name := filepath.Join(w.www, "os", data.Location)
		w.Check(os.Rename(name, name+".away"))
		w.Check(os.RemoveAll(filepath.Join(d.root, "cache")))
		out, err := d.try("makecache", "--refresh")
		if refused := err != nil; refused != isNeeded(data.Type, index) {
			t.Errorf("%s: refused %t, taken for needed %t\n%s", data.Type, refused, isNeeded(data.Type, index), out)
		}
		w.Check(os.Rename(name+".away", name))
	}
}

// TestDNFFollowsImports: a client that has the metadata from before an import
// goes on with it, and follows when it asks again; after a rollback as well.
func TestDNFFollowsImports(t *testing.T) {
	for mode, more := range map[string]string{"verbatim": "", "rebuilt": "  architectures: [x86_64]\n  packages: [hello]\n"} {
		t.Run(mode, func(t *testing.T) {
			w := newWorld(t)
			spec := fmt.Sprintf("- name: os\n  kind: rpm\n  baseurl: %s/os\n  gpgkey: upstream.asc\n%s", w.url, more)
			w.put("os/Packages", "signed/os")
			w.createrepo("os", true)
			w.publish("set", spec)
			base := webtest.Start(t, webtest.Serve, w.mirror).URL
			d := w.newDNF(base, "os")
			d.must("makecache")
			w.put("os/Packages", "signed/os-new")
			w.createrepo("os", true)
			w.publish("set", spec)
			if got := d.download("--setopt=install_weak_deps=0", "hello"); got != helloAndDependencies {
				t.Errorf("before it asks anew: %s", got)
			}
			if got := d.download("--refresh", "--setopt=install_weak_deps=0", "hello"); got != "hello-2.11~rc1-1.x86_64 libhello-2.10-1.x86_64" {
				t.Errorf("when it asks anew: %s", got)
			}
		})
	}
}
