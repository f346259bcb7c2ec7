package sourcetest

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/test/webtest"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/export"
	"github.com/gapbundle/gapbundle/unpack"
	"github.com/gapbundle/gapbundle/verify"
)

// World is what a test with a real client needs around it: an upstream's web root,
// an exporter with its keys, a mirror that trusts it, and the servers that a mirror
// may be served by. The clock is the real one: real clients look at it.
//
// One is made for all clients of a kind; each client is a subtest with a state of
// its own.
type World struct {
	testing.TB
	// Kinds may be used in specs.
	Kinds sources.Kinds
	// WWW is a folder that is served at URL, without a slash at its end.
	WWW, URL string
	// Dir is the folder of specs, keys and media.
	Dir string
	// Mirror is the mirror's folder.
	Mirror string
	// Program renders charts in exports; "": none can.
	Program string
}

// The passphrases of the keys in World.Dir: exporter.key and site.key.
const (
	exporterPass = passphrase
	sitePass     = "y"
)

// NewWorld makes an empty world: nothing is served, nothing was exported.
func NewWorld(t testing.TB, kinds ...sources.Kind) *World {
	t.Helper()
	w := &World{TB: t, Kinds: kinds, WWW: t.TempDir(), Dir: t.TempDir(), Mirror: filepath.Join(t.TempDir(), "mirror")}
	server := httptest.NewServer(http.FileServer(http.Dir(w.WWW)))
	t.Cleanup(server.Close)
	w.URL = server.URL
	key := newKey(t)
	w.Write(filepath.Join(w.Dir, "exporter.key"), key.private)
	w.Write(filepath.Join(w.Dir, siteKeyName), newSiteKey(t, sitePass, time.Now().Add(-time.Hour)).private)
	m, err := unpack.Create(w.Mirror, unpack.Options{})
	w.Check(err)
	w.Check(errors.Join(m.Trust().Update(t.Context(), "test", func(p *verify.Policy) error {
		return p.Add(verify.Key{Role: verify.RoleExporter, Set: "any", ID: key.id, PEM: string(key.public), Added: time.Now()})
	}), m.Close()))
	return w
}

// Check ends the test at an error.
func (w *World) Check(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// Write writes a file and makes the folders above it. Private keys end in .key, and nobody else
// reads them.
func (w *World) Write(name string, content []byte) {
	w.Helper()
	w.Check(os.MkdirAll(filepath.Dir(name), 0o755))
	mode := fs.FileMode(0o644)
	if strings.HasSuffix(name, ".key") {
		mode = 0o600
	}
	w.Check(os.WriteFile(name, content, mode))
}

// Put writes a file of the upstream; path is relative to its web root.
func (w *World) Put(path string, content []byte) {
	w.Helper()
	w.Write(filepath.Join(w.WWW, filepath.FromSlash(path)), content)
}

// Run runs a program in dir and returns its output. It has to succeed; a program
// that is not there is a failure. env are further variables, as in "LC_ALL=C".
func (w *World) Run(dir string, env []string, name string, args ...string) []byte {
	w.Helper()
	cmd := exec.CommandContext(w.Context(), name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		w.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, out, stderr.String())
	}
	return out
}

// Publish exports the sources of a set, as YAML, and imports the bundle.
func (w *World) Publish(set, text string) {
	w.Helper()
	w.Receive(w.Export(set, text))
}

// Export exports the sources of a set and returns the directories of the bundle;
// there has to be something new.
func (w *World) Export(set, text string) []string {
	w.Helper()
	made, err := w.TryExport(set, text)
	w.Check(err)
	if made.Nothing {
		w.Fatalf("set %s: nothing new", set)
	}
	return made.Dirs
}

// TryExport exports the sources of a set.
func (w *World) TryExport(set, text string, change ...func(*export.Options)) (*export.Result, error) {
	w.Helper()
	return export.Run(w.Context(), w.options(set, text, change))
}

// Plan returns what an export of the sources of a set would do.
func (w *World) Plan(set, text string, change ...func(*export.Options)) *export.PlanReport {
	w.Helper()
	report, err := export.Plan(w.Context(), w.options(set, text, change))
	w.Check(err)
	return report
}

// options returns those of an export of a set, whose spec it writes.
func (w *World) options(set, text string, change []func(*export.Options)) export.Options {
	w.Helper()
	o := export.Options{
		SpecPath: w.spec(set, text), Targets: []string{w.Dir}, NoReadback: true, Now: time.Now(), Signers: newKey(w).signers(),
		Passphrase:     func(string) ([]byte, error) { return []byte(exporterPass), nil },
		SitePassphrase: func(string) ([]byte, error) { return []byte(sitePass), nil },
		Kinds:          w.Kinds, Tool: "test", Program: w.Program, Env: func(string) string { return "" },
	}
	for _, c := range change {
		c(&o)
	}
	return o
}

// spec writes the spec of a set and returns its name.
func (w *World) spec(set, text string) string {
	w.Helper()
	name := filepath.Join(w.Dir, set+".yaml")
	w.Write(name, []byte("version: 1\nname: "+set+"\nsigning: {exporter: exporter.key, site: "+siteKeyName+"}\nsources:\n"+text))
	return name
}

// Receive imports bundles in one go, and asks every kind whether what is published
// then is complete.
func (w *World) Receive(dirs []string) {
	w.Helper()
	w.Check(w.TryReceive(dirs))
	w.Check(w.TryCheck())
}

// TryReceive imports bundles in one go.
func (w *World) TryReceive(dirs []string) error {
	m, err := unpack.Open(w.Mirror, unpack.Options{})
	if err != nil {
		return err
	}
	// Keys are accepted for one bundle at a time. Several come later and bring no other keys.
	_, err = m.Receive(w.Context(), dirs, unpack.ImportOptions{AcceptKeys: len(dirs) == 1})
	return errors.Join(err, m.Close())
}

// TryCheck checks what is published, and asks every kind whether it is complete.
func (w *World) TryCheck() error {
	m, err := unpack.Open(w.Mirror, unpack.Options{})
	if err != nil {
		return err
	}
	if _, err = m.Check(w.Context(), unpack.CheckOptions{}); err == nil {
		err = w.complete(m)
	}
	return errors.Join(err, m.Close())
}

func (w *World) complete(m *unpack.Mirror) error {
	for _, kind := range w.Kinds {
		if kind.Check == nil {
			continue
		}
		tree, err := m.Tree(kind.Name)
		if err == nil && len(tree.Repositories()) > 0 {
			_, err = kind.Check(w.Context(), tree)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Behind records in the mirror that clients reach it at a base URL.
func (w *World) Behind(baseURL string) {
	w.Helper()
	m, err := unpack.Open(w.Mirror, unpack.Options{})
	w.Check(err)
	defer m.Close()
	_, err = m.SetBaseURL(w.Context(), baseURL)
	w.Check(err)
}

// Each runs f for every server that may serve a mirror, which serves it then:
// gapbundle's own, nginx, Apache and Caddy. The mirror knows the server's address.
func (w *World) Each(t *testing.T, f func(t *testing.T, s *webtest.Server)) {
	webtest.Each(t, w.Mirror, func(t *testing.T, s *webtest.Server) {
		w.Behind(s.URL)
		f(t, s)
	})
}

// EachTLS does what Each does over https, by gapbundle's own server and nginx.
func (w *World) EachTLS(t *testing.T, pair webtest.Pair, f func(t *testing.T, s *webtest.Server)) {
	for _, name := range []string{webtest.Serve, webtest.Nginx} {
		t.Run(name, func(t *testing.T) {
			s := webtest.StartTLS(t, name, w.Mirror, pair)
			w.Behind(s.URL)
			f(t, s)
		})
	}
}

// Client returns a client file as the mirror publishes it; name is below the folder
// of the kind.
func (w *World) Client(kind, name string) []byte {
	w.Helper()
	b, err := os.ReadFile(filepath.Join(w.Mirror, "current", filepath.FromSlash(sources.ClientsDir(kind)), filepath.FromSlash(name)))
	w.Check(err)
	return b
}

// Get returns what a server answers at a URL, which has to be 200.
func (w *World) Get(url string) []byte {
	w.Helper()
	resp, err := http.Get(url)
	w.Check(err)
	b, err := io.ReadAll(resp.Body)
	w.Check(errors.Join(err, resp.Body.Close()))
	if resp.StatusCode != http.StatusOK {
		w.Fatalf("%s: %s", url, resp.Status)
	}
	return b
}

// Entries visits what the mirror has by name, of all repositories.
func (w *World) Entries(each func(repo string, e bundle.Entry)) {
	w.Helper()
	m, err := unpack.Open(w.Mirror, unpack.Options{})
	w.Check(err)
	defer m.Close()
	g, err := m.Current()
	w.Check(err)
	for _, set := range g.Sets {
		for _, repo := range set.Repositories {
			for e, err := range m.Names().Contents(repo.Repository) {
				w.Check(err)
				each(repo.Name, e)
			}
		}
	}
}

// Digest returns the digest of a published file.
func (w *World) Digest(path string) bundle.Digest {
	w.Helper()
	b, err := os.ReadFile(filepath.Join(w.Mirror, "current", filepath.FromSlash(path)))
	w.Check(err)
	return bundle.DigestOf(b)
}
