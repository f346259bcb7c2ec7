// Package examples has the specs that a person starts from, and the demo. The
// tests here run each of them: an example that does not work is worse than none.
package examples

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gapbundle/gapbundle/sources/config"
)

// specs are the spec files of this folder.
func specs(t *testing.T) []string {
	t.Helper()
	found, err := filepath.Glob("*.yaml")
	if err != nil || len(found) == 0 {
		t.Fatalf("examples: want some, found %v %v", found, err)
	}
	return found
}

func TestExamplesAreValid(t *testing.T) {
	for _, spec := range specs(t) {
		s, err := config.Load(spec)
		if err != nil {
			t.Errorf("%v", err)
			continue
		}
		if s.Set == "" || len(s.Sources) == 0 {
			t.Errorf("%s: want a name and sources, got %q and %d", spec, s.Set, len(s.Sources))
		}
	}
}

// TestExamplesMakeTheTrip exports each example, with a stand-in on loopback for
// every host it names, carries it, imports it, and looks for the content of
// every URL in what is published.
func TestExamplesMakeTheTrip(t *testing.T) {
	program := build(t)
	for _, spec := range specs(t) {
		t.Run(strings.TrimSuffix(spec, ".yaml"), func(t *testing.T) { trip(t, program, spec) })
	}
}

func trip(t *testing.T, program, spec string) {
	dir := t.TempDir()
	up := &standIn{}
	repositories := newArchives(t)
	isApt := strings.HasPrefix(spec, "apt")
	isRPM := strings.HasPrefix(spec, "rpm")
	isOCI := strings.HasPrefix(spec, "oci")
	isImages := strings.HasPrefix(spec, "simplestreams")
	isGalaxy := strings.HasPrefix(spec, "galaxy")
	isHelm := strings.HasPrefix(spec, "helm")
	isPyPI := strings.HasPrefix(spec, "pypi")
	isGit := strings.HasPrefix(spec, "git")
	isKubespray := strings.HasPrefix(spec, "kubespray")
	packages := newRPMs(t, repositories)
	registries := newRegistries(t)
	var handler http.Handler = up
	switch {
	case isApt:
		handler = repositories
	case isRPM:
		handler = packages
	case isGit:
		handler = newGit(t)
	case isImages:
		mirrors := newImages(t, repositories)
		mirrors.adopt(dir)
		handler = mirrors
	case isHelm:
		handler = newCharts(t, registries)
	}
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	up.copyTo(t, dir, server.URL)
	repositories.adopt(dir)
	packages.adopt(dir)
	registries.adopt(dir)
	registries.adoptCharts(dir)
	adoptGalaxy(t, dir)
	adoptPyPI(t, dir)
	if isKubespray {
		adoptKubespray(t, dir, registries, &asked)
	}

	run := func(args ...string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), program, args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GAPBUNDLE_PASSPHRASE=for a test", "GAPBUNDLE_SITE_PASSPHRASE=for a test", "GAPBUNDLE_QUIET=true")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("gapbundle %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	s, err := config.Load(filepath.Join(dir, spec))
	if err != nil {
		t.Fatal(err)
	}
	run("keygen", "--out", "keys")
	run("keygen", "--site", "--out", "keys")
	run("plan", spec, "--offline")
	if n := asked.Load(); n != 0 {
		t.Errorf("plan --offline made %d requests", n)
	}
	run("plan", spec)
	run("export", spec, "--to", "usb")
	run("verify", "usb", "--pub", "keys/exporter.pub")
	run("trust", "add", "--mirror", "mirror", "--role", "exporter", "--set", s.Set, "--yes", "keys/exporter.pub")
	run("import", "usb", "--to", "mirror", "--accept-keys")
	run("check", "mirror", "--data")
	if isRPM {
		run("clients", "mirror", "--for", "dnf")
	}
	if isGit {
		for _, client := range []string{"git", "ansible"} {
			run("clients", "mirror", "--for", client, "--base-url", "http://mirror.lan")
		}
	}
	if isOCI {
		for _, client := range []string{"containerd", "crio", "docker", "k3s", "podman"} {
			run("clients", "mirror", "--for", client, "--base-url", "http://mirror.lan")
		}
	}
	if isImages {
		for _, client := range []string{"maas", "lxc", "incus"} {
			run("clients", "mirror", "--for", client, "--base-url", "https://mirror.lan")
		}
	}
	if isGalaxy {
		run("clients", "mirror", "--for", "ansible", "--base-url", "http://mirror.lan")
		checkGalaxy(t, dir)
	}
	if isHelm {
		for _, client := range []string{"helm", "argo-cd", "flux"} {
			run("clients", "mirror", "--for", client, "--base-url", "http://mirror.lan")
		}
		registries.checkCharts(dir)
	}
	if isKubespray {
		run("clients", "mirror", "--for", "kubespray", "--base-url", "https://mirror.lan")
		checkKubespray(t, dir)
	}
	if isPyPI {
		for _, client := range []string{"pip", "uv", "poetry", "pdm"} {
			run("clients", "mirror", "--for", client, "--base-url", "https://mirror.lan")
		}
	}
	if isApt || isRPM || isOCI || isImages || isGalaxy || isHelm || isPyPI || isGit || isKubespray { // the check asked for everything that a client would
		return
	}

	text, err := os.ReadFile(filepath.Join(dir, spec))
	if err != nil {
		t.Fatal(err)
	}
	for _, list := range listed.FindAllSubmatch(text, -1) {
		more, err := os.ReadFile(filepath.Join(dir, string(list[1])))
		if err != nil {
			t.Fatal(err)
		}
		text = append(append(text, '\n'), more...)
	}
	published := contents(t, filepath.Join(dir, "mirror", "current", "files"))
	urls := wanted(text, server.URL)
	if len(urls) == 0 {
		t.Fatalf("%s: no address found in it", spec)
	}
	for _, url := range urls {
		if !published[digest(content(url))] {
			t.Errorf("%s: not in the mirror", url)
		}
	}
}

// build compiles the program once for all examples.
func build(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "gapbundle")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", program, "../cmd/gapbundle")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return program
}

// standIn answers for every host: the first part of a path is the host it
// stands for. A file's content follows from its URL. SHA256SUMS files list all
// other files, by base name.
type standIn struct{ sums []byte }

func (s *standIn) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body := content(r.URL.Path)
	if strings.HasSuffix(r.URL.Path, "SHA256SUMS") {
		body = s.sums
	}
	http.ServeContent(w, r, "", time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC), bytes.NewReader(body))
}

var (
	address = regexp.MustCompile(`https?://[^\s"',\]}]+`)
	listed  = regexp.MustCompile(`\blist: *(\S+)`)
	pin     = regexp.MustCompile(`sha256: *"?[0-9a-f]{64}`)
)

// copyTo copies this folder's specs and what they name, with every address
// pointing at the stand-in and every pin being the digest of what it serves.
func (s *standIn) copyTo(t *testing.T, dir, server string) {
	t.Helper()
	if err := os.CopyFS(dir, os.DirFS(".")); err != nil {
		t.Fatal(err)
	}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		ext := filepath.Ext(path)
		if err != nil || d.IsDir() || ext != ".yaml" && ext != ".txt" && ext != ".sources" && ext != ".list" && ext != ".repo" {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		text = address.ReplaceAllFunc(text, func(a []byte) []byte {
			_, rest, _ := strings.Cut(string(a), "://")
			return []byte(server + "/" + strings.ReplaceAll(rest, ":", "_"))
		})
		for _, url := range wanted(text, server) {
			if strings.HasSuffix(url, "/") {
				continue // of a repository
			}
			s.sums = fmt.Appendf(s.sums, "%s  %s\n", digest(content(url)), url[strings.LastIndex(url, "/")+1:])
		}
		return os.WriteFile(path, pinned(text), 0o644)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// pinned replaces each pin by the digest of the last address above it.
func pinned(text []byte) []byte {
	var out []byte
	from := 0
	for _, at := range pin.FindAllIndex(text, -1) {
		above := address.FindAll(text[:at[0]], -1)
		if len(above) == 0 {
			continue
		}
		out = append(out, text[from:at[0]]...)
		out = append(out, "sha256: "+digest(content(string(above[len(above)-1])))...)
		from = at[1]
	}
	return append(out, text[from:]...)
}

// wanted are the addresses of files in a spec, comments and checksums left out.
func wanted(text []byte, server string) []string {
	var urls []string
	for line := range strings.Lines(string(text)) {
		line, _, _ = strings.Cut(line, "#")
		for _, url := range address.FindAllString(line, -1) {
			if strings.HasPrefix(url, server) && !strings.HasSuffix(url, "SHA256SUMS") {
				urls = append(urls, url)
			}
		}
	}
	return urls
}

// content is what the stand-in serves for an address, or for its path.
func content(url string) []byte {
	if _, rest, ok := strings.Cut(url, "://"); ok {
		_, url, _ = strings.Cut(rest, "/")
	}
	return bytes.Repeat([]byte("content of "+strings.TrimPrefix(url, "/")+"\n"), 50)
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// contents are the digests of all files below dir, links followed.
func contents(t *testing.T, dir string) map[string]bool {
	t.Helper()
	root, err := filepath.EvalSymlinks(dir)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := os.Stat(path)
		if err != nil || info.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		found[digest(b)] = true
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// TestLinksOfTheDocuments: what README and docs point at is there.
func TestLinksOfTheDocuments(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#:]+)(#[^)]*)?\)`)
	documents, err := filepath.Glob("../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, document := range append(documents, "../README.md", "../CONTRIBUTING.md", "../CHANGELOG.md") {
		text, err := os.ReadFile(document)
		if err != nil {
			t.Error(err)
			continue
		}
		for _, m := range link.FindAllSubmatch(text, -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(document), string(m[1]))); err != nil {
				t.Errorf("%s: %s is not there", document, m[1])
			}
		}
	}
}
