//go:build clients

package closure_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gapbundle/gapbundle/sources/apt/closure"
	"github.com/gapbundle/gapbundle/sources/apt/deb"
)

// lists reads the machine's own package lists, in the order of its sources:
// some 66,000 real packages.
func lists(t *testing.T) []closure.Index {
	t.Helper()
	var indexes []closure.Index
	for _, suite := range []string{"bookworm", "bookworm-updates", "bookworm-security"} {
		files, _ := filepath.Glob("/var/lib/apt/lists/*_dists_" + suite + "_main_binary-amd64_Packages*")
		if len(files) != 1 {
			t.Fatalf("%d package lists of %s in /var/lib/apt/lists, want 1: run apt-get update", len(files), suite)
		}
		text, err := exec.Command("/usr/lib/apt/apt-helper", "cat-file", files[0]).Output()
		if err != nil {
			t.Fatal(err)
		}
		x := closure.Index{Source: "debian"}
		for p, err := range deb.Packages(bytes.NewReader(text), deb.Limits{}) {
			if err != nil {
				t.Fatal(err)
			}
			x.Packages = append(x.Packages, p)
		}
		indexes = append(indexes, x)
	}
	return indexes
}

// client is an apt with nothing installed and one unsigned repository for
// each index. It chooses only: nothing is downloaded.
type client struct {
	root, config string
	status       []byte // nil: nothing is installed
}

// installed gives c a host on which something is installed.
func (c *client) installed(t *testing.T, status []byte) {
	t.Helper()
	c.status = status
	if err := os.WriteFile(filepath.Join(c.root, "var/lib/dpkg/status"), status, 0o644); err != nil {
		t.Fatal(err)
	}
}

func newClient(t *testing.T, indexes []closure.Index, architectures ...string) *client {
	t.Helper()
	if len(architectures) == 0 {
		architectures = []string{"amd64"}
	}
	dir := t.TempDir()
	write := func(name string, content []byte) {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var list strings.Builder
	for i, x := range indexes {
		suite := fmt.Sprintf("s%d", i)
		release := fmt.Sprintf("Suite: %s\nDate: %s UTC\nArchitectures: %s\nComponents: main\nSHA256:\n",
			suite, time.Now().UTC().Add(-time.Hour).Format("Mon, 02 Jan 2006 15:04:05"), strings.Join(architectures, " "))
		for _, arch := range architectures {
			var b bytes.Buffer
			for _, p := range x.Packages {
				if p.Architecture == arch || p.Architecture == "all" {
					b.WriteString(string(p.Paragraph) + "\n")
				}
			}
			path := "main/binary-" + arch + "/Packages"
			write("repo/dists/"+suite+"/"+path, b.Bytes())
			release += fmt.Sprintf(" %x %d %s\n", sha256.Sum256(b.Bytes()), b.Len(), path)
		}
		write("repo/dists/"+suite+"/Release", []byte(release))
		fmt.Fprintf(&list, "deb [trusted=yes] file:%s/repo %s main\n", dir, suite)
	}
	write("root/etc/apt/sources.list", []byte(list.String()))
	write("root/var/lib/dpkg/status", nil)
	for _, folder := range []string{"etc/apt/apt.conf.d", "etc/apt/preferences.d", "etc/apt/sources.list.d", "var/lib/apt/lists/partial", "var/cache/apt/archives/partial"} {
		write("root/"+folder+"/.keep", nil)
	}
	root := filepath.Join(dir, "root")
	write("apt.conf", fmt.Appendf(nil, "Dir %q; Dir::State::status %q; Dir::Etc::Parts %q; APT::Architecture \"amd64\"; APT::Architectures {\"%s\";};\n"+
		"APT::Sandbox::User \"root\"; Acquire::Languages \"none\"; APT::Install-Recommends \"0\"; Debug::NoLocking \"1\"; Acquire::Check-Date \"1\";\n",
		root, root+"/var/lib/dpkg/status", root+"/etc/apt/apt.conf.d", strings.Join(architectures, `";"`)))
	c := &client{root: root, config: filepath.Join(dir, "apt.conf")}
	if out, err := c.run("update"); err != nil {
		t.Fatalf("apt-get update: %v: %s", err, out)
	}
	return c
}

func (c *client) run(args ...string) ([]byte, error) {
	cmd := exec.Command("apt-get", args...)
	cmd.Env = append(os.Environ(), "APT_CONFIG="+c.config, "LC_ALL=C")
	return cmd.CombinedOutput()
}

// install returns the files that apt would download, sorted; nil if it refuses.
func (c *client) install(names ...string) []string {
	out, err := c.run(append([]string{"install", "-y", "--print-uris"}, names...)...)
	if err != nil {
		return nil
	}
	var files []string
	for line := range strings.Lines(string(out)) {
		if strings.HasPrefix(line, "'") {
			files = append(files, strings.Fields(line)[1])
		}
	}
	slices.Sort(files)
	return files
}

// restrict returns the indexes with what was chosen alone.
func restrict(indexes []closure.Index, s *closure.Selection) []closure.Index {
	partial := slices.Clone(indexes)
	for i := range partial {
		partial[i].Packages = nil
	}
	for _, c := range s.Choices {
		partial[c.Index].Packages = append(partial[c.Index].Packages, c.Package)
	}
	return partial
}

// asks returns what the tests below install: packages of clusters, whose
// dependencies have alternatives and virtual names, some at random, and pairs
// that may conflict.
func asks(indexes []closure.Index) [][]string {
	names := []string{"slurm-wlm", "nginx", "default-mta", "kubernetes-client", "postgresql", "openjdk-17-jdk", "docker.io", "mariadb-server", "apache2",
		"podman", "munge", "python3-numpy", "linux-image-amd64", "xfce4", "php", "r-base", "exim4", "postfix", "samba", "openmpi-bin", "grub-pc"}
	random := rand.New(rand.NewPCG(1, 2))
	for range 15 {
		all := indexes[0].Packages
		names = append(names, all[random.IntN(len(all))].Name)
	}
	var all [][]string
	for i, name := range names {
		all = append(all, []string{name})
		if i%4 == 3 {
			all = append(all, []string{name, names[(i*7+3)%len(names)]})
		}
	}
	return append(all, []string{"exim4", "cron", "bsd-mailx"}, []string{"postfix", "bsd-mailx"})
}

func request(names []string) closure.Request {
	return closure.Request{Source: "debian", Packages: names, Architectures: []string{"amd64"}}
}

// TestAptChoosesTheSame: what real apt chooses over the whole lists is in the
// closure of what was requested, and over a partial mirror of all closures it
// chooses the same.
func TestAptChoosesTheSame(t *testing.T) {
	indexes := lists(t)
	full := newClient(t, indexes)
	chosen := map[string][]string{}
	var wanted [][]string
	var names []string
	for _, args := range asks(indexes) {
		files := full.install(args...)
		if files == nil {
			t.Logf("apt refuses %s", args)
			continue
		}
		chosen[strings.Join(args, " ")] = files
		wanted = append(wanted, args)
		names = append(names, args...)
		s, err := closure.Select(indexes, []closure.Request{request(args)})
		if err != nil {
			t.Error(err)
			continue
		}
		if less := without(files, fileNames(s)); len(less) > 0 {
			t.Errorf("%s: the closure lacks %s", args, less)
		}
		t.Logf("%s: apt takes %d packages, the closure has %d", args, len(files), len(s.Choices))
	}
	if len(wanted) < 40 {
		t.Fatalf("apt installs %d of those asked for", len(wanted))
	}
	slices.Sort(names)
	s, err := closure.Select(indexes, []closure.Request{request(slices.Compact(names))})
	if err != nil {
		t.Fatal(err)
	}
	partial := newClient(t, restrict(indexes, s))
	for _, args := range wanted {
		want, got := chosen[strings.Join(args, " ")], partial.install(args...)
		if !slices.Equal(got, want) {
			t.Errorf("%s: over the partial mirror apt differs: more %s, less %s", args, without(got, want), without(want, got))
		}
	}
}

// TestAptRecommends: the same with what is recommended.
func TestAptRecommends(t *testing.T) {
	indexes := lists(t)
	full := newClient(t, indexes)
	for _, name := range []string{"slurm-wlm", "nginx", "default-mta", "docker.io", "mariadb-server", "podman", "xfce4", "php", "samba", "build-essential", "openmpi-bin"} {
		r := request([]string{name})
		r.Recommends = true
		compare(t, indexes, full, r, "--install-recommends")
	}
}

// TestAptInstalled: on a host that has this machine's packages, apt needs no
// more than the closure that takes them off.
func TestAptInstalled(t *testing.T) {
	indexes := lists(t)
	text, err := os.ReadFile("/var/lib/dpkg/status")
	if err != nil {
		t.Fatal(err)
	}
	full := newClient(t, indexes)
	full.installed(t, text)
	var installed []*deb.Package
	for p, err := range deb.Installed(bytes.NewReader(text), deb.Limits{}) {
		if err != nil {
			t.Fatal(err)
		}
		installed = append(installed, p)
	}
	for _, name := range []string{"slurm-wlm", "libc6", "gcc", "perl", "python3", "docker.io", "build-essential", "postgresql", "libssl-dev", "krb5-user", "bsd-mailx", "qemu-system-x86"} {
		r := request([]string{name})
		r.Installed = installed
		compare(t, indexes, full, r)
	}
}

// TestAptByRule: apt makes of the small archives what the tests of the rules
// expect, alone and over a mirror of the closure alone.
func TestAptByRule(t *testing.T) {
	for _, test := range []struct {
		text, ask     string
		architectures []string
	}{
		{archive, "cons either deepfail wantoldor versioned real prio noprio badprio ess self loop rec lib either,dd", []string{"amd64"}},
		{foreign, "app wine:i386 cons:i386 explicit", []string{"amd64", "i386"}},
	} {
		indexes := []closure.Index{{Source: "debian", Packages: parse(test.text)}}
		full := newClient(t, indexes, test.architectures...)
		for ask := range strings.FieldsSeq(test.ask) {
			r := request(strings.Split(ask, ","))
			r.Architectures = test.architectures
			if compare(t, indexes, full, r) == 0 {
				t.Errorf("%s: apt takes nothing", ask)
			}
		}
	}
}

// compare looks for what apt would take in the closure, and installs from a
// mirror of the closure alone.
func compare(t *testing.T, indexes []closure.Index, full *client, r closure.Request, args ...string) (taken int) {
	t.Helper()
	files := full.install(append(args, r.Packages...)...)
	s, err := closure.Select(indexes, []closure.Request{r})
	if err != nil {
		t.Error(err)
		return 0
	}
	if less := without(files, fileNames(s)); len(less) > 0 {
		t.Errorf("%s: the closure lacks %s", r.Packages, less)
	}
	t.Logf("%s: apt takes %d packages, the closure has %d", r.Packages, len(files), len(s.Choices))
	partial := newClient(t, restrict(indexes, s), r.Architectures...)
	if full.status != nil {
		partial.installed(t, full.status)
	}
	if got := partial.install(append(args, r.Packages...)...); !slices.Equal(got, files) {
		t.Errorf("%s: over the partial mirror apt differs: more %s, less %s", r.Packages, without(got, files), without(files, got))
	}
	return len(files)
}

// fileNames returns what apt calls the chosen files: an epoch's colon is escaped.
func fileNames(s *closure.Selection) []string {
	var all []string
	for _, c := range s.Choices {
		all = append(all, c.Package.Name+"_"+strings.ReplaceAll(c.Package.Version, ":", "%3a")+"_"+c.Package.Architecture+".deb")
	}
	return all
}

func without(a, b []string) []string {
	return slices.DeleteFunc(slices.Clone(a), func(s string) bool { return slices.Contains(b, s) })
}

// TestWholeLists: everything the machine's lists have, in the newest version,
// with all dependencies; and how long it takes.
func TestWholeLists(t *testing.T) {
	indexes := lists(t)
	for name, r := range map[string]closure.Request{
		"one":        request([]string{"slurm-wlm"}),
		"a section":  {Source: "debian", Sections: []string{"admin"}, Recommends: true, Architectures: []string{"amd64"}},
		"everything": {Source: "debian", All: true, Newest: 1, Architectures: []string{"amd64"}},
	} {
		start := time.Now()
		s, err := closure.Select(indexes, []closure.Request{r})
		if err != nil || len(s.Choices) == 0 {
			t.Fatal(name, err)
		}
		t.Logf("%s: %d packages, %d notes in %v", name, len(s.Choices), len(s.Notes), time.Since(start))
	}
}
