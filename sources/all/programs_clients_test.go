//go:build clients

package all

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/sources/pypi/piptest"
)

// program is a client that the site's machines have.
type program struct {
	name string
	ask  func(c *client)
	own  bool // it asks by the mirror's own name alone
	// system is what it is a client of.
	system string
	// version is what prints its version; nil: the program with --version.
	version func(t *testing.T) []string
}

func programs() []program {
	return []program{
		{name: "curl", ask: askFiles, system: "files by URL"},
		{name: "apt-get", ask: askAPT, system: "packages of Debian and Ubuntu"},
		{name: "apt-get", ask: askDriverContainer, own: true, system: "packages in driver containers of the GPU Operator"},
		{name: "dnf", ask: askDNF, system: "packages of Enterprise Linux"},
		{name: "debootstrap", ask: askDebootstrap, system: "a new system of Ubuntu"},
		{name: "containerd", ask: askContainerd, system: "images, as Kubernetes pulls them"},
		{name: "podman", ask: askPodman, system: "images"},
		{name: "skopeo", ask: askSkopeo, system: "images, digests unchanged"},
		{name: "helm", ask: askHelm, system: "charts", version: func(*testing.T) []string { return []string{"helm", "version", "--short"} }},
		{name: "pip", ask: askPip, system: "Python packages", version: func(t *testing.T) []string {
			return []string{piptest.Program(t, "pip-"+piptest.NewestPip, "pip"), "--version"}
		}},
		{name: "uv", ask: askUV, system: "Python packages", version: func(t *testing.T) []string { return []string{piptest.Program(t, "uv", "uv"), "--version"} }},
		{name: "sstream-mirror", ask: askStreams, system: "images for MAAS (simplestreams)", version: func(t *testing.T) []string {
			return []string{piptest.Program(t, "simplestreams", "pip"), "show", "python-simplestreams"}
		}},
		{name: "git", ask: askGit, system: "git repositories with submodules"},
		{name: "ansible-galaxy", ask: askGalaxy, system: "Ansible collections and roles", version: func(t *testing.T) []string { return []string{ansible(t, "ansible-galaxy"), "--version"} }},
		{name: "ansible-playbook", ask: askPlaybook, own: true, system: "what DeepOps' roles do with the printed variables", version: func(t *testing.T) []string { return []string{ansible(t, "ansible-playbook"), "--version"} }},
	}
}

var versionNumber = regexp.MustCompile(`[0-9]+\.[0-9][\w.+~-]*`)

// TestTableOfClients: the README's table has the clients that TestWholeSite runs and no others,
// each with its version as far as the table gives it, and with the servers.
func TestTableOfClients(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	const head = "| system | client | by the mirror's own name | by public names |\n| --- | --- | --- | --- |\n"
	_, table, found := strings.Cut(string(readme), head)
	table, _, _ = strings.Cut(table, "\n\n")
	lines := strings.Split(table, "\n")
	if !found || len(lines) != len(programs()) {
		t.Fatalf("README.md: a table with the head\n%sand %d lines is wanted; it has %d", head, len(programs()), len(lines))
	}
	for i, p := range programs() {
		cells := strings.Split(strings.Trim(lines[i], "| "), " | ")
		if len(cells) != 4 {
			t.Fatalf("%q: want four cells", lines[i])
		}
		public := "`gapbundle serve`, nginx, Apache, Caddy"
		if p.own {
			public = "-"
		}
		name, version, _ := strings.Cut(cells[1], " ")
		if cells[0] != p.system || name != p.name || cells[2] != "nginx" || cells[3] != public {
			t.Errorf("README.md has\n%s\nand the test runs\n| %s | %s VERSION | nginx | %s |", lines[i], p.system, p.name, public)
		}
		command := []string{p.name, "--version"}
		if p.version != nil {
			command = p.version(t)
		}
		cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
		cmd.Env = append(os.Environ(), fmt.Sprintf("PATH=%s:/usr/sbin:/sbin", os.Getenv("PATH")))
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v\n%s", strings.Join(command, " "), err, out)
		}
		is := versionNumber.FindString(string(out))
		if rest, ok := strings.CutPrefix(is, version); version == "" || !ok || rest != "" && rest[0] >= '0' && rest[0] <= '9' {
			t.Errorf("README.md says %s %q, and it is %q", name, version, is)
		}
	}
}
