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
	"sync"
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

// TestEveryExampleMakesTheTrip looks for the test that takes each spec along: one of the
// files here, by kind.
func TestEveryExampleMakesTheTrip(t *testing.T) {
	tests, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	var all []byte
	for _, name := range tests {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, text...)
	}
	for _, spec := range specs(t) {
		if !regexp.MustCompile(`\btrip\(t, example\{\s*spec: "` + regexp.QuoteMeta(spec) + `"`).Match(all) {
			t.Errorf("%s: no test of this folder calls trip with it", spec)
		}
	}
}

// example is a spec of this folder and what stands in for its upstreams. A kind has
// its own in a test file of its own.
type example struct {
	spec string
	// hosts answers for every host that the spec names; nil: a standIn.
	hosts http.Handler
	// adopt changes the copy of the spec, and of what belongs to it, to fit the
	// stand-in; nil: the addresses are enough.
	adopt func(j *journey)
	// clients are asked for their configuration by what is published at base; "": by
	// the mirror's own folder.
	clients []string
	base    string
	// check looks at the mirror, beyond what gapbundle check does.
	check func(j *journey)
}

// journey is one example on its way.
type journey struct {
	t         *testing.T
	dir, spec string
	url       string // of the stand-in
	asked     atomic.Int64
}

// trip exports an example, with a stand-in on loopback for every host it names,
// carries it, imports it, and asks for the configuration of its clients.
func trip(t *testing.T, e example) {
	t.Helper()
	j := &journey{t: t, dir: t.TempDir(), spec: e.spec}
	up := &standIn{}
	if e.hosts == nil {
		e.hosts = up
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		j.asked.Add(1)
		e.hosts.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	j.url = server.URL
	up.copyTo(t, j.dir, server.URL)
	if e.adopt != nil {
		e.adopt(j)
	}
	s, err := config.Load(filepath.Join(j.dir, e.spec))
	if err != nil {
		t.Fatal(err)
	}
	j.run("keygen", "--out", "keys")
	j.run("keygen", "--site", "--out", "keys")
	j.run("plan", e.spec, "--offline")
	if n := j.asked.Load(); n != 0 {
		t.Errorf("plan --offline made %d requests", n)
	}
	j.run("plan", e.spec)
	j.run("export", e.spec, "--to", "usb")
	j.run("verify", "usb", "--pub", "keys/exporter.pub")
	j.run("trust", "add", "--mirror", "mirror", "--role", "exporter", "--set", s.Set, "--yes", "keys/exporter.pub")
	j.run("import", "usb", "--to", "mirror", "--accept-keys")
	j.run("check", "mirror", "--data")
	for _, client := range e.clients {
		args := []string{"clients", "mirror", "--for", client}
		if e.base != "" {
			args = append(args, "--base-url", e.base)
		}
		j.run(args...)
	}
	if e.check != nil {
		e.check(j)
	}
}

// run runs the program in the journey's folder.
func (j *journey) run(args ...string) {
	j.t.Helper()
	program, err := program()
	if err != nil {
		j.t.Fatal(err)
	}
	cmd := exec.CommandContext(j.t.Context(), program, args...)
	cmd.Dir = j.dir
	cmd.Env = append(os.Environ(), "GAPBUNDLE_PASSPHRASE=for a test", "GAPBUNDLE_SITE_PASSPHRASE=for a test", "GAPBUNDLE_QUIET=true")
	if out, err := cmd.CombinedOutput(); err != nil {
		j.t.Fatalf("gapbundle %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// built is the folder of the program, once it is needed.
var built string

// program compiles gapbundle, once for all examples.
var program = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "examples")
	if err != nil {
		return "", err
	}
	built = dir
	name := filepath.Join(dir, "gapbundle")
	if out, err := exec.Command("go", "build", "-o", name, "../cmd/gapbundle").CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return name, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if built != "" {
		if err := os.RemoveAll(built); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
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
