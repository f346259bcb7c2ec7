//go:build clients

package closure_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
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
	config string
}

func newClient(t *testing.T, indexes []closure.Index) *client {
	t.Helper()
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
		var b bytes.Buffer
		for _, p := range x.Packages {
			b.WriteString(string(p.Paragraph) + "\n")
		}
		suite := fmt.Sprintf("s%d", i)
		write("repo/dists/"+suite+"/main/binary-amd64/Packages", b.Bytes())
		write("repo/dists/"+suite+"/Release", fmt.Appendf(nil, "Suite: %s\nDate: %s UTC\nArchitectures: amd64\nComponents: main\nSHA256:\n %x %d main/binary-amd64/Packages\n",
			suite, time.Now().UTC().Add(-time.Hour).Format("Mon, 02 Jan 2006 15:04:05"), sha256.Sum256(b.Bytes()), b.Len()))
		fmt.Fprintf(&list, "deb [trusted=yes] file:%s/repo %s main\n", dir, suite)
	}
	write("root/etc/apt/sources.list", []byte(list.String()))
	write("root/var/lib/dpkg/status", nil)
	for _, folder := range []string{"etc/apt/apt.conf.d", "etc/apt/preferences.d", "etc/apt/sources.list.d", "var/lib/apt/lists/partial", "var/cache/apt/archives/partial"} {
		write("root/"+folder+"/.keep", nil)
	}
	root := filepath.Join(dir, "root")
	write("apt.conf", fmt.Appendf(nil, "Dir %q; Dir::State::status %q; Dir::Etc::Parts %q; APT::Architecture \"amd64\"; APT::Architectures {\"amd64\";};\n"+
		"APT::Sandbox::User \"root\"; Acquire::Languages \"none\"; APT::Install-Recommends \"0\"; Debug::NoLocking \"1\"; Acquire::Check-Date \"1\";\n",
		root, root+"/var/lib/dpkg/status", root+"/etc/apt/apt.conf.d"))
	c := &client{config: filepath.Join(dir, "apt.conf")}
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

// install are the files that apt would download, sorted; nil if it refuses.
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

// restrict is the indexes with what was chosen alone.
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

// TestAptChoosesTheSame: over the whole lists and over a partial mirror of
// some packages, real apt chooses the same versions for each of them, and for
// pairs of them.
func TestAptChoosesTheSame(t *testing.T) {
	indexes := lists(t)
	names := []string{"slurm-wlm", "nginx", "default-mta", "kubernetes-client", "postgresql", "openjdk-17-jdk", "docker.io", "mariadb-server",
		"apache2", "gnome-terminal", "podman", "munge", "python3-numpy", "build-essential", "linux-image-amd64", "systemd", "xfce4", "texlive-latex-base",
		"php", "emacs", "r-base", "libreoffice-calc", "exim4", "postfix", "samba", "gitlab-runner", "openmpi-bin", "prometheus", "grub-pc", "grub-efi-amd64"}
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // a sample
	for range 90 {
		all := indexes[0].Packages
		names = append(names, all[random.IntN(len(all))].Name)
	}
	cache := map[string][]string{}                               //A2
	if b, err := os.ReadFile("/tmp/a2/cache.json"); err == nil { //A2
		json.Unmarshal(b, &cache) //A2
	} //A2
	defer func() { b, _ := json.Marshal(cache); os.WriteFile("/tmp/a2/cache.json", b, 0o644) }() //A2
	full := newClient(t, indexes)
	chosen := map[string][]string{}
	var wanted [][]string
	for i, name := range names {
		args := []string{name}
		if i%5 == 4 {
			args = append(args, names[(i*7+3)%len(names)])
		}
		files, hit := cache[strings.Join(args, " ")] //A2
		if !hit {                                    //A2
			files = full.install(args...)          //A2
			cache[strings.Join(args, " ")] = files //A2
		} //A2
		if files != nil {
			chosen[strings.Join(args, " ")] = files
			wanted = append(wanted, args)
		} else {
			t.Logf("apt refuses %s", args)
		}
	}
	var ask []string
	for _, args := range wanted {
		ask = append(ask, args...)
	}
	slices.Sort(ask)
	start := time.Now()
	s, err := closure.Select(indexes, []closure.Request{{Source: "debian", Packages: slices.Compact(ask), Architectures: []string{"amd64"}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d packages for %d names in %v; notes: %s", len(s.Choices), len(ask), time.Since(start), strings.Join(s.Notes, "\n"))
	partial := newClient(t, restrict(indexes, s))
	for _, args := range wanted {
		want, got := chosen[strings.Join(args, " ")], partial.install(args...)
		if !slices.Equal(got, want) {
			t.Errorf("%s: over the partial mirror apt differs:\nmore %s\nless %s", args, without(got, want), without(want, got))
		}
	}
}

func without(a, b []string) []string {
	return slices.DeleteFunc(slices.Clone(a), func(s string) bool { return slices.Contains(b, s) })
}
