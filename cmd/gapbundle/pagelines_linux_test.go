package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/internal/test/pages"
)

// notCommands are how blocks of pages begin that are no commands: files, output, drawings.
var notCommands = regexp.MustCompile(`^(set slurm-site:|# served:|export   config|<mirror>/|<set>-<sequence>/|http://mirror\.lan \{|signature  ->|github\.com/|sources:|hosts:|add:|mixed content from)`)

// other is where a line of a page that is not gapbundle's is run, or why it is not.
type other struct {
	file string // runs the line, or checks what can be checked of it
	has  string // in that file
	why  string // it is not run as it is, if not empty
}

// otherLines returns the lines of pages that no test takes from the page itself.
func otherLines() map[string]other {
	return map[string]other{
		"go run ./examples/demo":                                    {file: ".ci/run", has: "go run ./examples/demo"},
		"go run github.com/go-task/task/v3/cmd/task@v3.52.0 test":   {file: ".ci/run", has: `task=github.com/go-task/task/v3/cmd/task@v3.52.0` + "\n"},
		"go run github.com/go-task/task/v3/cmd/task@v3.52.0 --list": {file: ".ci/run", has: `go run "$task" --list`},
		"go install ./cmd/gapbundle":                                {file: "examples/walk/walk.sh", has: "go install ./cmd/gapbundle"},
		"go build ./cmd/gapbundle":                                  {file: ".ci/run", has: `go run "$task" cross`, why: "CI builds the program for every system instead, with the version in it"},
		"go test ./...":                                             {file: ".ci/test", has: "go test", why: "CI runs all packages with the race detector, in an order that suits two cores"},
		"task bench":                                                {file: "internal/bench/main.go", has: `"mb"`, why: "it takes minutes of an idle machine"},
		"task bench -- -mb 300 -small 750 -tiny 0 -many 0 -peers 0": {file: "internal/bench/main.go", has: `"tiny"`, why: "as task bench"},
		"task growth":                                               {file: "sources/sourcetest/growth_linux.go", has: "-bench Growth", why: "as task bench"},
		"source <(gapbundle completion bash)":                       {file: "cmd/gapbundle/testdata/script/complete.txtar", has: "source <(gapbundle completion bash)"},
		"task release:key -- keys/site.asc":                         {file: "internal/release/release_clients_test.go", has: "adoptKey(public, readme)", why: "it changes the README; the test has it change a copy"},
		"gpg --import path/to/clone/README.md":                      {file: "internal/release/release_clients_test.go", has: `"--import", page`},
		"gpg --verify SHA256SUMS.asc SHA256SUMS":                    {file: "internal/release/release_clients_test.go", has: `"--verify", "SHA256SUMS.asc", "SHA256SUMS"`},
		"sha256sum --check --strict SHA256SUMS":                     {file: "internal/release/release_clients_test.go", has: `"sha256sum", "--check", "--strict"`},
		"task bench -- -against v0.1.0":                             {file: "internal/bench/main.go", has: `"against"`, why: "as task bench"},
		"task bench -- -before OLD -runs 5":                         {file: "internal/bench/main.go", has: `"before"`, why: "as task bench"},
		"cd mirror":                                                 {file: "unpack/site/settings/role_clients_test.go", has: `cmd.Dir = dir`},
		`ansible-playbook -i inventory mirror.yml -e gapbundle_ca=site-ca.pem -e gapbundle_address=10.0.0.2 -e gapbundle_deepops=true -e '{"gapbundle_absent": ["/etc/apt/sources.list.d/ubuntu.sources"]}' --check`: {file: "unpack/site/settings/role_clients_test.go", has: `"-e", "gapbundle_address=10.0.0.2", "-e", ` + "`" + `{"gapbundle_absent": ["/etc/apt/sources.list.d/ubuntu.sources"]}`},
		". deepops-settings/environment.sh":                                            {file: "sources/all/ask_clients_test.go", has: `. "$1/environment.sh"`},
		"git clone --branch 26.07 https://github.com/NVIDIA/deepops.git && cd deepops": {file: "sources/all/testdata/deepops.yml", has: "deepops", why: "the playbook of the test clones it, at another tag"},
		"./scripts/setup.sh": {file: "sources/all/testdata/deepops.yml", has: "setup.sh", why: "DeepOps' own, which installs packages of the system; the playbook does what it does with the settings"},
		"mkdir config/group_vars/all && mv config/group_vars/all.yml config/group_vars/all/deepops.yml":                                                          {file: "docs/deepops.md", has: "Ansible reads either `group_vars/all.yml` or the folder", why: "it needs the checkout of DeepOps"},
		"cp ../deepops-settings/group_vars.yml config/group_vars/all/mirror.yml":                                                                                 {file: "unpack/site/settings/role_clients_test.go", has: "vars_files: [deepops/group_vars.yml, deepops/extra-vars.yml, ", why: "as above; Ansible reads both files in the test"},
		"ansible-playbook -i config/inventory -e @../deepops-settings/extra-vars.yml -e gapbundle_address=10.0.0.2 -l slurm-cluster playbooks/slurm-cluster.yml": {file: "sources/all/ask_clients_test.go", has: `"-e", "@"+c.Settings+"/extra-vars.yml"`, why: "the playbooks are DeepOps' own, for a cluster; the test has one that does what its roles do"},
		"docker login harbor.lan": {file: "internal/registry/registry_test.go", has: "docker/config.json", why: "it takes a daemon; the file that it writes is what the tests of logins read"},
		"semanage fcontext -a -t httpd_sys_content_t '/srv/mirror(/.*)?'":                          {file: "docs/serving.md", has: "Not run in our tests: no SELinux there.", why: "no SELinux on the machines of CI"},
		"semanage fcontext -a -t var_lib_t '/srv/mirror/state(/.*)?'":                              {file: "docs/serving.md", has: "Not run in our tests: no SELinux there.", why: "as above"},
		"restorecon -R /srv/mirror":                                                                {file: "docs/serving.md", has: "Not run in our tests: no SELinux there.", why: "as above"},
		"cd kubespray/contrib/offline && ./generate_list.sh -i ../../inventory/site/inventory.ini": {file: "sources/kubespray/kubespray_test.go", has: "generate_list.sh", why: "a script of Kubespray's own, which needs its checkout; the tests have lists as it writes them"},
	}
}

// commandLines returns the lines of a block that are commands, with continued lines joined,
// and without comments and here-documents.
func commandLines(text string) (all []string) {
	text = strings.ReplaceAll(text, "\\\n", " ")
	until := ""
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if until != "" {
			if line == until {
				until = ""
			}
			continue
		}
		if m := regexp.MustCompile(`<<'?(\w+)'?$`).FindStringSubmatch(line); m != nil {
			until = m[1]
		}
		if line = regexp.MustCompile(`(^|\s+)# .*$`).ReplaceAllString(line, ""); line != "" {
			all = append(all, strings.Join(strings.Fields(line), " "))
		}
	}
	return all
}

// runsBlocks finds the blocks of pages that scripts and tests take from the page and run:
// "docs/recipes.md first-stick 1".
func runsBlocks(t *testing.T) map[string]bool {
	t.Helper()
	ran := map[string]bool{}
	call := regexp.MustCompile(`pages\.Text\(\w+, "([^"]+)", "([^"]+)", (\d+)\)`)
	inScript := regexp.MustCompile(`(?m)^page (\S+) (\S+ \d+) \d+$`)
	top := os.DirFS("../..")
	for _, dir := range []string{"bundle", "cmd", "examples", "internal", "sources", "unpack", "verify"} {
		err := filepath.WalkDir(filepath.Join("../..", dir), func(name string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(name, "_test.go") && !strings.HasSuffix(name, ".txtar") {
				return err
			}
			b, err := os.ReadFile(name)
			for _, m := range call.FindAllStringSubmatch(string(b), -1) {
				ran[m[1]+" "+m[2]+" "+m[3]] = true
			}
			if strings.HasSuffix(name, ".txtar") {
				for _, m := range inScript.FindAllStringSubmatch(string(b), -1) {
					page := m[1]
					if _, err := top.Open(page); err != nil {
						page = "docs/" + page
					}
					ran[page+" "+m[2]] = true
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return ran
}

// TestPageLines: every line of README and docs that is a command of another program than
// gapbundle is run by a test that takes its block from the page, or is in the table with the
// file that runs it or checks what can be checked. Each block is one that a shell can read.
// (gapbundle's own are those of TestPageCommandsRun; trust.md's section for people without
// gapbundle is run by verify.TestTrustDocument.)
func TestPageLines(t *testing.T) {
	ran := runsBlocks(t)
	unused := otherLines()
	count := 0
	for _, page := range markdown(t) {
		all, err := pages.Read(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range all {
			if notCommands.MatchString(b.Text) || page == "docs/cli.md" && !strings.Contains(b.Text, "source <(") {
				continue
			}
			shell(t, page, b)
			for _, line := range commandLines(b.Text) {
				if strings.HasPrefix(line, "gapbundle ") {
					continue
				}
				count++
				where, listed := otherLines()[line]
				delete(unused, line)
				isRun := ran[page+" "+b.Name()] || page == "docs/trust.md" && b.Section == "without-gapbundle"
				switch {
				case !listed && !isRun:
					t.Errorf("%s, %s: %s: want a test that runs the block, or a line in otherLines", page, b.Name(), line)
				case listed && isRun:
					t.Errorf("%s, %s: %s: is run, and in otherLines", page, b.Name(), line)
				case listed:
					where.check(t, line)
				}
			}
		}
	}
	for line := range unused {
		t.Errorf("%s: is in otherLines and on no page", line)
	}
	if count < 50 {
		t.Errorf("%d lines, want 50 or more", count)
	}
}

// check looks for what runs a line where it is said to be.
func (o other) check(t *testing.T, line string) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("../..", o.file))
	if err != nil || !strings.Contains(string(b), o.has) {
		t.Errorf("%s: %s does not have %q: %v", line, o.file, o.has, err)
	}
}

// shell has a shell read a block without running it.
func shell(t *testing.T, page string, b pages.Block) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), "bash", "-n", "-c", b.Text).CombinedOutput(); err != nil {
		t.Errorf("%s, %s: %v\n%s", page, b.Name(), err, out)
	}
}

// markdown returns the pages, named from the top of the module.
func markdown(t *testing.T) (all []string) {
	t.Helper()
	for _, pattern := range []string{"README.md", "CONTRIBUTING.md", "docs/*.md", "docs/sources/*.md"} {
		found, err := filepath.Glob("../../" + pattern)
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: %d files, %v", pattern, len(found), err)
		}
		for _, name := range found {
			all = append(all, strings.TrimPrefix(filepath.ToSlash(name), "../../"))
		}
	}
	slices.Sort(all)
	return all
}

// TestPageDeepOpsOutside runs what docs/deepops.md begins with, with another program in the place
// of gapbundle: what the copy of the example is planned with is the matter of the tests of examples.
func TestPageDeepOpsOutside(t *testing.T) {
	dir := t.TempDir()
	examples, err := filepath.Abs("../../examples")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(examples, filepath.Join(dir, "examples")); err != nil {
		t.Fatal(err)
	}
	called := filepath.Join(dir, "called")
	for name, text := range map[string]string{"gapbundle": "#!/bin/sh\necho \"$PWD gapbundle $*\" >> " + called + "\n", "editor": "#!/bin/sh\ntest -s \"$1\"\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "sh", "-eu", "-c", pages.Text(t, "docs/deepops.md", "outside", 1))
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), "EDITOR="+filepath.Join(dir, "editor"))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	ran, err := os.ReadFile(called)
	if want := filepath.Join(dir, "site") + " gapbundle plan --offline\n"; err != nil || !strings.Contains(string(ran), want) {
		t.Errorf("%v, want %q in\n%s", err, want, ran)
	}
}
