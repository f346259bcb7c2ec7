//go:build clients

package settings

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"go.yaml.in/yaml/v3"

	"github.com/gapbundle/gapbundle/internal/test/prepared"
)

// playbooks returns Debian's ansible-playbook and the releases that .ci/ansible sets up.
func playbooks(t *testing.T) map[string]string {
	t.Helper()
	return map[string]string{
		"debian": "/usr/bin/ansible-playbook", "2.17": prepared.Ansible(t, "2.17.14", "ansible-playbook"),
		"2.18": prepared.Ansible(t, "2.18.19", "ansible-playbook"), "newest": prepared.Ansible(t, "newest", "ansible-playbook"),
	}
}

// play runs a playbook on this machine, against a folder, and returns how many tasks changed
// something.
func play(t *testing.T, program, dir string, args ...string) (changed int, output string) {
	t.Helper()
	// The interpreter is Debian's, which every release of ansible-core here can drive.
	args = append([]string{"-i", "localhost,", "-c", "local", "-e", "ansible_become=false", "-e", "ansible_python_interpreter=/usr/bin/python3"}, args...)
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Dir = dir
	cmd.Env = []string{"PATH=/usr/bin:/bin", "HOME=" + t.TempDir(), "LC_ALL=C.UTF-8", "ANSIBLE_NOCOLOR=1", "ANSIBLE_LOCALHOST_WARNING=False"}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", program, err, out)
	}
	_, recap, _ := strings.Cut(string(out), "PLAY RECAP")
	_, after, found := strings.Cut(recap, "changed=")
	if _, err := fmt.Sscanf(after, "%d", &changed); !found || err != nil {
		t.Fatalf("no recap: %v\n%s", err, out)
	}
	return changed, string(out)
}

// put writes what is written for a mirror below a folder.
func put(t *testing.T, m *Mirror) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for _, f := range written(t, m) {
		name := filepath.Join(dir, filepath.FromSlash(f.Path))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, f.Content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestRole: with every release of ansible-core, the role says
// what it would do, does it once, and changes nothing again.
func TestRole(t *testing.T) {
	clients := fstest.MapFS{
		"apt/cuda-ubuntu2404-x86_64.sources": {Data: []byte("Types: deb\nURIs: " + base + "/apt/cuda\nSuites: /\nSigned-By: /usr/share/keyrings/gapbundle-site.asc\n")},
		"rpm/dnf/epel.repo":                  {Data: []byte("[epel]\nbaseurl=" + base + "/rpm/epel\n")},
		"oci/containerd/quay.io/hosts.toml":  {Data: []byte("server = \"" + base + "/v2/quay.io\"\n")},
		"oci/podman/registries.conf":         {Data: []byte("[[registry]]\n")},
		"_sets/b/git/git/gitconfig":          {Data: []byte("[url \"" + base + "/git/gitlab.com/\"]\n\tinsteadOf = \"https://gitlab.com/\"\n")},
		"_sets/b/oci/podman/registries.conf": {Data: []byte("# b\n")},
		"git/git/gitconfig":                  {Data: []byte("[url \"" + base + "/git/github.com/\"]\n\tinsteadOf = \"https://github.com/\"\n")},
	}
	m := mirror(t, nil, clients, "keys/site.asc", "pypi/setup/simple/index.html", "pypi/{{ x }}/simple/index.html")
	m.Names = []string{"github.com", "nvcr.io"}
	dir := filepath.Join(put(t, m), "ansible")
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, []byte("an authority\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, program := range playbooks(t) {
		families := []string{debian}
		if name == "debian" || name == "newest" {
			families = append(families, redHat)
		}
		for _, family := range families {
			t.Run(name+"/"+family, func(t *testing.T) {
				root := t.TempDir()
				args := []string{"mirror.yml", "-e", "gapbundle_root=" + root, "-e", "gapbundle_family=" + family, "-e", "gapbundle_ca=" + ca, "-e", "gapbundle_address=10.0.0.2", "-e", `{"gapbundle_absent": ["/etc/apt/sources.list.d/ubuntu.sources"]}`}
				public := filepath.Join(root, "etc/apt/sources.list.d/ubuntu.sources")
				if err := os.MkdirAll(filepath.Dir(public), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(public, []byte("URIs: http://archive.ubuntu.com\n"), 0o644); err != nil {
					t.Fatal(err)
				}
				if n, out := play(t, program, dir, append(args, "--check")...); n == 0 {
					t.Errorf("--check: nothing would change\n%s", out)
				}
				if _, err := os.Stat(public); err != nil {
					t.Errorf("--check: %v", err)
				}
				if n, out := play(t, program, dir, args...); n < 5 {
					t.Errorf("%d tasks changed something\n%s", n, out)
				}
				if n, out := play(t, program, dir, args...); n != 0 {
					t.Errorf("again: %d tasks changed something\n%s", n, out)
				}
				if _, err := os.Stat(public); !os.IsNotExist(err) {
					t.Errorf("the public source list is there: %v", err)
				}
				checkRoot(t, root, family)
			})
		}
	}
}

// TestRoleForDeepOps: source lists that roles of DeepOps write are left out, and removed where
// the role has put them before.
func TestRoleForDeepOps(t *testing.T) {
	clients := fstest.MapFS{
		"apt/docker.sources": {Data: []byte("Types: deb\nURIs: " + base + "/apt/docker\nSuites: noble\n")},
		"apt/ubuntu.sources": {Data: []byte("Types: deb\nURIs: " + base + "/apt/ubuntu\nSuites: noble\n")},
		"apt/docker2.list":   {Data: []byte("deb " + base + "/apt/docker2 noble stable\n")},
	}
	m := mirror(t, map[string]string{"https://download.docker.com/linux/ubuntu": "apt/docker"}, clients, "apt/docker/dists/noble/InRelease", "apt/ubuntu/dists/noble/InRelease")
	dir, root := filepath.Join(put(t, m), "ansible"), t.TempDir()
	args := []string{"mirror.yml", "-e", "gapbundle_root=" + root, "-e", "gapbundle_family=Debian"}
	lists := func() string {
		found, err := filepath.Glob(filepath.Join(root, "etc/apt/sources.list.d/*"))
		if err != nil {
			t.Fatal(err)
		}
		for i := range found {
			found[i] = filepath.Base(found[i])
		}
		return strings.Join(found, " ")
	}
	program := playbooks(t)["2.17"]
	play(t, program, dir, args...)
	if got := lists(); got != "docker.sources docker2.list ubuntu.sources" {
		t.Errorf("source lists: %s", got)
	}
	play(t, program, dir, append(args, "-e", "gapbundle_deepops=true")...)
	if got := lists(); got != "docker2.list ubuntu.sources" {
		t.Errorf("source lists next to DeepOps' own: %s", got)
	}
	if n, out := play(t, program, dir, append(args, "-e", "gapbundle_deepops=true")...); n != 0 {
		t.Errorf("again: %d tasks changed something\n%s", n, out)
	}
}

// checkRoot looks for what a node has to have.
func checkRoot(t *testing.T, root, family string) {
	t.Helper()
	want := map[string]string{
		"etc/pip.conf": "index-url = " + base + "/pypi/setup/simple/\nextra-index-url =\n    " + base + "/pypi/%7B%7B%20x%20%7D%7D/simple/\n",
		"etc/hosts":    "10.0.0.2 github.com\n10.0.0.2 nvcr.io\n", "etc/gitconfig": "[include]\npath = /etc/gapbundle/gitconfig\npath = /etc/gapbundle/gitconfig-b\n",
		"etc/gapbundle/gitconfig-b": "gitlab.com", "etc/containers/registries.conf.d/gapbundle-b.conf": "# b",
		"etc/gapbundle/gitconfig": "insteadOf", "etc/containerd/certs.d/quay.io/hosts.toml": "server = ", "etc/containers/registries.conf.d/gapbundle.conf": "[[registry]]",
	}
	mine := map[string]map[string]string{
		debian: {"etc/apt/sources.list.d/cuda-ubuntu2404-x86_64.sources": "URIs: " + base, "usr/share/keyrings/gapbundle-site.asc": "PGP PUBLIC KEY", "usr/local/share/ca-certificates/gapbundle-site.crt": "an authority"},
		redHat: {"etc/yum.repos.d/epel.repo": "[epel]", "etc/pki/ca-trust/source/anchors/gapbundle-site.pem": "an authority"},
	}
	for of, files := range mine {
		for name, text := range files {
			if of == family {
				want[name] = text
			} else if _, err := os.Stat(filepath.Join(root, name)); !os.IsNotExist(err) {
				t.Errorf("%s is for %s: %v", name, of, err)
			}
		}
	}
	for name, text := range want {
		if got, err := os.ReadFile(filepath.Join(root, name)); err != nil || !strings.Contains(string(got), text) {
			t.Errorf("%s: %v\n%s\nwant\n%s", name, err, got, text)
		}
	}
}

// TestVariablesOfAnsible: ansible-core reads the files of variables for DeepOps and Kubespray, a
// shell that of the environment, and templates evaluate nothing that a mirror chose.
func TestVariablesOfAnsible(t *testing.T) {
	m := mirror(t, map[string]string{"https://download.schedmd.com": "files/{{ 1 + 1 }}", "https://registry-1.docker.io": "v2"}, nil,
		"files/{{ 1 + 1 }}/slurm/slurm-26.05.1.tar.bz2", "v2/docker.io/prom/prometheus/manifests/v3.13.0", "v2/quay.io/a/manifests/1", "files/github.com/a", "pypi/set up/simple/index.html")
	dir := put(t, m)
	shell := exec.CommandContext(t.Context(), "sh", "-euc", `. ./env/mirror.env; env`)
	shell.Dir, shell.Env = dir, []string{"PATH=/usr/bin:/bin"}
	if out, err := shell.CombinedOutput(); err != nil || !strings.Contains(string(out), "\nPIP_INDEX_URL="+base+"/pypi/set%20up/simple/\n") {
		t.Errorf("env/mirror.env: %v\n%s", err, out)
	}
	book := "- hosts: all\n  gather_facts: false\n  vars_files: [deepops/group_vars.yml, deepops/extra-vars.yml, kubespray/mirror.yml]\n  tasks:\n    - ansible.builtin.copy:\n        dest: \"{{ out }}\"\n        content: \"{{ {'slurm': slurm_src_url, 'image': prometheus_container, 'mirrors': docker_registry_mirrors, 'insecure': docker_insecure_registries, 'containerd': containerd_registries_mirrors, 'github': github_url, 'entries': hosts_entries} | to_json }}\"\n"
	if err := os.WriteFile(filepath.Join(dir, "book.yml"), []byte(book), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, program := range playbooks(t) {
		out := filepath.Join(t.TempDir(), "out.json")
		play(t, program, dir, "book.yml", "-e", "out="+out, "-e", "gapbundle_address=10.0.0.2")
		text, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		var got struct {
			Slurm, Image, Github string
			Mirrors, Insecure    []string
			Entries              []struct{ Name, IP string }
			Containerd           []struct {
				Prefix  string
				Mirrors []struct{ Host string }
			}
		}
		if err := yaml.Unmarshal(text, &got); err != nil {
			t.Fatalf("%s: %v\n%s", name, err, text)
		}
		if got.Slurm != base+"/files/%7B%7B%201%20+%201%20%7D%7D/slurm/slurm-26.05.1.tar.bz2" || got.Image != "mirror.lan/docker.io/prom/prometheus:v3.13.0" || got.Github != base+"/files/github.com" ||
			len(got.Entries) != 1 || got.Entries[0].Name != "github.com" || got.Entries[0].IP != "10.0.0.2" || len(got.Mirrors) != 0 || len(got.Insecure) != 0 || len(got.Containerd) != 2 || got.Containerd[1].Mirrors[0].Host != base+"/v2/quay.io" {
			t.Errorf("%s: %s", name, text)
		}
	}
}
