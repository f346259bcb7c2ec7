//go:build clients

package apt

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// systemOf makes an upstream of three suites, as Debian has them, of which a system is really set
// up: its packages have the programs of this machine. What the newest of them depend on is in the
// suite of security updates alone.
func (w *world) systemOf(arch string) {
	w.t.Helper()
	tools := w.programs("coreutils", "dash", "grep", "sed", "findutils", "diffutils", "tar", "gzip", "mawk", "mount", "libc-bin")
	packager, fetcher := append(w.programs("dpkg"), w.glob("/usr/share/dpkg/*table")...), w.programs("apt", "gpgv")
	libraries := w.libraries(slices.Concat(tools, packager, fetcher)...)
	isApt := func(name string) bool { return strings.Contains(name, "/libapt-p") }
	libapt := slices.DeleteFunc(slices.Clone(libraries), func(name string) bool { return !isApt(name) })
	libc := slices.DeleteFunc(slices.Clone(libraries), isApt)
	folders := []string{"bin/", "sbin/", "lib/", "lib64/", "dev/", "proc/", "sys/", "run/", "root/", "tmp/", "etc/apt/apt.conf.d/", "etc/apt/sources.list.d/", "etc/dpkg/", "usr/share/keyrings/", "var/cache/apt/archives/partial/", "var/lib/apt/lists/partial/", "var/lib/dpkg/info/", "var/log/"}
	essential := "Essential: yes"
	for _, p := range []standIn{
		{"os", "base-files", "1", "required", essential, folders},
		{"os", "base-passwd", "1", "required", essential, []string{"/etc/passwd", "/etc/group"}},
		{"os", "coreutils", "1", "required", essential + "\nPre-Depends: libc6 (>= 1)", tools},
		{"os", "dpkg", "1", "required", essential + "\nPre-Depends: libc6 (>= 1)", packager},
		{"os", "init-system-helpers", "1", "required", essential + "\nDepends: usrmerge | usr-is-merged", nil},
		{"os", "usrmerge", "1", "optional", "", nil},
		{"os", "usr-is-merged", "1", "optional", "", nil},
		{"os", "perl-base", "1", "required", essential, nil},
		{"os", "mawk", "1", "required", "Provides: awk", []string{"/usr/bin/awk"}},
		{"os", "libc6", "1", "optional", "", libc},
		{"os", "apt", "1", "required", "Depends: libapt-pkg (= 1), gpgv | gpgv2", fetcher},
		{"os", "libapt-pkg", "1", "optional", "", libapt},
		{"os", "gpgv", "1", "optional", "", nil},
		{"os", "debconf", "1", "important", "", nil},
		{"os", "manual", "1", "standard", "Depends: pager", nil},
		{"os", "pager", "1", "optional", "", nil},
		{"os", "hello", "1", "optional", "Depends: libc6 (>= 1)", nil},
		{"os", "unwanted", "1", "optional", "", nil},
		{"updates", "hello", "2", "optional", "Depends: libhello", nil},
		{"updates", "libhello", "2", "optional", "Depends: libc6 (>= 2)", nil},
		{"security", "libc6", "2", "optional", "", libc},
		{"security", "dpkg", "2", "required", essential + "\nPre-Depends: libc6 (>= 2), libnew", packager},
		{"security", "libnew", "2", "optional", "", nil},
		{"security", "apt", "2", "required", "Depends: libapt-pkg (= 2), gpgv | gpgv2", fetcher},
		{"security", "libapt-pkg", "2", "optional", "", libapt},
	} {
		w.standIn(p, arch)
	}
	for _, s := range []string{"os bookworm", "updates bookworm-updates", "security bookworm-security"} {
		repo, suite, _ := strings.Cut(s, " ")
		w.suite(repo, suite, []string{"main"}, []string{arch})
	}
}

// standIn is a package that is called as one of Debian.
type standIn struct {
	repo, name, version, priority, fields string
	// files are those of this machine that it has; one that ends with a slash is made.
	files []string
}

// standIn builds the package.
func (w *world) standIn(p standIn, arch string) {
	w.t.Helper()
	dir := filepath.Join(w.t.TempDir(), p.name)
	control := fmt.Sprintf("Package: %s\nVersion: %s\nArchitecture: %s\nMaintainer: Nobody <nobody@a.example>\nSection: misc\nPriority: %s\n%s", p.name, p.version, arch, p.priority, p.fields)
	w.write(filepath.Join(dir, "DEBIAN/control"), []byte(strings.TrimSpace(control)+"\nDescription: what "+p.name+" is\n"))
	w.write(filepath.Join(dir, "usr/share", p.name, "content"), []byte(p.name+" "+p.version+"\n"))
	for _, name := range p.files {
		if strings.HasSuffix(name, "/") {
			w.check(os.MkdirAll(filepath.Join(dir, name), 0o755))
			if name == "tmp/" {
				w.check(os.Chmod(filepath.Join(dir, name), 0o777|os.ModeSticky))
			}
			continue
		}
		to := filepath.Join(dir, name)
		w.check(os.MkdirAll(filepath.Dir(to), 0o755))
		w.run("", "cp", "--dereference", "--preserve=mode", name, to)
	}
	out := filepath.Join(w.www, p.repo, "pool/main", p.name)
	w.check(os.MkdirAll(out, 0o755))
	w.run("", "dpkg-deb", "--root-owner-group", "-Znone", "--build", dir, filepath.Join(out, p.name+"_"+p.version+"_"+arch+".deb"))
}

// programs are the programs of installed packages, and what these run of their own.
func (w *world) programs(packages ...string) (all []string) {
	w.t.Helper()
	for name := range strings.Lines(string(w.run("", "dpkg-query", append([]string{"--listfiles"}, packages...)...))) {
		name = strings.TrimSpace(name)
		if regexp.MustCompile(`^(/usr)?/s?bin/|^/usr/lib/apt/`).MatchString(name) {
			if info, err := os.Stat(name); err == nil && info.Mode().IsRegular() {
				all = append(all, name)
			}
		}
	}
	return all
}

func (w *world) glob(pattern string) []string {
	w.t.Helper()
	all, err := filepath.Glob(pattern)
	w.check(err)
	return all
}

// libraries are what programs are linked with, and the loader.
func (w *world) libraries(programs ...string) []string {
	w.t.Helper()
	found := map[string]string{} // by name: /lib and /usr/lib may be one folder
	for _, p := range programs {
		out, err := exec.CommandContext(w.t.Context(), "ldd", p).Output()
		if err != nil {
			continue // a script
		}
		for _, m := range regexp.MustCompile(`(?m)(/\S+) \(0x`).FindAllStringSubmatch(string(out), -1) {
			found[filepath.Base(m[1])] = m[1]
		}
	}
	return slices.Sorted(maps.Values(found))
}
