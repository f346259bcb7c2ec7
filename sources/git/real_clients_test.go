//go:build clients

package git

import (
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/internal/test/gittest"
	"github.com/gapbundle/gapbundle/internal/test/webtest"
	"github.com/gapbundle/gapbundle/sources/sourcetest"
)

// chain is an upstream, an exporter, a mirror, and machines that clone from it.
type chain struct {
	*sourcetest.World
	t       *testing.T
	home    string // of the client
	host    *gittest.Host
	front   string // URL of the upstream: nginx in front of git http-backend
	objects *gittest.Objects
	up, sub *gittest.Repo
}

func newChain(t *testing.T) *chain {
	t.Helper()
	c := &chain{World: sourcetest.NewWorld(t, Kind()), t: t, home: t.TempDir(), host: gittest.NewHost(t, true)}
	c.objects = c.host.LFS()
	c.front = nginxFront(t, c.host.Server.URL(""))
	c.objects.Href = func(oid string) string { return c.front + "/lfs/" + oid }
	c.up, c.sub = gittest.New(t), gittest.New(t)
	c.gpg("--quick-gen-key", "release@example.org", "ed25519", "sign", "never")
	c.write(filepath.Join(c.Dir, "release.asc"), c.gpg("--armor", "--export"))
	c.run(c.home, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "release", "-f", filepath.Join(c.home, "sign"))
	c.write(filepath.Join(c.Dir, "signers"), "release@example.org "+c.run(c.home, "cat", "sign.pub")+"\n")
	return c
}

// nginxFront returns nginx in front of an upstream, as hosting services have it.
func nginxFront(t *testing.T, to string) string {
	t.Helper()
	work, port := t.TempDir(), freePort(t)
	config := fmt.Sprintf(`daemon on; pid %[1]s/pid; error_log %[1]s/log; events {}
http { access_log off; client_body_temp_path %[1]s/b; proxy_temp_path %[1]s/p; fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;
server { listen 127.0.0.1:%[2]s; location / { proxy_pass %[3]s; proxy_http_version 1.1; proxy_set_header Host $http_host; proxy_request_buffering off; proxy_buffering off; } } }`, work, port, to)
	file := filepath.Join(work, "nginx.conf")
	if err := os.WriteFile(file, []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	// It goes into the background when it listens.
	out, err := exec.Command("/usr/sbin/nginx", "-p", work, "-c", file, "-e", "stderr").CombinedOutput()
	if err != nil {
		t.Fatalf("nginx: %v; .ci/clients installs it\n%s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("/usr/sbin/nginx", "-p", work, "-c", file, "-e", "stderr", "-s", "stop").CombinedOutput(); err != nil {
			t.Errorf("nginx: %v\n%s", err, out)
		}
	})
	return "http://127.0.0.1:" + port
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

func (c *chain) write(name, content string) {
	c.t.Helper()
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		c.t.Fatal(err)
	}
}

func (c *chain) gpg(args ...string) string {
	c.t.Helper()
	home := filepath.Join(c.home, "g")
	if err := os.MkdirAll(home, 0o700); err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { _ = exec.Command("gpgconf", "--homedir", home, "--kill", "all").Run() })
	return c.run(c.home, "gpg", append([]string{"--homedir", home, "--batch", "--yes", "--passphrase", ""}, args...)...)
}

// try runs a program as a client does.
func (c *chain) try(dir, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(c.t.Context(), name, args...)
	cmd.Dir = dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH") + ":/usr/sbin", "HOME=" + c.home, "GNUPGHOME=" + filepath.Join(c.home, "g"), "LC_ALL=C.UTF-8", "GIT_TERMINAL_PROMPT=0", "GIT_CONFIG_NOSYSTEM=1"}
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

func (c *chain) run(dir, name string, args ...string) string {
	c.t.Helper()
	out, err := c.try(dir, name, args...)
	if err != nil {
		c.t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
	return out
}

// client returns a client file of the mirror.
func (c *chain) client(name string) string {
	c.t.Helper()
	file := filepath.Join(c.t.TempDir(), filepath.Base(name))
	c.write(file, string(c.Client(Name, name)))
	return file
}

// fill makes a repository with a branch, signed tags, an object of LFS, and
// submodules by a relative and by an absolute URL.
func (c *chain) fill() {
	c.t.Helper()
	pin := c.sub.Commit("sub", map[string]string{"sub": "sub\n"})
	c.host.Publish("o/sub", c.sub)
	c.host.Publish("o/other", c.sub)
	c.up.Grow(30)
	one, _ := c.objects.Put(strings.Repeat("one ", 1000))
	two, _ := c.objects.Put(strings.Repeat("two ", 1000))
	c.up.Submodule("relative", "../sub.git", pin)
	c.up.Submodule("absolute", c.front+"/o/other", pin)
	c.up.Commit("filled", map[string]string{".gitattributes": "*.big filter=lfs diff=lfs merge=lfs -text\n", "one.big": one, "two.big": two})
	c.up.Git("branch", "side", "HEAD~4")
	c.up.Env = []string{"GNUPGHOME=" + filepath.Join(c.home, "g")}
	c.up.Git("-c", "user.signingkey=release@example.org", "tag", "-s", "-m", "v1", "v1")
	c.up.Git("-c", "gpg.format=ssh", "-c", "user.signingkey="+filepath.Join(c.home, "sign"), "tag", "-s", "-m", "v2", "v2")
	c.host.Publish("o/up", c.up)
}

// TestRealClients: git and git-lfs of this system, against every server.
func TestRealClients(t *testing.T) {
	c := newChain(t)
	c.fill()
	spec := fmt.Sprintf("- name: code\n  kind: git\n  url: %q\n  refs: [refs/heads/*, refs/tags/*]\n  lfs: tips\n  signed: {keys: [release.asc, signers], refs: [refs/tags/*]}\n", c.front+"/o/up")
	c.Publish("site", spec)
	folder, err := url.Parse(c.front)
	if err != nil {
		t.Fatal(err)
	}
	path := "/git/" + hostDir(folder.Host) + "/o/up"
	c.Each(t, func(t *testing.T, s *webtest.Server) {
		c.on(t, func() {
			c.cloned(s.URL, path)
			c.lfs(s, path)
		})
	})

	// A delta: clones of before fetch it, from each server.
	kept := filepath.Join(t.TempDir(), "kept")
	server := webtest.Start(t, webtest.Nginx, c.Mirror)
	for _, name := range webtest.Names() {
		c.run(t.TempDir(), "git", "clone", "-q", server.URL+path+".git", kept+name)
	}
	c.up.Commit("more", map[string]string{"more": "more\n"})
	c.up.Git("tag", "v3", "-s", "-m", "v3", "-u", "release@example.org")
	c.host.Publish("o/up", c.up)
	c.Publish("site", spec)
	c.Each(t, func(t *testing.T, s *webtest.Server) {
		c.on(t, func() {
			dir := kept + s.Name
			c.run(dir, "git", "remote", "set-url", "origin", s.URL+path+".git")
			c.skipSmudge()
			c.run(dir, "git", "pull", "-q")
			if got, want := c.run(dir, "git", "rev-parse", "HEAD"), c.up.Git("rev-parse", "main"); got != want {
				t.Errorf("pulled %s, want %s", got, want)
			}
			c.run(dir, "git", "verify-tag", "v3")
			c.run(dir, "git", "fsck", "--full")
		})
	})
}

// on runs f with t as the test that fails.
func (c *chain) on(t *testing.T, f func()) {
	whole := c.t
	c.t = t
	defer func() { c.t = whole }()
	f()
}

// skipSmudge writes what "git lfs install --skip-smudge" writes.
func (c *chain) skipSmudge() {
	c.t.Helper()
	c.write(filepath.Join(c.home, ".gitconfig"), "[filter \"lfs\"]\n\tsmudge = git-lfs smudge --skip -- %f\n\tclean = git-lfs clean -- %f\n\tprocess = git-lfs filter-process --skip\n\trequired = true\n")
}

// cloned clones in the ways that people do.
func (c *chain) cloned(base, path string) {
	c.t.Helper()
	dir := c.t.TempDir()
	c.write(filepath.Join(c.home, ".gitconfig"), "")
	for _, name := range []string{path + ".git", path} {
		c.run(dir, "git", "clone", "-q", base+name, "c")
		if got, want := c.run(dir+"/c", "git", "rev-parse", "HEAD"), c.up.Git("rev-parse", "main"); got != want {
			c.t.Errorf("%s: HEAD is %s, want %s", name, got, want)
		}
		c.run(dir+"/c", "git", "verify-tag", "v1")
		c.run(dir+"/c", "git", "-c", "gpg.ssh.allowedSignersFile="+filepath.Join(c.Dir, "signers"), "verify-tag", "v2")
		c.run(dir+"/c", "git", "fsck", "--full")
		if err := os.RemoveAll(dir + "/c"); err != nil {
			c.t.Fatal(err)
		}
	}
	c.run(dir, "git", "clone", "-q", "--single-branch", "-b", "side", base+path+".git", "s")
	if got, want := c.run(dir+"/s", "git", "rev-parse", "HEAD"), c.up.Git("rev-parse", "side"); got != want {
		c.t.Errorf("single branch: %s, want %s", got, want)
	}
	if out, err := c.try(dir, "git", "clone", "-q", "--depth", "1", base+path+".git", "d"); err == nil || !strings.Contains(out, "does not support shallow") {
		c.t.Errorf("a shallow clone: %v, %s", err, out)
	}
	// Loose objects are asked for first and have to be 404, not a page.
	resp, err := http.Get(base + path + ".git/objects/ab/" + strings.Repeat("c", 38))
	if err != nil {
		c.t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusNotFound {
		c.t.Errorf("a loose object: %d, want 404", resp.StatusCode)
	}
	// The public URL, by one include; and the script for one checkout.
	c.run(dir, "git", "config", "--global", "include.path", c.client("git/gitconfig"))
	c.run(dir, "git", "clone", "-q", "--recurse-submodules", c.front+"/o/up.git", "r")
	c.submodules(dir + "/r")
	c.write(filepath.Join(c.home, ".gitconfig"), "")
	c.run(dir, "git", "clone", "-q", base+path+".git", "q")
	c.run(dir, "sh", c.client("git/git-submodules.sh"), dir+"/q")
	c.submodules(dir + "/q")
}

func (c *chain) submodules(dir string) {
	c.t.Helper()
	for _, name := range []string{"relative", "absolute"} {
		if got := c.run(dir, "cat", name+"/sub"); got != "sub" {
			c.t.Errorf("%s: %q", name, got)
		}
	}
}

// lfs brings objects by the batch API where there is one, else by the script.
func (c *chain) lfs(s *webtest.Server, path string) {
	c.t.Helper()
	dir := c.t.TempDir()
	c.skipSmudge()
	c.run(dir, "git", "clone", "-q", s.URL+path+".git", "c")
	want := strings.TrimSpace(strings.Repeat("one ", 1000))
	if s.Name == webtest.Serve {
		c.run(dir+"/c", "git", "lfs", "pull", "-I", "one.big")
		if got := c.run(dir+"/c", "cat", "one.big"); got != want {
			c.t.Errorf("pulled %d bytes", len(got))
		}
		if got := c.run(dir+"/c", "cat", "two.big"); !strings.HasPrefix(got, "version ") {
			c.t.Errorf("two.big was pulled, too: %.40q", got)
		}
		c.write(filepath.Join(c.home, ".gitconfig"), "[filter \"lfs\"]\n\tsmudge = git-lfs smudge -- %f\n\tprocess = git-lfs filter-process\n\trequired = true\n")
		c.run(dir, "git", "clone", "-q", s.URL+path+".git", "whole")
		if got := c.run(dir+"/whole", "cat", "one.big"); got != want {
			c.t.Errorf("cloned %d bytes", len(got))
		}
		return
	}
	c.run(dir, "sh", c.client("lfs/git-lfs-fetch.sh"), dir+"/c")
	if got := c.run(dir+"/c", "cat", "one.big"); got != want {
		c.t.Errorf("by the script: %d bytes", len(got))
	}
}

// TestRealUpstreams: the dumb upstream gives what the smart one does, and
// clients that ask for it get a repository pushed to a forge.
func TestRealUpstreams(t *testing.T) {
	c := newChain(t)
	c.up.Grow(20)
	static := gittest.NewHost(t, false)
	static.Publish("o/up", c.up)
	spec := fmt.Sprintf("- {name: code, kind: git, url: %q}\n", static.URL("o/up"))
	c.Publish("site", spec)
	path := "/git/" + hostDir(static.Server.Host()) + "/o/up.git"
	s := webtest.Start(t, webtest.Serve, c.Mirror)
	c.Behind(s.URL)
	c.run(c.home, "git", "clone", "-q", s.URL+path, "dumb")
	if got, want := c.run(c.home+"/dumb", "git", "rev-parse", "HEAD"), c.up.Git("rev-parse", "main"); got != want {
		t.Errorf("HEAD is %s, want %s", got, want)
	}
	// A forge: git http-backend that takes pushes.
	forge := t.TempDir()
	bare := filepath.Join(forge, hostDir(static.Server.Host()), "o", "up.git")
	c.run(c.home, "git", "init", "-q", "--bare", "-b", "main", bare)
	c.run(bare, "git", "config", "http.receivepack", "true")
	backend := gittest.NewHost(t, true)
	backend.Server.Handle(gittest.Backend(t, forge))
	c.run(c.home, "sh", c.client("git/push-to-forge.sh"), backend.Server.URL(""))
	c.run(c.home, "git", "clone", "-q", "--depth", "1", backend.Server.URL("/"+hostDir(static.Server.Host())+"/o/up.git"), "shallow")
	if got, want := c.run(c.home+"/shallow", "git", "rev-parse", "HEAD"), c.up.Git("rev-parse", "main"); got != want {
		t.Errorf("pushed %s, want %s", got, want)
	}
}
