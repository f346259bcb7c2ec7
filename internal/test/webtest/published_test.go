//go:build clients

package webtest

import (
	"context"
	"fmt"
	"io"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/export"
	"github.com/gapbundle/gapbundle/sources/keys"
	"github.com/gapbundle/gapbundle/unpack"
	"github.com/gapbundle/gapbundle/verify"
)

// realMirror publishes by export and import, from a kind whose upstream is a
// map in memory.
type realMirror struct {
	t     *testing.T
	dir   string // of the mirror
	work  string // spec, keys and media
	files map[string]File
	last  time.Time
}

func newRealMirror(t *testing.T) mirror {
	m := &realMirror{t: t, work: t.TempDir()}
	m.dir = filepath.Join(m.work, "my mirror~1, für +x")
	private, public, id, err := keys.GenerateExporter([]byte("passphrase"))
	m.check(err)
	m.check(os.WriteFile(filepath.Join(m.work, "exporter.key"), private, 0o600))
	spec := "version: 1\nname: demo\nsigning: {exporter: exporter.key}\nsources:\n"
	for _, name := range sourceNames() {
		spec += fmt.Sprintf("  - {name: %s, kind: apt}\n", name)
	}
	m.check(os.WriteFile(filepath.Join(m.work, "gapbundle.yaml"), []byte(spec), 0o644))
	u, err := unpack.Create(m.dir, unpack.Options{})
	m.check(err)
	defer u.Close()
	m.check(u.Trust().Update(t.Context(), "test", func(p *verify.Policy) error {
		return p.Add(verify.Key{Role: verify.RoleExporter, Set: "demo", ID: id, PEM: string(public), Added: time.Now()})
	}))
	return m
}

// sourceNames returns the mounts of the sources, with a hyphen for each slash.
func sourceNames() []string { return []string{"apt-demo", "files", "v2"} }

func (m *realMirror) check(err error) {
	m.t.Helper()
	if err != nil {
		m.t.Fatal(err)
	}
}

func (m *realMirror) Path() string         { return m.dir }
func (m *realMirror) Published() time.Time { return m.last }

// Publish exports what changed and imports it. Nothing changed: what is there
// is published once more, with another address.
func (m *realMirror) Publish(files map[string]File) {
	m.t.Helper()
	m.files = files
	made, err := export.Run(m.t.Context(), export.Options{
		SpecPath: filepath.Join(m.work, "gapbundle.yaml"), Targets: []string{m.work}, NoReadback: true, Now: time.Now(),
		AllowShrink: sourceNames(), // tests publish whatever they like
		Passphrase:  func(string) ([]byte, error) { return []byte("passphrase"), nil },
		Kinds:       sources.Kinds{m.kind()}, Tool: "gapbundle test",
	})
	m.check(err)
	u, err := unpack.Open(m.dir, unpack.Options{})
	m.check(err)
	defer u.Close()
	if made.Nothing {
		_, err = u.SetBaseURL(m.t.Context(), "http://again.lan")
	} else {
		_, err = u.Receive(m.t.Context(), made.Dirs, unpack.ImportOptions{BaseURL: "http://mirror.lan"})
	}
	m.check(err)
	g, err := u.Current()
	m.check(err)
	m.last = g.Time
}

func (m *realMirror) kind() sources.Kind {
	return sources.Kind{
		Name: "apt", Doc: "a map in memory",
		New: func(specs []sources.Spec) (sources.Source, error) { return mapSource{m, specs}, nil },
		Clients: func(context.Context, []bundle.Repository, sources.Tree) ([]sources.ClientFile, error) {
			return []sources.ClientFile{{Path: "apt-demo.sources", Content: []byte("URIs: @BASE@/apt/demo\n")}}, nil
		},
	}
}

type mapSource struct {
	m     *realMirror
	specs []sources.Spec
}

func (s mapSource) Plan(context.Context, *sources.Env) (*sources.Plan, error) {
	p := &sources.Plan{}
	for _, spec := range s.specs {
		mount := strings.ReplaceAll(spec.Name, "-", "/")
		p.Repositories = append(p.Repositories, sources.Repository{
			Name: spec.Name, Mount: mount,
			Artifacts: func() iter.Seq2[sources.Artifact, error] { return seq(s.m.artifacts(mount)) },
		})
	}
	return p, nil
}

func (m *realMirror) artifacts(mount string) []sources.Artifact {
	var list []sources.Artifact
	for _, p := range slices.SortedFunc(maps.Keys(m.files), bundle.ComparePaths) {
		rest, ok := strings.CutPrefix(p, mount+"/")
		if !ok {
			continue
		}
		file := m.files[p]
		list = append(list, sources.Artifact{
			File:     bundle.File{Path: rest, Size: int64(len(file.Content)), Digest: bundle.DigestOf([]byte(file.Content)), MediaType: file.MediaType},
			Evidence: bundle.Evidence{Path: rest, Vouched: bundle.VouchedPinned},
			Open: func(context.Context, int64, string) (*bundle.Content, error) {
				return &bundle.Content{Body: io.NopCloser(strings.NewReader(file.Content))}, nil
			},
		})
	}
	return list
}
