//go:build clients

package reindex_test

import (
	"bytes"
	"crypto/md5" //nolint:gosec // below
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources/apt/deb"
	"github.com/gapbundle/gapbundle/sources/apt/reindex"
)

// realPackage builds a package by dpkg-deb and gives its stanza and bytes.
func realPackage(t *testing.T, name, version, depends string) (*deb.Package, []byte) {
	t.Helper()
	dir := t.TempDir()
	control := fmt.Sprintf("Package: %s\nVersion: %s\nArchitecture: all\nMaintainer: nobody <nobody@site.invalid>\nDepends: %s\nDescription: what %s is\n", name, version, depends, name)
	if depends == "" {
		control = strings.Replace(control, "Depends: \n", "", 1)
	}
	write(t, filepath.Join(dir, "p/DEBIAN/control"), []byte(control))
	out := filepath.Join(dir, "p.deb")
	if text, err := exec.Command("dpkg-deb", "-b", filepath.Join(dir, "p"), out).CombinedOutput(); err != nil {
		t.Fatalf("dpkg-deb: %v: %s", err, text)
	}
	content, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	sum := bundle.DigestOf([]byte(name))
	text := strings.TrimSuffix(control, "\n") + fmt.Sprintf("\nDescription-md5: %x\nFilename: pool/%s_%s_all.deb\nSize: %d\nSHA256: %s\n", sum[:16], name, version, len(content), bundle.DigestOf(content).Hex())
	p, err := deb.ParsePackage(deb.Paragraph(text))
	if err != nil {
		t.Fatal(err)
	}
	return p, content
}

func write(t *testing.T, name string, content []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, content, 0o644); err != nil {
		t.Fatal(err)
	}
}

// apt is a real one with its own empty state, date and validity checks on,
// that trusts the site key alone.
type apt struct{ root, config string }

func newApt(t *testing.T, source string, certificate []byte) *apt {
	t.Helper()
	root := t.TempDir()
	for _, folder := range []string{"etc/apt/apt.conf.d", "etc/apt/preferences.d", "var/lib/apt/lists/partial", "var/cache/apt/archives/partial"} {
		write(t, filepath.Join(root, folder, ".keep"), nil)
	}
	write(t, filepath.Join(root, "site.asc"), certificate)
	write(t, filepath.Join(root, "var/lib/dpkg/status"), nil)
	write(t, filepath.Join(root, "etc/apt/sources.list.d/site.sources"), []byte(source+"Signed-By: "+root+"/site.asc\n"))
	write(t, filepath.Join(root, "apt.conf"), fmt.Appendf(nil, `Dir %q; Dir::State::status "%s/var/lib/dpkg/status"; Dir::Etc::Parts "%s/etc/apt/apt.conf.d";
APT::Architecture "amd64"; APT::Architectures {"amd64"; "arm64";}; APT::Sandbox::User "root"; Acquire::Languages "en"; Debug::NoLocking "1";
Acquire::Check-Date "1"; Acquire::Check-Valid-Until "1"; Acquire::http::Proxy "DIRECT";
`, root, root, root))
	return &apt{root, filepath.Join(root, "apt.conf")}
}

func (a *apt) run(dir string, program string, args ...string) (string, error) {
	cmd := exec.Command(program, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "APT_CONFIG="+a.config, "LC_ALL=C")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// site writes suites and pool into a folder and serves it; asked returns how
// often each path was asked for up to now.
func site(t *testing.T, files map[string][]byte) (url string, asked func() map[string]int) {
	t.Helper()
	dir := t.TempDir()
	for path, content := range files {
		write(t, filepath.Join(dir, path), content)
	}
	counts := map[string]int{}
	var mu sync.Mutex // apt has several connections
	handler := http.FileServer(http.Dir(dir))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		counts[r.URL.Path]++
		mu.Unlock()
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL, func() map[string]int {
		mu.Lock()
		defer mu.Unlock()
		return maps.Clone(counts)
	}
}

func TestAptAcceptsRebuiltSuite(t *testing.T) {
	e, certificate := siteKey(t)
	tool, toolFile := realPackage(t, "tool", "1.0+a~1-1", "lib (>= 1)")
	lib, libFile := realPackage(t, "lib", "1:2.0", "")
	dsc := []byte("not looked at before it is unpacked\n")
	weak := md5.Sum(dsc) //nolint:gosec // apt finds the parts of a source package in a table of it
	source, err := deb.ParseSource(deb.Paragraph(fmt.Sprintf("Package: tool\nFormat: 3.0 (native)\nBinary: tool\nArchitecture: all\nVersion: 1.0+a~1-1\nMaintainer: nobody <nobody@site.invalid>\nDirectory: pool\nFiles:\n %x %d tool_1.0+a~1-1.dsc\nChecksums-Sha256:\n %s %d tool_1.0+a~1-1.dsc\n",
		weak, len(dsc), bundle.DigestOf(dsc).Hex(), len(dsc))))
	if err != nil {
		t.Fatal(err)
	}
	s := suite()
	s.Components[0].Packages = append(s.Components[0].Packages, tool, lib)
	s.Components[0].Sources = []*deb.Source{source}
	s.Components[0].Translations["en"] = []deb.Paragraph{translation(tool), translation(lib)}
	files := map[string][]byte{tool.Filename: toolFile, lib.Filename: libFile, "pool/tool_1.0+a~1-1.dsc": dsc}
	for path, content := range build(t, s, e) {
		files["dists/noble/"+path] = content
	}
	url, asked := site(t, files)
	a := newApt(t, "Types: deb deb-src\nURIs: "+url+"\nSuites: noble\nComponents: main universe\n", certificate)
	if out, err := a.run("", "apt-get", "update"); err != nil || strings.Contains(out, "W:") || strings.Contains(out, "Err:") {
		t.Fatalf("apt-get update: %v: %s", err, out)
	}
	byHash, byName := 0, 0
	for path := range asked() {
		switch {
		case strings.Contains(path, "/by-hash/SHA256/"):
			byHash++
		case strings.HasPrefix(path, "/dists/") && !strings.HasSuffix(path, "/InRelease"):
			byName++
		}
	}
	if byHash == 0 || byName != 0 {
		t.Errorf("asked by hash for %d files, by name for %d: %v", byHash, byName, asked())
	}
	if out, err := a.run("", "apt-get", "install", "-y", "--download-only", "tool"); err != nil {
		t.Errorf("apt-get install: %v: %s", err, out)
	}
	for _, name := range []string{"tool_1.0+a~1-1_all.deb", "lib_1%3a2.0_all.deb"} {
		if _, err := os.Stat(filepath.Join(a.root, "var/cache/apt/archives", name)); err != nil {
			t.Error(err)
		}
	}
	if out, err := a.run("", "apt-cache", "show", "tool"); err != nil || !strings.Contains(out, "At length.") {
		t.Errorf("translated description: %v: %s", err, out)
	}
	dir := t.TempDir()
	if out, err := a.run(dir, "apt-get", "source", "--download-only", "tool"); err != nil {
		t.Errorf("apt-get source: %v: %s", err, out)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "tool_1.0+a~1-1.dsc")); err != nil || !bytes.Equal(got, dsc) {
		t.Errorf("source: %v", err)
	}
}

func TestAptAcceptsRebuiltFlat(t *testing.T) {
	e, certificate := siteKey(t)
	tool, content := realPackage(t, "tool", "1.0", "")
	s := suite()
	s.Flat, s.Components = true, []reindex.Component{{Packages: []*deb.Package{tool}}}
	files := build(t, s, e)
	delete(files, "InRelease") // Release.gpg has to do
	files[tool.Filename] = content
	url, _ := site(t, files)
	a := newApt(t, "Types: deb\nURIs: "+url+"/\nSuites: ./\n", certificate)
	if out, err := a.run("", "apt-get", "update"); err != nil || strings.Contains(out, "W:") {
		t.Fatalf("apt-get update: %v: %s", err, out)
	}
	if out, err := a.run("", "apt-get", "install", "-y", "--download-only", "tool"); err != nil {
		t.Errorf("apt-get install: %v: %s", err, out)
	}
}

// TestAptRefuses: what is not signed by the key, not any more valid or from
// the future is refused, so that the tests above show something.
func TestAptRefuses(t *testing.T) {
	e, certificate := siteKey(t)
	_, another := siteKey(t)
	now := time.Now()
	for name, c := range map[string]struct {
		change      func(*reindex.Suite)
		certificate []byte
	}{
		"another key": {func(*reindex.Suite) {}, another},
		"lapsed":      {func(s *reindex.Suite) { s.Release.ValidUntil = now.Add(-time.Hour) }, certificate},
		"future":      {func(s *reindex.Suite) { s.Release.Date = now.Add(48 * time.Hour) }, certificate},
	} {
		s := suite()
		c.change(&s)
		files := map[string][]byte{}
		for path, content := range build(t, s, e) {
			files["dists/noble/"+path] = content
		}
		url, _ := site(t, files)
		a := newApt(t, "Types: deb\nURIs: "+url+"\nSuites: noble\nComponents: main\n", c.certificate)
		if out, err := a.run("", "apt-get", "update", "--error-on=any"); err == nil {
			t.Errorf("%s: accepted: %s", name, out)
		}
	}
}

func TestGpgvAccepts(t *testing.T) {
	e, _ := siteKey(t)
	files := build(t, suite(), e)
	dir := t.TempDir()
	var ring bytes.Buffer
	if err := e.Serialize(&ring); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"ring.gpg": ring.Bytes(), "InRelease": files["InRelease"], "Release": files["Release"], "Release.gpg": files["Release.gpg"]} {
		write(t, filepath.Join(dir, name), content)
	}
	for _, args := range [][]string{{"InRelease"}, {"Release.gpg", "Release"}} {
		cmd := exec.Command("gpgv", append([]string{"--keyring", filepath.Join(dir, "ring.gpg")}, args...)...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("gpgv %s: %v: %s", args, err, out)
		}
	}
}
