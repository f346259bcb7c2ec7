//go:build clients

package rpm

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/internal/test/webtest"
	"github.com/gapbundle/gapbundle/sources/rpm/rpmmd"
)

// forms makes repositories that have what other tests do not: everything that
// createrepo_c can make next to the XML, and packages at addresses of their own.
func (w *world) forms() {
	w.put("older", "signed/os")
	w.put("every", "signed/os-next", "hello", "libhello", "newdata")
	w.createrepo("every", false, "--database", "--zck", "--deltas", "--oldpackagedirs", filepath.Join(w.www, "older"), "--max-delta-rpm-size", "10000000")
	w.Write(filepath.Join(w.www, "productid"), []byte(strings.Repeat("certificate\n", 20)))
	w.run(w.www, "modifyrepo_c", "--mdtype=productid", filepath.Join(w.www, "productid"), filepath.Join(w.www, "every/repodata"))
	w.sign("every")
	w.put("elsewhere/files", "signed/os")
	w.Check(os.MkdirAll(filepath.Join(w.www, "based"), 0o755))
	w.run(filepath.Join(w.www, "elsewhere"), "createrepo_c", "--quiet", "--no-database", "--baseurl", w.url+"/elsewhere/", "--outputdir", filepath.Join(w.www, "based"), ".")
	w.sign("based")
	w.put("absolute", "signed/os")
	w.createrepo("absolute", false, "--no-database", "--location-prefix", w.url+"/elsewhere/files/")
	for _, gone := range w.glob("absolute/*.rpm") {
		w.Check(os.Remove(gone))
	}
	w.sign("absolute")
}

func (w *world) glob(pattern string) []string {
	w.t.Helper()
	all, err := filepath.Glob(filepath.Join(w.www, pattern))
	w.Check(err)
	return all
}

// TestDNFEveryMetadata: a mirror of everything that a repository has, databases,
// zchunk files, delta packages and what dnf does not know, has every byte of it
// under its name, and dnf is content.
func TestDNFEveryMetadata(t *testing.T) {
	w := newWorld(t)
	w.forms()
	w.publish("set", fmt.Sprintf("- name: every\n  kind: rpm\n  baseurl: %s/every\n  gpgkey: upstream.asc\n", w.url))
	base := webtest.Start(t, webtest.Serve, w.mirror).URL
	text, err := os.ReadFile(filepath.Join(w.www, "every", nameRepomd))
	w.Check(err)
	index, err := rpmmd.ParseRepomd(text)
	w.Check(err)
	var kinds []string
	paths := []string{nameRepomd, nameSignature}
	for _, data := range index.Data {
		kinds, paths = append(kinds, data.Type), append(paths, data.Location)
	}
	slices.Sort(kinds)
	if got, want := strings.Join(kinds, " "), "filelists filelists_db filelists_zck other other_db other_zck prestodelta prestodelta_zck primary primary_db primary_zck productid"; got != want {
		t.Fatalf("upstream has %s, want %s", got, want)
	}
	deltas := w.glob("every/drpms/*.drpm")
	for _, file := range append(deltas, w.glob("every/*.rpm")...) {
		name, err := filepath.Rel(filepath.Join(w.www, "every"), file)
		w.Check(err)
		paths = append(paths, name)
	}
	if len(deltas) == 0 {
		t.Fatal("upstream has no delta packages")
	}
	for _, name := range paths {
		want, err := os.ReadFile(filepath.Join(w.www, "every", name))
		w.Check(err)
		if got := w.get(base + "/rpm/every/" + name); !bytes.Equal(got, want) {
			t.Errorf("%s: not upstream's", name)
		}
	}
	d := w.newDNF(base, "every")
	d.must("makecache", "--setopt=deltarpm=1", "--setopt=zchunk=1")
	if got := d.download("--setopt=install_weak_deps=0", "--setopt=deltarpm=1", "hello"); got != "hello-3.0-1.x86_64 libhello-3.0-1.x86_64 newdata-3.0-1.noarch" {
		t.Errorf("downloaded %s", got)
	}
}

// TestDNFRebuiltOfEveryForm: whatever form upstream has, dnf uses what is made of a
// selection, in gzip, without databases.
func TestDNFRebuiltOfEveryForm(t *testing.T) {
	w := newWorld(t)
	w.fill()
	w.forms()
	all := map[string]struct{ ask, want string }{
		"every": {"hello", "hello-3.0-1.x86_64 libhello-3.0-1.x86_64 newdata-3.0-1.noarch"},
		"based": {"hello", helloAndDependencies}, "absolute": {"hello", helloAndDependencies},
		"xz": {"hello", helloAndDependencies}, "zstd": {"hello", helloAndDependencies}, "twins": {"twin", "twin-1-1.x86_64"},
	}
	for folder, test := range all {
		w.publish(folder, fmt.Sprintf("- name: %s\n  kind: rpm\n  baseurl: %s/%[1]s\n  gpgkey: upstream.asc\n  architectures: [x86_64]\n  packages: [%[3]s]\n", folder, w.url, test.ask))
	}
	base := webtest.Start(t, webtest.Serve, w.mirror).URL
	for folder, test := range all {
		d := w.newDNF(base, folder)
		d.must("makecache")
		if got := d.download("--setopt=install_weak_deps=0", test.ask); got != test.want {
			t.Errorf("%s: downloaded %s, want %s", folder, got, test.want)
		}
		if got := d.sync(folder); got != test.want {
			t.Errorf("%s: reposync %s, want %s", folder, got, test.want)
		}
		for _, name := range w.repomd(base + "/rpm/" + folder + "/" + nameRepomd) {
			if !strings.HasSuffix(name, ".xml.gz") && !strings.HasSuffix(name, "-comps.xml") {
				t.Errorf("%s: rebuilt metadata %s", folder, name)
			}
		}
	}
}

// repomd returns the locations that one at a URL lists.
func (w *world) repomd(url string) []string {
	w.t.Helper()
	index, err := rpmmd.ParseRepomd(w.get(url))
	w.Check(err)
	var all []string
	for _, data := range index.Data {
		all = append(all, data.Location)
	}
	return all
}

// TestDNFRefusesWhatIsForged: what the published client files have dnf check is
// checked: with another key it takes neither repomd.xml nor packages, and
// neither if the mirror was changed.
func TestDNFRefusesWhatIsForged(t *testing.T) {
	w := newWorld(t)
	w.put("os/Packages", "signed/os")
	w.createrepo("os", true)
	w.publish("whole", fmt.Sprintf("- name: os\n  kind: rpm\n  baseurl: %s/os\n  gpgkey: upstream.asc\n", w.url))
	w.publish("part", fmt.Sprintf("- name: some\n  kind: rpm\n  baseurl: %s/os\n  gpgkey: upstream.asc\n  architectures: [x86_64]\n  packages: [other]\n", w.url))
	base := webtest.Start(t, webtest.Serve, w.mirror).URL
	_, eve := signers(t)
	key := filepath.Join(w.dir, "eve.asc")
	writeKeys(t, key, eve)
	for _, name := range []string{"os", "some"} {
		file := func(d *dnf) string { return filepath.Join(d.root, "etc/yum.repos.d", name+".repo") }
		d := w.newDNF(base, name)
		text, err := os.ReadFile(file(d))
		w.Check(err)
		if !strings.Contains(string(text), "\ngpgcheck=1\n") || !strings.Contains(string(text), "\nrepo_gpgcheck=1\n") {
			t.Errorf("%s: the client file has dnf check less:\n%s", name, text)
		}
		lines := strings.Split(string(text), "\n")
		for i, line := range lines {
			switch {
			case strings.HasPrefix(line, "gpgkey="):
				lines[i] = "gpgkey=file://" + key
			case strings.HasPrefix(line, "http"), strings.HasPrefix(line, " "):
				lines[i] = ""
			}
		}
		wrong := strings.Join(lines, "\n")
		w.Write(file(d), []byte(wrong))
		if out, err := d.try("makecache"); err == nil || !strings.Contains(out, "repomd.xml GPG signature verification error") {
			t.Errorf("%s: by another key: %v\n%s", name, err, out)
		}
		d = w.newDNF(base, name)
		w.Write(file(d), []byte(strings.Replace(wrong, "repo_gpgcheck=1", "repo_gpgcheck=0", 1)))
		if out, err := d.try("install", "other"); err == nil || !strings.Contains(out, "GPG check FAILED") {
			t.Errorf("%s: packages by another key: %v\n%s", name, err, out)
		}
		d = w.newDNF(base, name)
		forged := filepath.Join(w.mirror, "current/rpm", name, nameRepomd)
		right, err := os.ReadFile(forged)
		w.Check(err)
		w.Check(os.Remove(forged))
		w.Write(forged, bytes.Replace(right, []byte("<revision>"), []byte("<revision>1"), 1))
		if out, err := d.try("makecache"); err == nil || !strings.Contains(out, "repomd.xml GPG signature verification error") {
			t.Errorf("%s: changed: %v\n%s", name, err, out)
		}
	}
	if resp, err := http.Get(base + "/rpm/os/" + nameSignature); err != nil || resp.Body.Close() != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("signature: %v", err)
	}
}
