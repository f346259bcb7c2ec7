//go:build clients

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/internal/test/webtest"
	"github.com/gapbundle/gapbundle/sources/apt"
	"github.com/gapbundle/gapbundle/sources/rpm"
	"github.com/gapbundle/gapbundle/sources/sourcetest"
)

// TestRelease makes a release for both architectures of packages twice, once signed, and compares the two.
// Then the signed one is a site's upstream: gapbundle carries it by the example
// self.yaml, and apt and dnf install, use and remove the packages from the mirror.
func TestRelease(t *testing.T) {
	t.Chdir("../..") // as task release does
	work := t.TempDir()
	readme := emptyReadme(t, work)
	key, public, _ := releaseKey(t, work)
	if _, _, err := adoptKey(public, readme); err != nil {
		t.Fatal(err)
	}
	signed, plain, rehearsed := filepath.Join(work, "signed"), filepath.Join(work, "plain"), filepath.Join(work, "rehearsed")
	for dir, o := range map[string]options{signed: {key: key}, plain: {unsigned: true}, rehearsed: {rehearsal: true}} {
		o.out, o.systems, o.readme = dir, "linux/amd64,linux/arm64", readme
		if o.rehearsal {
			o.systems = "linux/amd64"
		}
		if err := run(t.Context(), io.Discard, o); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("the same bytes", func(t *testing.T) { same(t, signed, plain) })
	t.Run("SHA256SUMS", func(t *testing.T) { sumsHold(t, signed, readme) })
	t.Run("what is not a release", func(t *testing.T) { notReleased(t, signed, plain, rehearsed) })
	t.Run("both architectures", func(t *testing.T) { bothArchitectures(t, signed) })
	t.Run("SBOM", func(t *testing.T) { bom(t, signed) })

	w := sourcetest.NewWorld(t, apt.Kind(), rpm.Kind())
	if err := os.CopyFS(filepath.Join(w.WWW, "packages"), os.DirFS(signed)); err != nil {
		t.Fatal(err)
	}
	published, err := os.ReadFile(filepath.Join(signed, "gapbundle-release.asc"))
	w.Check(err)
	w.Write(filepath.Join(w.Dir, "keys/gapbundle-release.asc"), published)
	spec, err := os.ReadFile("examples/self.yaml")
	w.Check(err)
	_, text, _ := strings.Cut(string(spec), "sources:\n")
	w.Publish("gapbundle", regexp.MustCompile(`https://\S+/packages/(apt|rpm)`).ReplaceAllString(text, w.URL+"/packages/$1"))
	s := webtest.Start(t, webtest.Names()[0], w.Mirror)
	w.Behind(s.URL)
	t.Run("apt", func(t *testing.T) { aptInstalls(t, w) })
	t.Run("dnf", func(t *testing.T) { dnfInstalls(t, w, s.URL) })
	t.Run("units", units)
	t.Run("units of serving.md", unitsOfThePage)
}

// same compares two releases, but for signatures. Of an rpm that is the header, which has
// the digest of everything else.
func same(t *testing.T, a, b string) {
	header := func(file string) string {
		out, err := exec.CommandContext(t.Context(), "rpm", "-qp", "--nosignature", "--qf", "%{SHA256HEADER}", file).Output()
		if err != nil || len(out) != 64 {
			t.Fatalf("rpm -qp %s: %s %v", file, out, err)
		}
		return string(out)
	}
	compared := 0
	for _, name := range tree(t, b) {
		if strings.HasPrefix(name, "rpm/repodata/") || name == "SHA256SUMS" {
			continue // they have the digests of signed packages
		}
		if name == notRelease {
			continue
		}
		compared++
		if strings.HasSuffix(name, ".rpm") {
			if header(filepath.Join(a, name)) != header(filepath.Join(b, name)) {
				t.Errorf("%s: another header", name)
			}
			continue
		}
		x, err := os.ReadFile(filepath.Join(a, name))
		y, err2 := os.ReadFile(filepath.Join(b, name))
		if err := errors.Join(err, err2); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(x, y) {
			t.Errorf("%s: other bytes", name)
		}
	}
	if compared < 19 {
		t.Errorf("%d files compared", compared)
	}
}

// tree returns the files below a folder, sorted.
func tree(t *testing.T, dir string) (all []string) {
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			name, _ := filepath.Rel(dir, path)
			all = append(all, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(all)
	return all
}

// notReleased looks at what a rehearsal and a release without signatures state about themselves.
func notReleased(t *testing.T, signed, plain, rehearsed string) {
	sumsHold(t, rehearsed, filepath.Join(rehearsed, "gapbundle-rehearsal.asc"))
	for _, dir := range []string{plain, rehearsed} {
		if text, err := os.ReadFile(filepath.Join(dir, notRelease)); err != nil || !bytes.HasPrefix(text, []byte("These files are not a release")) {
			t.Errorf("%s: %s: %q %v", dir, notRelease, text, err)
		}
		if sums, err := os.ReadFile(filepath.Join(dir, "SHA256SUMS")); err != nil || !bytes.Contains(sums, []byte("  "+notRelease+"\n")) {
			t.Errorf("%s: SHA256SUMS does not list %s: %v", dir, notRelease, err)
		}
		if _, err := os.Stat(filepath.Join(dir, "gapbundle-release.asc")); err == nil {
			t.Errorf("%s: has a release key", dir)
		}
	}
	out, err := exec.CommandContext(t.Context(), "gpg", "--homedir", t.TempDir(), "--batch", "--show-keys", filepath.Join(rehearsed, "gapbundle-rehearsal.asc")).CombinedOutput()
	if err != nil || !strings.Contains(string(out), rehearsalID) {
		t.Errorf("the key of a rehearsal: %v\n%s", err, out)
	}
	if _, err := os.Stat(filepath.Join(signed, notRelease)); err == nil {
		t.Errorf("a release has %s", notRelease)
	}
}

// sumsHold checks a release as a person does who downloaded it, with the key of a page.
func sumsHold(t *testing.T, dir, page string) {
	home := t.TempDir()
	for _, args := range [][]string{
		{"gpg", "--homedir", home, "--batch", "--quiet", "--import", page},
		{"gpg", "--homedir", home, "--batch", "--quiet", "--trust-model", "always", "--verify", "SHA256SUMS.asc", "SHA256SUMS"},
		{"sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"},
	} {
		cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v: %v\n%s", args, err, out)
		}
	}
	_ = exec.Command("gpgconf", "--homedir", home, "--kill", "all").Run()
	sums, err := os.ReadFile(filepath.Join(dir, "SHA256SUMS"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range tree(t, dir) {
		if !strings.HasPrefix(name, "SHA256SUMS") && !strings.Contains(string(sums), "  "+name+"\n") {
			t.Errorf("%s: not in SHA256SUMS", name)
		}
	}
}

// bom looks into the SBOMs for modules that each program has, and that the one of the
// inside lacks.
func bom(t *testing.T, dir string) {
	for name, want := range map[string]bool{"gapbundle": true, "gapbundle-inside": false} {
		b, err := os.ReadFile(filepath.Join(dir, name+"_linux_amd64.cdx.json"))
		if err != nil {
			t.Fatal(err)
		}
		var doc struct {
			BOMFormat   string `json:"bomFormat"`
			SpecVersion string `json:"specVersion"`
			Components  []struct {
				Name string `json:"name"`
			} `json:"components"`
		}
		if err := json.Unmarshal(b, &doc); err != nil {
			t.Fatal(err)
		}
		has := func(module string) bool {
			for _, c := range doc.Components {
				if c.Name == module {
					return true
				}
			}
			return false
		}
		if doc.BOMFormat != "CycloneDX" || doc.SpecVersion != "1.6" || !has("github.com/klauspost/compress") || has("helm.sh/helm/v4") != want {
			t.Errorf("%s: %s %s, %d components, helm %v", name, doc.BOMFormat, doc.SpecVersion, len(doc.Components), has("helm.sh/helm/v4"))
		}
	}
}

// aptInstalls has apt install both packages into an empty root, and remove them.
func aptInstalls(t *testing.T, w *sourcetest.World) {
	root := t.TempDir()
	for _, dir := range []string{"etc/apt/apt.conf.d", "etc/apt/preferences.d", "etc/apt/sources.list.d", "var/lib/apt/lists/partial", "var/cache/apt/archives/partial", "var/lib/dpkg/info", "var/lib/dpkg/updates", "var/log/apt", "usr/share/keyrings"} {
		w.Check(os.MkdirAll(filepath.Join(root, dir), 0o755))
	}
	w.Write(filepath.Join(root, "var/lib/dpkg/status"), nil)
	text := string(w.Client("apt", "gapbundle-apt.sources"))
	fetched := regexp.MustCompile(`(?m)^#   curl -f -o (\S+) (\S+)$`).FindStringSubmatch(text)
	if fetched == nil {
		t.Fatalf("no line that gets the key:\n%s", text)
	}
	key := filepath.Join(root, fetched[1])
	w.Write(key, w.Get(fetched[2]))
	w.Write(filepath.Join(root, "etc/apt/sources.list.d/gapbundle.sources"), []byte(strings.ReplaceAll(text, fetched[1], key)))
	config := filepath.Join(root, "apt.conf")
	w.Write(config, fmt.Appendf(nil, `Dir %q; Dir::State::status "%s/var/lib/dpkg/status"; APT::Architecture "amd64"; APT::Architectures { "amd64"; };
APT::Sandbox::User "root"; Debug::NoLocking "1"; Acquire::http::Proxy "DIRECT"; DPkg::Options { "--root=%s"; "--force-script-chrootless"; "--log=/dev/null"; };
`, root, root, root))
	env := []string{"APT_CONFIG=" + config, "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive"}
	w.Run(root, env, "apt-get", "update")
	w.Run(root, env, "apt-get", "install", "-y", "gapbundle", "gapbundle-inside")
	installedWell(t, root)
	unattended(t, root)
	asThePage(t, root)
	changed := []byte("MIRROR=/srv/other\n")
	w.Write(filepath.Join(root, "etc/gapbundle/serve.env"), changed)
	w.Run(root, env, "apt-get", "install", "-y", "--reinstall", "gapbundle-inside")
	if b, err := os.ReadFile(filepath.Join(root, "etc/gapbundle/serve.env")); err != nil || !bytes.Equal(b, changed) {
		t.Errorf("settings that a person changed: %q, %v", b, err)
	}
	w.Run(root, env, "apt-get", "purge", "-y", "gapbundle", "gapbundle-inside")
	removedWell(t, root)
}

// dnfInstalls does the same with dnf.
func dnfInstalls(t *testing.T, w *sourcetest.World, base string) {
	root := t.TempDir()
	for _, dir := range []string{"var/lib/rpm", "log", "cache", "persist"} {
		w.Check(os.MkdirAll(filepath.Join(root, dir), 0o755))
	}
	w.Write(filepath.Join(root, "etc/yum.repos.d/gapbundle.repo"), bytes.ReplaceAll(w.Client("rpm", "dnf/gapbundle-rpm.repo"), []byte("@BASE@"), []byte(base)))
	w.Write(filepath.Join(root, "dnf.conf"), []byte("[main]\ngpgcheck=1\nproxy=\nretries=1\ninstallonly_limit=3\n"))
	dnf := func(args ...string) {
		t.Helper()
		w.Run(root, []string{"LC_ALL=C.UTF-8", "HOME=/client", "GNUPGHOME="}, "dnf", append([]string{
			"-c", filepath.Join(root, "dnf.conf"), "--installroot", root, "--releasever", "9", "--forcearch", "x86_64", "-y", "--setopt=reposdir=" + filepath.Join(root, "etc/yum.repos.d"),
			"--setopt=cachedir=" + filepath.Join(root, "cache"), "--setopt=persistdir=" + filepath.Join(root, "persist"), "--setopt=logdir=" + filepath.Join(root, "log"), "--disableplugin=local",
		}, args...)...)
	}
	dnf("install", "gapbundle", "gapbundle-inside")
	installedWell(t, root)
	unattended(t, root)
	dnf("remove", "gapbundle", "gapbundle-inside")
	removedWell(t, root)
}

// installedWell looks for what both packages bring, and runs the programs.
func installedWell(t *testing.T, root string) {
	t.Helper()
	for _, file := range []string{
		"etc/gapbundle/export.env", "etc/gapbundle/import.env", "etc/gapbundle/serve.env",
		"usr/lib/systemd/system/gapbundle-serve.service", "usr/lib/systemd/system/gapbundle-import.path", "usr/lib/systemd/system/gapbundle-export.timer",
		"usr/lib/sysusers.d/gapbundle.conf", "usr/share/man/man1/gapbundle.1.gz", "usr/share/man/man1/gapbundle-inside.1.gz",
		"usr/share/bash-completion/completions/gapbundle", "usr/share/zsh/site-functions/_gapbundle-inside", "usr/share/fish/vendor_completions.d/gapbundle.fish",
		"usr/share/doc/gapbundle/copyright",
	} {
		if info, err := os.Stat(filepath.Join(root, file)); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v", file, err)
		}
	}
	if info, err := os.Stat(filepath.Join(root, "etc/gapbundle/export.env")); err == nil && info.Mode().Perm() != 0o600 {
		t.Errorf("export.env, which has passphrases, has mode %v", info.Mode())
	}
	for _, name := range names() {
		out, err := exec.CommandContext(t.Context(), filepath.Join(root, "usr/bin", name), "version").CombinedOutput()
		if err != nil || !strings.Contains(string(out), "bundle format 1") {
			t.Errorf("%s version: %v\n%s", name, err, out)
		}
	}
}

func removedWell(t *testing.T, root string) {
	t.Helper()
	for _, name := range tree(t, root) {
		if strings.Contains(name, "gapbundle") && (strings.HasPrefix(name, "usr/") || strings.HasPrefix(name, "etc/gapbundle")) && !strings.HasPrefix(name, "usr/share/keyrings") {
			t.Errorf("%s is still there", name)
		}
	}
}

// units has systemd read the units, and rate how much they may do.
func units(t *testing.T) {
	root := t.TempDir()
	for _, name := range []string{"usr/lib/systemd/system", "usr/bin", "etc"} {
		if err := os.MkdirAll(filepath.Join(root, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range names() {
		if err := os.WriteFile(filepath.Join(root, "usr/bin", name), nil, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	entries, err := files.ReadDir("files")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		ending := filepath.Ext(e.Name())
		if ending != ".service" && ending != ".path" && ending != ".timer" {
			continue
		}
		path, err := unpackFile(filepath.Join(root, "usr/lib/systemd/system"), e.Name())
		if err != nil {
			t.Fatal(err)
		}
		if ending != ".service" {
			continue
		}
		out, err := exec.CommandContext(t.Context(), "systemd-analyze", "security", "--offline=true", "--threshold=40", "--no-pager", path).CombinedOutput()
		if err != nil {
			t.Errorf("%s: may do more than it needs: %v\n%s", e.Name(), err, out)
		}
	}
	out, err := exec.CommandContext(t.Context(), "bash", "-c", `SYSTEMD_UNIT_PATH=$0/usr/lib/systemd/system: systemd-analyze verify --man=no --recursive-errors=no "$0"/usr/lib/systemd/system/gapbundle-*`, root).CombinedOutput()
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "gapbundle-") && !strings.Contains(line, "is not executable") { // the programs are not installed here
			t.Errorf("systemd-analyze verify: %v: %s", err, line)
		}
	}
}
