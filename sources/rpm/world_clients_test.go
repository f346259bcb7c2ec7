//go:build clients

package rpm

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gapbundle/gapbundle/sources/export"
	"github.com/gapbundle/gapbundle/sources/sourcetest"
)

// TestMain removes what the tests share.
func TestMain(m *testing.M) {
	code := m.Run()
	if dir := builtAt(); dir != "" {
		// gpg leaves an agent running. The folder is temporary in any case.
		_, _ = tool(dir, dir, "gpgconf", "--kill", "gpg-agent")
		_ = os.RemoveAll(dir)
	}
	os.Exit(code)
}

// builtAt is where the packages lie that were built; "": they were not.
var builtAt = sync.OnceValue(func() string {
	dir, err := os.MkdirTemp("", "gapbundle-rpm-")
	if err != nil {
		return ""
	}
	return dir
})

// built makes real packages once for all tests: signed by a real key in
// signed/, and as they came from rpmbuild in plain/. It gives the folder.
var built = sync.OnceValues(func() (string, error) {
	dir := builtAt()
	for _, folder := range []string{"gnupg", "top"} {
		if err := os.MkdirAll(filepath.Join(dir, folder), 0o700); err != nil {
			return dir, err
		}
	}
	if err := makeKey(dir); err != nil {
		return dir, err
	}
	for name, spec := range specFiles() {
		file := filepath.Join(dir, name+".spec")
		if err := os.WriteFile(file, []byte(spec), 0o600); err != nil {
			return dir, err
		}
		out := filepath.Join(dir, "plain", name)
		if _, err := tool(dir, dir, "rpmbuild", "-ba", "--quiet", "--target", "x86_64", "--define", "_topdir "+filepath.Join(dir, "top"), "--define", "_rpmdir "+out,
			"--define", "_srcrpmdir "+out, "--define", "_build_name_fmt %%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm", "--nodeps", file); err != nil {
			return dir, err
		}
	}
	if err := os.CopyFS(filepath.Join(dir, "signed"), os.DirFS(filepath.Join(dir, "plain"))); err != nil {
		return dir, err
	}
	all, err := filepath.Glob(filepath.Join(dir, "signed/*/*.rpm"))
	if err != nil {
		return dir, err
	}
	gpg, err := exec.LookPath("gpg") // rpm looks elsewhere
	if err == nil {
		_, err = tool(dir, dir, "rpmsign", append([]string{"--define", "__gpg " + gpg, "--define", "_gpg_name upstream@a.example", "--define", "_gpg_digest_algo sha256", "--addsign"}, all...)...)
	}
	return dir, err
})

func makeKey(dir string) error {
	if _, err := tool(dir, dir, "gpg", "--batch", "--passphrase", "", "--quick-gen-key", "upstream <upstream@a.example>", "rsa2048", "sign", "never"); err != nil {
		return err
	}
	key, err := tool(dir, dir, "gpg", "--batch", "--armor", "--export", "upstream@a.example")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "upstream.asc"), key, 0o600)
}

// specFiles returns those of the packages that are built: by a name for each, which is
// the folder that they come to lie in.
func specFiles() map[string]string {
	all := map[string]string{
		"os": one("hello", "2.10", "Requires: libhello >= 2, /usr/bin/data\nRecommends: extra",
			"libhello\nProvides: libhello.so", "data\nBuildArch: noarch\nProvides: data(x)", "extra\nRequires: hello", "other"),
		"os-new":  one("hello", "2.11~rc1", "Requires: libhello >= 2"),
		"module":  one("node", "20.1", "ModularityLabel: nodejs:20:1:a\nRequires: node-libs", "node-libs\nModularityLabel: nodejs:20:1:a"),
		"module2": one("node", "22.1", "ModularityLabel: nodejs:22:1:a\nRequires: node-libs", "node-libs\nModularityLabel: nodejs:22:1:a"),
		"twin":    one("twin", "1", "URL: https://one.example"),
		"twin2":   one("twin", "1", "URL: https://two.example"),
		"tool":    one("tool", "3^git1", "Requires: hello"),
		"release": releasePackage,
	}
	maps.Copy(all, modularSpecs())
	maps.Copy(all, nextSpecs())
	return all
}

// one returns a spec file: a package, and others that it is split into. Each has one
// file of its own in /usr/share and one in /usr/bin.
func one(name, version, more string, subs ...string) string {
	const about = "Summary: what %[1]s is\nAutoReqProv: no\n%[2]s\n%%description %[3]s\nIt is there for a test.\n"
	var head, install, files strings.Builder
	fmt.Fprintf(&head, "Name: %s\nVersion: %s\nRelease: 1\nLicense: MIT\nVendor: Example\n", name, version)
	install.WriteString("%install\n")
	for i, sub := range append([]string{name}, subs...) {
		sub, fields, _ := strings.Cut(sub, "\n")
		section := "-n " + sub
		if i == 0 {
			section, fields = "", more
		} else {
			fmt.Fprintf(&head, "%%package %s\n", section)
		}
		fmt.Fprintf(&head, about, sub, fields, section)
		fmt.Fprintf(&install, "mkdir -p %%{buildroot}/usr/share/%[1]s %%{buildroot}/usr/bin\necho %[1]s %[2]s >%%{buildroot}/usr/share/%[1]s/content\necho x >%%{buildroot}/usr/bin/%[1]s\n", sub, version)
		fmt.Fprintf(&files, "%%files %[1]s\n/usr/share/%[2]s\n/usr/bin/%[2]s\n", section, sub)
	}
	return head.String() + install.String() + files.String() + "%changelog\n* Mon Nov 02 2026 Nobody <nobody@a.example> - 1\n- Made.\n"
}

// tool runs a program with the key of home, and gives what it says.
func tool(home, dir, name string, args ...string) ([]byte, error) {
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GNUPGHOME="+filepath.Join(home, "gnupg"), "HOME="+home, "LC_ALL=C", "SOURCE_DATE_EPOCH=1790000000")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, stderr.String())
	}
	return out, err
}

// world is an upstream of real packages, an exporter and a mirror.
type world struct {
	*sourcetest.World
	t      *testing.T
	home   string // of packages and key
	www    string // upstream's web root
	url    string
	dir    string // of spec, keys and media
	mirror string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	home, err := built()
	if err != nil {
		t.Fatal(err)
	}
	base := sourcetest.NewWorld(t, Kind())
	w := &world{World: base, t: t, home: home, www: base.WWW, url: base.URL, dir: base.Dir, mirror: base.Mirror}
	key, err := os.ReadFile(filepath.Join(home, "upstream.asc"))
	w.Check(err)
	w.Write(filepath.Join(w.dir, "upstream.asc"), key)
	return w
}

func (w *world) run(dir, name string, args ...string) []byte {
	w.t.Helper()
	out, err := tool(w.home, dir, name, args...)
	w.Check(err)
	return out
}

// put puts built packages into a folder of the upstream: those of a spec whose
// names begin with one of the prefixes; none: all but sources.
func (w *world) put(folder, from string, prefixes ...string) {
	w.t.Helper()
	found, err := filepath.Glob(filepath.Join(w.home, from, "*.rpm"))
	w.Check(err)
	for _, f := range found {
		base := filepath.Base(f)
		if len(prefixes) == 0 && strings.HasSuffix(base, ".src.rpm") || len(prefixes) > 0 && !slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(base, p) }) {
			continue
		}
		b, err := os.ReadFile(f)
		w.Check(err)
		w.Write(filepath.Join(w.www, folder, base), b)
	}
}

// createrepo makes the repodata of a folder, and signs it if asked to.
func (w *world) createrepo(folder string, sign bool, args ...string) {
	w.t.Helper()
	dir := filepath.Join(w.www, folder)
	w.run(dir, "createrepo_c", append(args, "--quiet", "--set-timestamp-to-revision", "--revision", "1790000000", ".")...)
	if sign {
		w.sign(folder)
	}
}

func (w *world) sign(folder string) {
	w.t.Helper()
	w.run(filepath.Join(w.www, folder, "repodata"), "gpg", "--batch", "--yes", "--armor", "--detach-sign", "--default-key", "upstream@a.example", "repomd.xml")
}

// publish exports the sources of a set and imports them.
func (w *world) publish(set, text string) *export.Result {
	w.t.Helper()
	made, err := w.TryExport(set, text)
	w.Check(err)
	if made.Nothing {
		w.t.Fatalf("set %s: nothing new", set)
	}
	w.Receive(made.Dirs)
	return made
}

func (w *world) get(url string) []byte {
	w.t.Helper()
	return w.Get(url)
}

// dnf is a real dnf with its own install root, cache and key database.
type dnf struct {
	w    *world
	root string
	args []string
}

// newDNF sets a client up by nothing but what the mirror publishes at base.
func (w *world) newDNF(base string, names ...string) *dnf {
	w.t.Helper()
	d := &dnf{w: w, root: w.t.TempDir()}
	for _, name := range names {
		text := strings.ReplaceAll(string(w.get(base+"/_gapbundle/clients/rpm/dnf/"+name+".repo")), "@BASE@", base)
		w.Write(filepath.Join(d.root, "etc/yum.repos.d", filepath.Base(name)+".repo"), []byte(text))
	}
	d.configure(filepath.Join(d.root, "etc/yum.repos.d"))
	return d
}

func (d *dnf) configure(repos string) {
	w := d.w
	for _, folder := range []string{"var/lib/rpm", "log", "cache", "persist", "vars"} {
		w.Check(os.MkdirAll(filepath.Join(d.root, folder), 0o755))
	}
	conf := filepath.Join(d.root, "dnf.conf")
	w.Write(conf, []byte("[main]\ngpgcheck=1\ninstallonly_limit=3\nproxy=\nretries=1\nkeepcache=1\nplugins=1\nmodule_platform_id=platform:el9\n"))
	d.args = []string{
		"-c", conf, "--installroot", d.root, "--releasever", "9", "--forcearch", "x86_64", "-y",
		"--setopt=reposdir=" + repos, "--setopt=cachedir=" + filepath.Join(d.root, "cache"), "--setopt=persistdir=" + filepath.Join(d.root, "persist"),
		"--setopt=logdir=" + filepath.Join(d.root, "log"), "--disableplugin=local", "--setopt=varsdir=" + filepath.Join(d.root, "vars"),
	}
}

// clientHome is a folder in the install root: Debian's rpm has its database in
// the home folder.
const clientHome = "/client"

func (d *dnf) try(args ...string) (string, error) {
	cmd := exec.CommandContext(d.w.t.Context(), "dnf", append(slices.Clone(d.args), args...)...)
	cmd.Dir = d.root
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "HOME="+clientHome, "GNUPGHOME=")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (d *dnf) must(args ...string) string {
	d.w.t.Helper()
	out, err := d.try(args...)
	if err != nil {
		d.w.t.Fatalf("dnf %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// download installs no further than into a folder, and names what is there.
func (d *dnf) download(args ...string) string {
	d.w.t.Helper()
	dir := d.w.t.TempDir()
	d.must(append([]string{"install", "--downloadonly", "--downloaddir", dir}, args...)...)
	return names(d.w.t, dir)
}

// names returns the packages below a folder, sorted, without their endings.
func names(t testing.TB, dir string) string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() && strings.HasSuffix(name, ".rpm") {
			all = append(all, strings.TrimSuffix(filepath.Base(name), ".rpm"))
		}
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}
