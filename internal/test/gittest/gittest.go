// Package gittest makes git repositories and serves them as an upstream does:
// by the smart protocol, with Debian's own "git http-backend", and by the dumb
// one, as files. It is for tests only.
package gittest

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/cgi"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/internal/test/upstreamtest"
)

// Repo is a repository with a working tree.
type Repo struct {
	t   testing.TB
	Dir string
	// clock makes the dates of commits: the same calls produce the same names.
	clock int
	Env   []string // besides the fixed environment
}

// Host is a folder of bare repositories, as <path>.git, and what serves it.
type Host struct {
	t      testing.TB
	Dir    string
	Server *upstreamtest.Server

	handler http.Handler // of the repositories
}

// NewHost starts an upstream without repositories. smart false: files alone.
func NewHost(t testing.TB, smart bool) *Host {
	t.Helper()
	h := &Host{t: t, Dir: t.TempDir(), Server: upstreamtest.New(t)}
	h.handler = http.FileServer(http.Dir(h.Dir))
	if smart {
		h.handler = Backend(t, h.Dir)
	}
	h.Server.Handle(h.handler)
	return h
}

// Backend returns "git http-backend" over the repositories below dir.
func Backend(t testing.TB, dir string) http.Handler {
	t.Helper()
	path := run(t, "", nil, "--exec-path") + "/git-http-backend"
	return &cgi.Handler{
		Path: path, Env: append(environment(), "GIT_PROJECT_ROOT="+dir, "GIT_HTTP_EXPORT_ALL=1"),
		InheritEnv: []string{"PATH"}, Stderr: io.Discard, // what clients break off
	}
}

// URL returns where a repository is, by its path without .git.
func (h *Host) URL(path string) string { return h.Server.URL("/" + path + ".git") }

// Publish makes the repository at path what r is now, all refs of it.
func (h *Host) Publish(path string, r *Repo) {
	h.t.Helper()
	dir := filepath.Join(h.Dir, filepath.FromSlash(path)+".git")
	if _, err := os.Stat(dir); err != nil {
		run(h.t, "", nil, "init", "-q", "--bare", "-b", "main", dir)
		run(h.t, dir, nil, "config", "fetch.fsckObjects", "false")
	}
	run(h.t, dir, nil, "fetch", "-q", "--prune", "--no-write-fetch-head", "-u", r.Dir, "+refs/*:refs/*")
	run(h.t, dir, nil, "update-server-info")
}

// New makes an empty repository with the branch main.
func New(t testing.TB) *Repo {
	t.Helper()
	r := &Repo{t: t, Dir: t.TempDir()}
	r.Git("init", "-q", "-b", "main", ".")
	return r
}

func environment() []string {
	return []string{
		"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "HOME=/nonexistent", "LC_ALL=C", "PATH=" + os.Getenv("PATH"),
		"GIT_AUTHOR_NAME=A U Thor", "GIT_AUTHOR_EMAIL=author@example.org", "GIT_COMMITTER_NAME=C O Mitter", "GIT_COMMITTER_EMAIL=committer@example.org",
	}
}

func run(t testing.TB, dir string, env []string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	cmd.Env = append(environment(), env...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("git %q: %v\n%s", args, err, stderr.String())
	}
	return strings.TrimSpace(stdout.String())
}

// Git runs git in the repository and returns what it prints.
func (r *Repo) Git(args ...string) string {
	r.t.Helper()
	r.clock++
	date := fmt.Sprintf("@%d +0000", 1_700_000_000+60*r.clock)
	return run(r.t, r.Dir, append([]string{"GIT_AUTHOR_DATE=" + date, "GIT_COMMITTER_DATE=" + date}, r.Env...), args...)
}

// Commit writes files, by path, and commits them; it returns the commit. An
// empty content removes the file.
func (r *Repo) Commit(message string, files map[string]string) string {
	r.t.Helper()
	for path, content := range files {
		name := filepath.Join(r.Dir, filepath.FromSlash(path))
		if content == "" {
			r.Git("rm", "-q", path)
			continue
		}
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			r.t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
			r.t.Fatal(err)
		}
		r.Git("add", path)
	}
	r.Git("commit", "-q", "--allow-empty", "-m", message)
	return r.Git("rev-parse", "HEAD")
}

// Submodule records a submodule at path, at a commit that need not be here.
// It is committed by the next Commit.
func (r *Repo) Submodule(path, url, commit string) {
	r.t.Helper()
	r.Git("config", "-f", ".gitmodules", "submodule."+path+".path", path)
	r.Git("config", "-f", ".gitmodules", "submodule."+path+".url", url)
	r.Git("add", ".gitmodules")
	r.Git("update-index", "--add", "--cacheinfo", "160000,"+commit+","+path)
}

// Object writes an object of a type, as it is, unchecked, and returns its name.
func (r *Repo) Object(kind string, content []byte) string {
	r.t.Helper()
	cmd := exec.Command("git", "hash-object", "-t", kind, "-w", "--stdin", "--literally")
	cmd.Dir, cmd.Env, cmd.Stdin = r.Dir, environment(), bytes.NewReader(content)
	out, err := cmd.Output()
	if err != nil {
		r.t.Fatalf("git hash-object: %v", err)
	}
	return strings.TrimSpace(string(out))
}

// SignTag makes an annotated tag of HEAD that is signed: sign gets the tag
// without its signature and returns the armor.
func (r *Repo) SignTag(name string, sign func(text string) string) {
	r.t.Helper()
	r.clock++
	text := fmt.Sprintf("object %s\ntype commit\ntag %s\ntagger C O Mitter <committer@example.org> %d +0000\n\n%s\n", r.Git("rev-parse", "HEAD"), name, 1_700_000_000+60*r.clock, name)
	r.Git("update-ref", "refs/tags/"+name, r.Object("tag", []byte(text+sign(text))))
}

// DatedTags makes a commit for each date, in seconds of Unix time, and an annotated tag
// of it. The names of the tags are name and the place of the date among all.
func (r *Repo) DatedTags(name string, dates []int64) {
	r.t.Helper()
	var stream bytes.Buffer
	const by = "C O Mitter <committer@example.org>"
	for i, date := range dates {
		fmt.Fprintf(&stream, "commit refs/heads/dated\nmark :%d\ncommitter %s %d +0000\ndata 1\nx\n", i+1, by, date)
		fmt.Fprintf(&stream, "tag %s%d\nfrom :%d\ntagger %s %d +0000\ndata 1\nx\n", name, i, i+1, by, date+1)
	}
	stream.WriteString("reset refs/heads/dated\nfrom 0000000000000000000000000000000000000000\n\ndone\n")
	cmd := exec.Command("git", "fast-import", "--quiet", "--done")
	cmd.Dir, cmd.Env, cmd.Stdin = r.Dir, environment(), &stream
	if out, err := cmd.CombinedOutput(); err != nil {
		r.t.Fatalf("git fast-import: %v\n%s", err, out)
	}
}

// Pointer returns the text of a pointer of Git LFS.
func Pointer(oid string, size int) string {
	return fmt.Sprintf("version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize %d\n", oid, size)
}

// Grow adds n commits, each with one changed and one new file of some size, in
// a tree of folders. The same calls produce the same commits.
func (r *Repo) Grow(n int) {
	r.t.Helper()
	var b bytes.Buffer
	parent := ""
	if out, err := exec.Command("git", "-C", r.Dir, "rev-parse", "--verify", "-q", "HEAD").Output(); err == nil {
		parent = strings.TrimSpace(string(out))
	}
	start := r.clock
	for i := range n {
		k := start + i
		content := func(seed int) string {
			var s strings.Builder
			for l := range 40 {
				fmt.Fprintf(&s, "line %d of %d: %x\n", l, seed, (seed*2654435761+l*40503)%1_000_003)
			}
			return s.String()
		}
		fmt.Fprintf(&b, "commit refs/heads/main\nmark :%d\ncommitter C O Mitter <committer@example.org> %d +0000\ndata 8\ngrown %02d\n", i+1, 1_700_000_000+60*k, k%100)
		if i == 0 && parent != "" {
			fmt.Fprintf(&b, "from %s\n", parent)
		}
		for _, file := range []struct {
			path string
			seed int
		}{{fmt.Sprintf("d%02d/e%02d/f%d", k%17, k%13, k), k}, {fmt.Sprintf("d%02d/common%d", k%17, k%5), k * 31}} {
			text := content(file.seed)
			fmt.Fprintf(&b, "M 100644 inline %s\ndata %d\n%s\n", file.path, len(text), text)
		}
	}
	r.clock += n
	cmd := exec.Command("git", "fast-import", "--quiet", "--force")
	cmd.Dir, cmd.Env, cmd.Stdin = r.Dir, environment(), &b
	if out, err := cmd.CombinedOutput(); err != nil {
		r.t.Fatalf("git fast-import: %v\n%s", err, out)
	}
	r.Git("reset", "-q", "--hard", "main")
}
