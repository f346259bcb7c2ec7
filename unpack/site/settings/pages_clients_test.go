//go:build clients

package settings

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/gapbundle/gapbundle/internal/test/pages"
	"github.com/gapbundle/gapbundle/internal/test/prepared"
)

// TestPageDeepOps runs the blocks of docs/deepops.md that a person runs inside, with the files that
// gapbundle clients writes, a checkout that is shaped like DeepOps, and this machine as the one node.
// Programs in front of the real ones do what the page's machines do: gapbundle has written its files
// already, and ansible-playbook works in a folder in the place of the node's root.
func TestPageDeepOps(t *testing.T) {
	const slurm = "https://download.schedmd.com/slurm/slurm-26.05.1.tar.bz2"
	m := mirror(t, map[string]string{slurm: "files/download.schedmd.com/slurm/slurm-26.05.1.tar.bz2"},
		fstest.MapFS{"git/git/gitconfig": {Data: []byte("[url \"" + base + "/git/github.com/\"]\n\tinsteadOf = \"https://github.com/\"\n")}},
		"files/download.schedmd.com/slurm/slurm-26.05.1.tar.bz2", "keys/site.asc")
	m.Names = []string{"github.com"}
	written, work := put(t, m), t.TempDir()
	program := func(name, text string) {
		file := filepath.Join(work, "bin", name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	root := filepath.Join(work, "node")
	program("gapbundle", "exit 0")
	program("ansible-playbook", "exec "+prepared.Ansible(t, "2.17.14", "ansible-playbook")+" \"$@\" -c local -e ansible_become=false -e ansible_python_interpreter=/usr/bin/python3 "+
		"-e gapbundle_root="+root+" -e gapbundle_family=Debian")
	prepare := exec.CommandContext(t.Context(), "sh", "-eu", "-c", `
cp -r "$1/ansible" mirror
cp -r "$1/deepops" deepops-settings
echo 'an authority' >mirror/site-ca.pem
echo localhost >mirror/inventory
mkdir -p node/etc/apt/sources.list.d
git init -q upstream/deepops.git
cd upstream/deepops.git
mkdir -p scripts config/group_vars playbooks
printf '#!/bin/sh\necho set up\n' >scripts/setup.sh
chmod +x scripts/setup.sh
printf '[slurm-cluster]\nlocalhost\n' >config/inventory
echo 'slurm_src_url: https://download.schedmd.com/slurm.tar.bz2' >config/group_vars/all.yml
printf -- '- hosts: slurm-cluster\n  gather_facts: false\n  tasks:\n    - debug: {msg: "fetches {{ slurm_src_url }}"}\n' >playbooks/slurm-cluster.yml
git add .
git -c user.name=x -c user.email=x@example.com commit -q -m x
git tag 26.07
git config --global url."$PWD/../".insteadOf https://github.com/NVIDIA/
`, "sh", written)
	env := append(os.Environ(), "HOME="+work, "PATH="+filepath.Join(work, "bin")+":"+os.Getenv("PATH"), "LC_ALL=C.UTF-8", "ANSIBLE_NOCOLOR=1", "ANSIBLE_LOCALHOST_WARNING=False")
	prepare.Dir, prepare.Env = work, env
	if out, err := prepare.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	run := func(text, want string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "bash", "-eu", "-c", text)
		cmd.Dir, cmd.Env = work, env
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), want) {
			t.Fatalf("%s: %v, want %q in\n%s", text, err, want, out)
		}
	}
	run(pages.Text(t, "docs/deepops.md", "the-nodes-before-the-play", 1), "PLAY RECAP")
	run(pages.Text(t, "docs/deepops.md", "the-machine-that-runs-ansible", 1)+pages.Text(t, "docs/deepops.md", "the-play", 1),
		"fetches "+base+"/files/download.schedmd.com/slurm/slurm-26.05.1.tar.bz2")
}
