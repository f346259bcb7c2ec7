// Package systemtest makes packages that are together a small system of Debian or Ubuntu. They
// are called as the archive's own are, and have the programs and libraries of this machine, so that
// debootstrap and mmdebstrap really set a system up from them.
package systemtest

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Package is a package that is called as one of the archive.
type Package struct {
	Name, Version, Priority string
	// Fields are more lines of its control file.
	Fields string
	// Files are those of this machine that it has; one that ends with a slash is a folder that
	// is made.
	Files []string
}

// System are the files of this machine that a small system needs.
type System struct {
	Tools, Packager, Fetcher []string
	LibC, LibAPT             []string // what they are linked with
}

// Essential marks a package that every system has.
const Essential = "Essential: yes"

// Of looks for the files on this machine, which is one of Debian.
func Of(t testing.TB) *System {
	t.Helper()
	tables, err := filepath.Glob("/usr/share/dpkg/*table")
	if err != nil {
		t.Fatal(err)
	}
	s := &System{
		Tools:    programs(t, "coreutils", "dash", "grep", "sed", "findutils", "diffutils", "tar", "gzip", "mawk", "mount", "libc-bin"),
		Packager: append(programs(t, "dpkg"), tables...), Fetcher: programs(t, "apt", "gpgv"),
	}
	for _, name := range libraries(t, slices.Concat(s.Tools, s.Packager, s.Fetcher)...) {
		if strings.Contains(name, "/libapt-p") {
			s.LibAPT = append(s.LibAPT, name)
		} else {
			s.LibC = append(s.LibC, name)
		}
	}
	return s
}

// Minimal returns the packages of a minimal system, all in one version.
func (s *System) Minimal(version string) []Package {
	folders := []string{"bin/", "sbin/", "lib/", "lib64/", "dev/", "proc/", "sys/", "run/", "root/", "tmp/", "etc/apt/apt.conf.d/", "etc/apt/sources.list.d/", "etc/dpkg/", "usr/share/keyrings/", "var/cache/apt/archives/partial/", "var/lib/apt/lists/partial/", "var/lib/dpkg/info/", "var/log/"}
	needsLibC := Essential + "\nPre-Depends: libc6 (>= " + version + ")"
	return []Package{
		{"base-files", version, "required", Essential, folders},
		{"base-passwd", version, "required", Essential, []string{"/etc/passwd", "/etc/group"}},
		{"coreutils", version, "required", needsLibC, s.Tools},
		{"dpkg", version, "required", needsLibC, s.Packager},
		{"init-system-helpers", version, "required", Essential + "\nDepends: usrmerge | usr-is-merged", nil},
		{"usrmerge", version, "optional", "", nil},
		{"usr-is-merged", version, "optional", "", nil},
		{"perl-base", version, "required", Essential, nil},
		{"mawk", version, "required", "Provides: awk", []string{"/usr/bin/awk"}},
		{"libc6", version, "optional", "", s.LibC},
		{"apt", version, "required", "Depends: libapt-pkg (= " + version + "), gpgv | gpgv2", s.Fetcher},
		{"libapt-pkg", version, "optional", "", s.LibAPT},
		{"gpgv", version, "optional", "", nil},
	}
}

// Build makes the package's file in a folder.
func (p Package) Build(t testing.TB, folder, arch string) {
	t.Helper()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	dir := filepath.Join(t.TempDir(), p.Name)
	write := func(name, text string) {
		t.Helper()
		check(os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
		check(os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
	}
	control := fmt.Sprintf("Package: %s\nVersion: %s\nArchitecture: %s\nMaintainer: Nobody <nobody@a.example>\nSection: misc\nPriority: %s\n%s", p.Name, p.Version, arch, p.Priority, p.Fields)
	write("DEBIAN/control", strings.TrimSpace(control)+"\nDescription: what "+p.Name+" is\n")
	write("usr/share/"+p.Name+"/content", p.Name+" "+p.Version+"\n")
	for _, name := range p.Files {
		to := filepath.Join(dir, name)
		if strings.HasSuffix(name, "/") {
			check(os.MkdirAll(to, 0o755))
			if name == "tmp/" {
				check(os.Chmod(to, 0o777|os.ModeSticky))
			}
			continue
		}
		check(os.MkdirAll(filepath.Dir(to), 0o755))
		run(t, "cp", "--dereference", "--preserve=mode", name, to)
	}
	check(os.MkdirAll(folder, 0o755))
	run(t, "dpkg-deb", "--root-owner-group", "-Znone", "--build", dir, filepath.Join(folder, p.Name+"_"+p.Version+"_"+arch+".deb"))
}

var program = regexp.MustCompile(`^(/usr)?/s?bin/|^/usr/lib/apt/`)

// programs returns the programs of packages that are installed here.
func programs(t testing.TB, packages ...string) (all []string) {
	t.Helper()
	for name := range strings.Lines(run(t, "dpkg-query", append([]string{"--listfiles"}, packages...)...)) {
		name = strings.TrimSpace(name)
		if info, err := os.Stat(name); program.MatchString(name) && err == nil && info.Mode().IsRegular() {
			all = append(all, name)
		}
	}
	return all
}

var linked = regexp.MustCompile(`(?m)(/\S+) \(0x`)

// libraries returns what programs are linked with, and the loader.
func libraries(t testing.TB, programs ...string) []string {
	t.Helper()
	found := map[string]string{} // by name: /lib and /usr/lib may be one folder
	for _, p := range programs {
		out, err := exec.CommandContext(t.Context(), "ldd", p).Output()
		if err != nil {
			continue // a script
		}
		for _, m := range linked.FindAllStringSubmatch(string(out), -1) {
			found[filepath.Base(m[1])] = m[1]
		}
	}
	return slices.Sorted(maps.Values(found))
}

func run(t testing.TB, name string, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}
