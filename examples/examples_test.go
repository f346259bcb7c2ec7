// Package examples has the specs that a person starts from, and the demo. The
// tests here run each of them: an example that does not work is worse than none.
package examples

import (
	"bytes"
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
	"testing"
	"time"

	"github.com/gapbundle/gapbundle/internal/test/journey"
	"github.com/gapbundle/gapbundle/sources/all/standins"
	"github.com/gapbundle/gapbundle/sources/config"
)

// specs returns the spec files of this folder.
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

// TestExamples takes each spec along, with a stand-in of its kind on loopback for every
// host that it names: it is exported, carried, imported, and asked for the configuration
// of its clients. A spec that no kind plays the upstreams of is an error.
func TestExamples(t *testing.T) {
	played := map[string]bool{}
	for kind, examples := range standins.All() {
		for _, e := range examples {
			if played[e.Spec] {
				t.Errorf("%s: two stand-ins", e.Spec)
			}
			played[e.Spec] = true
			t.Run(kind+"/"+e.Spec, func(t *testing.T) { trip(t, e.Spec, e.Start(t)) })
		}
	}
	for _, spec := range specs(t) {
		if !played[spec] {
			t.Errorf("%s: no kind has a stand-in for it: see sources/all/standins", spec)
		}
	}
}

func trip(t *testing.T, spec string, e journey.Upstream) {
	t.Helper()
	j := &journey.Journey{T: t, Dir: t.TempDir(), Spec: spec}
	up := &standIn{}
	if e.Hosts == nil {
		e.Hosts = up
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		j.Asked.Add(1)
		e.Hosts.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	j.URL = server.URL
	up.copyTo(t, j.Dir, server.URL)
	if e.Adopt != nil {
		e.Adopt(j)
	}
	s, err := config.Load(filepath.Join(j.Dir, spec))
	if err != nil {
		t.Fatal(err)
	}
	run(j, "keygen", "--out", "keys")
	run(j, "keygen", "--site", "--out", "keys")
	run(j, "plan", spec, "--offline")
	if n := j.Asked.Load(); n != 0 {
		t.Errorf("plan --offline made %d requests", n)
	}
	run(j, "plan", spec)
	run(j, "export", spec, "--to", "usb")
	run(j, "verify", "usb", "--pub", "keys/exporter.pub")
	run(j, "trust", "add", "--mirror", "mirror", "--role", "exporter", "--set", s.Set, "--yes", "keys/exporter.pub")
	run(j, "import", "usb", "--to", "mirror", "--accept-keys")
	run(j, "check", "mirror", "--data")
	for _, client := range e.Clients {
		args := []string{"clients", "mirror", "--for", client}
		if e.Base != "" {
			args = append(args, "--base-url", e.Base)
		}
		run(j, args...)
	}
	if e.Check != nil {
		e.Check(j)
	}
}

// run runs the program in the journey's folder.
func run(j *journey.Journey, args ...string) {
	j.T.Helper()
	output(j, args...)
}

// output returns run, and returns what the program printed.
func output(j *journey.Journey, args ...string) string {
	j.T.Helper()
	program, err := program()
	if err != nil {
		j.T.Fatal(err)
	}
	cmd := exec.CommandContext(j.T.Context(), program, args...)
	cmd.Dir = j.Dir
	cmd.Env = append(os.Environ(), "GAPBUNDLE_PASSPHRASE=for a test", "GAPBUNDLE_SITE_PASSPHRASE=for a test", "GAPBUNDLE_QUIET=true")
	out, err := cmd.CombinedOutput()
	if err != nil {
		j.T.Fatalf("gapbundle %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
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
	body := journey.Content(r.URL.Path)
	if strings.HasSuffix(r.URL.Path, "SHA256SUMS") {
		body = s.sums
	}
	http.ServeContent(w, r, "", time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC), bytes.NewReader(body))
}

var pin = regexp.MustCompile(`sha256: *"?[0-9a-f]{64}`)

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
		text = journey.Readdress(text, server)
		for _, url := range journey.Wanted(text, server) {
			if strings.HasSuffix(url, "/") {
				continue // of a repository
			}
			s.sums = fmt.Appendf(s.sums, "%s  %s\n", journey.Digest(journey.Content(url)), url[strings.LastIndex(url, "/")+1:])
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
		above := journey.Addresses(text[:at[0]])
		if len(above) == 0 {
			continue
		}
		out = append(out, text[from:at[0]]...)
		out = append(out, "sha256: "+journey.Digest(journey.Content(above[len(above)-1]))...)
		from = at[1]
	}
	return append(out, text[from:]...)
}

// TestFirstUse: the spec of the README's first use is first.yaml, which TestExamples takes along.
func TestFirstUse(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("first.yaml")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(readme), "    cat > gapbundle.yaml <<'EOF'\n")
	text, _, ok := strings.Cut(rest, "    EOF\n")
	_, spec, _ := strings.Cut(string(want), "\nversion: ")
	if got := regexp.MustCompile(`(?m)^    `).ReplaceAllString(text, ""); !ok || got != "version: "+spec {
		t.Errorf("the README has\n%s\nfirst.yaml has\nversion: %s", got, spec)
	}
}
