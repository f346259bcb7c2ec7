//go:build clients

package apt

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/internal/test/pages"
	"github.com/gapbundle/gapbundle/internal/test/webtest"
)

// specSystem returns a source of the three suites.
func (w *world) specSystem(name, arch string, more ...string) string {
	line := func(repo, suite string) string { return fmt.Sprintf("deb %s/%s %s main", w.url, repo, suite) }
	return fmt.Sprintf("- name: %s\n  kind: apt\n  line: [%s, %s, %s]\n  architectures: %s\n  keyring: upstream.asc\n  %s\n",
		name, line("os", "bookworm"), line("updates", "bookworm-updates"), line("security", "bookworm-security"), arch, strings.Join(more, "\n  "))
}

// rootfs is a system that is set up from a source of a mirror.
type rootfs struct {
	w         *world
	root, key string
	base      string // of the mirror
	client    string // the source's client file
	keys      string // name of its key file, without the ending
}

// newRootfs fetches what the mirror has for clients of a source: its client file, and the key in
// the form that debootstrap reads.
func (w *world) newRootfs(base, keys, source string) *rootfs {
	w.t.Helper()
	dir := w.t.TempDir()
	g := &rootfs{w: w, root: filepath.Join(dir, "root"), key: filepath.Join(dir, keys+".gpg"), base: base, keys: keys}
	g.client = strings.ReplaceAll(string(w.get(base+"/_gapbundle/clients/apt/"+source+".sources")), "@BASE@", base)
	w.Write(g.key, w.get(base+"/keys/"+keys+".gpg"))
	return g
}

// url returns the address of one of the repositories, or of the source if it has one alone.
func (g *rootfs) url(repo string) string {
	g.w.t.Helper()
	m := regexp.MustCompile(`(?m)^URIs: (\S+/apt/(?:\S+/` + repo + `|[^/]+))/$`).FindStringSubmatch(g.client)
	if m == nil {
		g.w.t.Fatalf("no repository %s in\n%s", repo, g.client)
	}
	return m[1]
}

// try runs a program with mounts of its own: what it mounts in the system is gone with it.
func (g *rootfs) try(name string, args ...string) (string, error) {
	cmd := exec.CommandContext(g.w.t.Context(), "unshare", append([]string{"--mount", "--fork", name}, args...)...)
	cmd.Env = append(os.Environ(), "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive", "PATH="+os.Getenv("PATH")+":/usr/sbin:/sbin")
	out, err := cmd.CombinedOutput()
	if err != nil {
		log, _ := os.ReadFile(filepath.Join(g.root, "debootstrap/debootstrap.log"))
		out = append(out, log...)
	}
	return string(out), err
}

func (g *rootfs) must(name string, args ...string) string {
	g.w.t.Helper()
	out, err := g.try(name, args...)
	if err != nil {
		g.w.t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return out
}

// debootstrap sets the system up from the release suite alone.
func (g *rootfs) debootstrap(option string) {
	g.w.t.Helper()
	if out, err := g.tryDebootstrap(option); err != nil {
		g.w.t.Fatalf("debootstrap: %v\n%s", err, out)
	}
}

func (g *rootfs) tryDebootstrap(option string) (string, error) {
	return g.try("debootstrap", option, "--keyring="+g.key, "bookworm", g.root, g.url("os"))
}

// mmdebstrap sets the system up from suites: "REPOSITORY SUITE".
func (g *rootfs) mmdebstrap(variant string, suites ...string) {
	g.w.t.Helper()
	args := []string{"--mode=root", variant, "--keyring=" + g.key, "bookworm", g.root}
	for _, s := range suites {
		repo, suite, _ := strings.Cut(s, " ")
		args = append(args, fmt.Sprintf("deb [signed-by=%s] %s %s main", g.key, g.url(repo), suite))
	}
	g.must("mmdebstrap", args...)
}

// installs puts the client file of the mirror in place of what the tool left, and installs one more
// package in the system by its own apt, and all updates.
func (g *rootfs) installs() {
	w := g.w
	w.t.Helper()
	w.Write(filepath.Join(g.root, "etc/apt/sources.list.d/os.sources"), []byte(g.client))
	w.Write(filepath.Join(g.root, "usr/share/keyrings/gapbundle-"+g.keys+".asc"), w.get(g.base+"/keys/"+g.keys+".asc"))
	for _, name := range []string{"etc/apt/sources.list", "etc/apt/sources.list.d/0000mmdebstrap.sources"} {
		w.Check(os.RemoveAll(filepath.Join(g.root, name)))
	}
	g.must("chroot", g.root, "apt-get", "--error-on=any", "update")
	g.must("chroot", g.root, "apt-get", "install", "--yes", "hello")
	g.is("hello 2, libhello 2, libc6 2")
	g.must("chroot", g.root, "apt-get", "dist-upgrade", "--yes")
	g.is("apt 2, dpkg 2, libapt-pkg 2, libc6 2, libnew 2, base-files 1")
	if out := g.must("chroot", g.root, "dpkg", "--audit"); out != "" {
		w.t.Errorf("not whole: %s", out)
	}
}

// is compares what is installed in the system: "name version, ...", where version - is none.
func (g *rootfs) is(want string) {
	g.w.t.Helper()
	out := g.must("chroot", g.root, "dpkg-query", "--show", "--showformat=${Package} ${Version} ${db:Status-Status}\n")
	for one := range strings.SplitSeq(want, ", ") {
		name, version, _ := strings.Cut(one, " ")
		found := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(name) + ` (\S+) installed$`).FindStringSubmatch(out)
		if got := append(found, "-", "-")[1]; got != version {
			g.w.t.Errorf("%s: got %s, want %s; there are\n%s", name, got, version, out)
		}
	}
}

// bootstrapByPage runs the commands of docs/sources/apt.md, and returns the systems that debootstrap and
// mmdebstrap made. Only the addresses and the folder of the new system are others. Everyone can enter
// the folder that they run in, as the page says: apt reads the key as its user _apt.
func (w *world) bootstrapByPage(base, source string) (all [2]*rootfs) {
	w.t.Helper()
	dir, err := os.MkdirTemp("/var/tmp", "gapbundle-bootstrap-")
	w.Check(err)
	w.t.Cleanup(func() { w.Check(os.RemoveAll(dir)) })
	w.Check(os.Chmod(dir, 0o755))
	for i, name := range []string{"debootstrapped", "mmdebstrapped"} {
		all[i] = w.newRootfs(base, "example-site", source)
		all[i].root = filepath.Join(dir, name)
	}
	t := w.t
	text := pages.Text(t, "docs/sources/apt.md", "setting-up-systems", 1)
	text = strings.NewReplacer("http://mirror.example/apt/debian", all[0].url("os"), "http://mirror.example/", base+"/", "/srv/root", all[0].root).Replace(text)
	all[0].must("sh", "-e", "-c", "cd "+dir+"\n"+text)
	w.Check(os.Mkdir(all[1].root, 0o755))
	all[1].must("tar", "-xf", filepath.Join(dir, "root.tar"), "-C", all[1].root)
	return all
}

// TestBootstrapClients: debootstrap and mmdebstrap set systems up from a partial mirror of three
// suites, and apt in these installs one more package and the updates. From one that is the same but
// for bootstrap debootstrap cannot: what the newest packages need is in a suite of updates.
func TestBootstrapClients(t *testing.T) {
	w := newWorld(t)
	arch := strings.TrimSpace(string(w.run("", "dpkg", "--print-architecture")))
	w.systemOf(arch)
	names := "apt, base-files, base-passwd, coreutils, dpkg, init-system-helpers, perl-base, mawk, usr-is-merged, hello"
	w.publish("example", w.specSystem("os", arch, "bootstrap: minbase", "packages: [hello]"))
	w.publish("whole", w.specSystem("all", arch, "bootstrap: standard", "packages: [hello]"))
	w.publish("byhand", w.specSystem("hand", arch, "packages: ["+names+"]"))
	w.publish("upstream", fmt.Sprintf("- name: verbatim\n  kind: apt\n  url: %s/os\n  suites: bookworm\n  architectures: %s\n  keyring: upstream.asc\n", w.url, arch))
	s := webtest.Start(t, webtest.Serve, w.mirror)
	for name, f := range map[string]func(w *world){
		"commands of the page": func(w *world) {
			all := w.bootstrapByPage(s.URL, "os")
			all[0].is("usr-is-merged 1, usrmerge -")
			for _, g := range all {
				g.is("apt 1, dpkg 1, libapt-pkg 1, libc6 1, debconf -, hello -, unwanted -")
				g.installs()
			}
		},
		"debootstrap without a variant": func(w *world) {
			g := w.newRootfs(s.URL, "whole-site", "all")
			g.debootstrap("--include=manual")
			g.is("apt 1, dpkg 1, libc6 1, debconf 1, manual 1, pager 1, hello -, unwanted -")
		},
		"mmdebstrap of all suites": func(w *world) {
			g := w.newRootfs(s.URL, "whole-site", "all")
			g.mmdebstrap("--variant=standard", "os bookworm", "updates bookworm-updates", "security bookworm-security")
			g.is("libc6 2, debconf 1, manual 1, pager 1, hello -, unwanted -")
			g.installs()
		},
		"upstream's own index": func(w *world) {
			g := w.newRootfs(s.URL, "verbatim", "verbatim")
			g.debootstrap("--variant=minbase")
			g.is("apt 1, libc6 1, hello -, debconf -")
		},
		"a list of names by hand": func(w *world) {
			g := w.newRootfs(s.URL, "byhand-site", "hand")
			if out, err := g.tryDebootstrap("--variant=minbase"); err == nil || !strings.Contains(out, "Couldn't find these debs: apt") {
				w.t.Errorf("debootstrap from a mirror without bootstrap: %v\n%s", err, out)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			here := *w
			here.t = t
			f(&here)
		})
	}
}
