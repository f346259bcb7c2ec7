//go:build clients

package git

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/internal/test/gittest"
	"github.com/gapbundle/gapbundle/internal/test/webtest"
	"github.com/gapbundle/gapbundle/sources/sourcetest"
	"github.com/gapbundle/gapbundle/unpack"
)

// TestTwoSets: two sets with one repository and other refs contradict each other,
// which the import names; with the same refs they share it, and one set for both is
// the way out.
func TestTwoSets(t *testing.T) {
	w, host, up := sourcetest.NewWorld(t, Kind()), gittest.NewHost(t, true), gittest.New(t)
	up.Grow(5)
	up.Git("branch", "side", "HEAD~2")
	host.Publish("a", up)
	spec := func(name, refs string) string {
		return fmt.Sprintf("- {name: %s, kind: git, url: %q, refs: [%s]}\n", name, host.URL("a"), refs)
	}
	w.Publish("one", spec("code", "refs/heads/main"))
	same := w.Export("two", spec("tools", "refs/heads/main"))
	w.Receive(same)
	other := w.Export("three", spec("side", "refs/heads/side"))
	m, err := unpack.Open(w.Mirror, unpack.Options{})
	w.Check(err)
	_, err = m.Receive(t.Context(), other, unpack.ImportOptions{AcceptKeys: true})
	w.Check(m.Close())
	var conflict *unpack.ConflictError
	if !errors.As(err, &conflict) || conflict.Sets[1] != "three" && conflict.Sets[0] != "three" || !strings.HasPrefix(conflict.Path, "git/"+hostDir(host.Server.Host())+"/a.git/") {
		t.Fatalf("got %v, want a conflict about a file of a.git with set three", err)
	}
	// What was published is as before, for git too.
	web := webtest.Start(t, webtest.Serve, w.Mirror)
	url := web.URL + "/git/" + hostDir(host.Server.Host()) + "/a.git"
	if got, want := string(w.Run(t.TempDir(), nil, "git", "ls-remote", url)), up.Git("rev-parse", "main"); !strings.Contains(got, want) || strings.Contains(got, "side") {
		t.Errorf("refs of the mirror:\n%s", got)
	}
}

// TestAnsible: Ansible's own git module checks out a tag, by the variable of the
// client file and by the public URL, and sees by the variable that nothing changed
// afterwards.
func TestAnsible(t *testing.T) {
	w, host, up := sourcetest.NewWorld(t, Kind()), gittest.NewHost(t, true), gittest.New(t)
	up.Grow(5)
	up.Git("tag", "-a", "-m", "v1", "v1", "HEAD~1")
	host.Publish("o/up", up)
	w.Publish("site", fmt.Sprintf("- {name: code, kind: git, url: %q}\n", host.URL("o/up")))
	w.Behind(webtest.Start(t, webtest.Nginx, w.Mirror).URL)
	dir := t.TempDir()
	config := filepath.Join(dir, "gitconfig")
	w.Write(config, w.Client(Name, "git/gitconfig"))
	w.Write(filepath.Join(dir, "git.yml"), w.Client(Name, "ansible/git.yml"))
	w.Write(filepath.Join(dir, "site.yml"), fmt.Appendf(nil, `- hosts: localhost
  gather_facts: false
  vars_files: [git.yml]
  tasks:
    - ansible.builtin.git: {repo: "{{ git_url_prefix }}%s/o/up.git", dest: %[2]s/one, version: v1}
    - ansible.builtin.git: {repo: %[3]q, dest: %[2]s/two, version: main}
      environment: {GIT_CONFIG_GLOBAL: %[4]s}
`, hostDir(host.Server.Host()), dir, host.URL("o/up"), config))
	// Nothing is fetched from upstream by them: it is not there any more.
	w.Check(os.RemoveAll(filepath.Join(host.Dir, "o")))
	run := func() string {
		return string(w.Run(dir, []string{"HOME=" + dir, "LC_ALL=C.UTF-8", "ANSIBLE_NOCOLOR=1", "ANSIBLE_LOCALHOST_WARNING=False"}, "ansible-playbook", "-i", "localhost,", "-c", "local", "site.yml"))
	}
	if out := run(); !strings.Contains(out, "changed=2") || !strings.Contains(out, "failed=0") {
		t.Errorf("%s", out)
	}
	for folder, ref := range map[string]string{"one": "v1^{}", "two": "main"} {
		if got, want := strings.TrimSpace(string(w.Run(filepath.Join(dir, folder), nil, "git", "rev-parse", "HEAD"))), up.Git("rev-parse", ref); got != want {
			t.Errorf("%s: HEAD is %s, want %s", folder, got, want)
		}
	}
	// Where gitconfig rewrites an URL, the module finds another one than it was told, and
	// always says "changed"; docs/sources/git.md says so.
	if out := run(); strings.Count(out, "ok: [localhost]") != 1 || !strings.Contains(out, "changed=1") || !strings.Contains(out, "failed=0") {
		t.Errorf("again:\n%s", out)
	}
}
