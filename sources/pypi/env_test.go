package pypi

import (
	"context"
	"io"
	"io/fs"
	"iter"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/strictyaml"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/collect"
	"github.com/gapbundle/gapbundle/sources/files"
	"github.com/gapbundle/gapbundle/sources/pypi/pages"
)

// site is the folder of a spec with what a plan needs.
type site struct {
	t        testing.TB
	dir      string
	base     []sources.Recorded
	document []byte
}

func newSite(t testing.TB) *site {
	t.Helper()
	return &site{t: t, dir: t.TempDir()}
}

func (s *site) write(name, content string) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, name), []byte(content), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// Files makes a site the base of a delta.
func (s *site) Files(string) iter.Seq2[sources.Recorded, error] {
	return func(yield func(sources.Recorded, error) bool) {
		for _, r := range s.base {
			if !yield(r, nil) {
				return
			}
		}
	}
}

// Document and Content have the record that the base keeps.
// Entries are those that exported was given.
func (s *site) Entries(string) (iter.Seq2[sources.NamedPath, error], bool) {
	return func(yield func(sources.NamedPath, error) bool) {
		for _, r := range s.base {
			if r.Entries != "" && !yield(sources.NamedPath{Path: r.File.Path, Entries: r.Entries}, nil) {
				return
			}
		}
	}, s.base != nil
}

func (s *site) Document(string, string) ([]byte, error) { return s.document, nil }

func (s *site) Content(d bundle.Digest) ([]byte, error) {
	if bundle.DigestOf(s.document) != d {
		return nil, fs.ErrNotExist
	}
	return s.document, nil
}

// exported makes a plan the base of the next one.
func (s *site) exported(p *planned) {
	s.base = nil
	for _, at := range slices.SortedFunc(maps.Keys(p.files), bundle.ComparePaths) {
		a := p.files[at]
		s.base = append(s.base, sources.Recorded{File: a.File, Origin: a.Evidence.Origin, Vouched: a.Evidence.Vouched, Reason: a.Evidence.Reason, Validator: a.Validator, Entries: a.Entries})
		if a.Keep {
			s.document = []byte(p.read(at))
		}
	}
}

func (s *site) env() *sources.Env {
	s.t.Helper()
	client, err := fetch.New(fetch.Options{
		Env: func(string) string { return "" }, Home: s.dir, Retries: -1,
		Wait: func(ctx context.Context, _ time.Duration) error { return ctx.Err() },
	})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(client.Close)
	scratch, err := os.OpenRoot(s.t.TempDir())
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = scratch.Close() })
	lock, err := sources.OpenLock(filepath.Join(s.dir, sources.LockName), false)
	if err != nil {
		s.t.Fatal(err)
	}
	return &sources.Env{
		Fetch: client, Base: s, Dir: s.dir, Now: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC), Log: slog.New(slog.DiscardHandler),
		Scratch: scratch, Lock: lock, Tool: "test",
	}
}

func (s *site) spec(text string) []sources.Spec {
	s.t.Helper()
	root, err := strictyaml.Parse("spec.yaml", []byte(strings.TrimPrefix(text, "kind: pypi\n")))
	if err != nil {
		s.t.Fatal(err)
	}
	return []sources.Spec{{Name: "python", Kind: Name, Dir: s.dir, At: "spec.yaml:1:1", Decode: root.Decode}}
}

// planned is a plan that can be looked at.
type planned struct {
	repo  sources.Repository
	files map[string]sources.Artifact
	// atHosts are the paths of files that are at the addresses of their hosts, too.
	atHosts []string
	t       testing.TB
}

// plan plans one source of this kind.
func (s *site) plan(text string) (*planned, error) {
	s.t.Helper()
	r, err := collect.Resolve(s.t.Context(), sources.Kinds{Kind(), files.Kind()}, s.spec(text), s.env())
	if err != nil {
		return nil, err
	}
	p := &planned{files: map[string]sources.Artifact{}, t: s.t}
	for _, repo := range r.Repositories {
		if repo.Kind == Name {
			p.repo = repo.Repository
			continue
		}
		for a, err := range repo.Artifacts() {
			if err != nil {
				return nil, err
			}
			p.atHosts = append(p.atHosts, a.File.Path)
		}
	}
	for a, err := range p.repo.Artifacts() {
		if err != nil {
			return nil, err
		}
		p.files[a.File.Path] = a
	}
	return p, nil
}

func (s *site) must(text string) *planned {
	s.t.Helper()
	p, err := s.plan(text)
	if err != nil {
		s.t.Fatal(err)
	}
	return p
}

// names returns the wheels and source archives, sorted by digest of path, one a word.
func (p *planned) names() string {
	var all []string
	for _, at := range sortedKeys(p.files) {
		if strings.HasPrefix(at, pages.FilesDir) && !strings.HasSuffix(at, pages.MetadataEnd) {
			all = append(all, filepath.Base(at))
		}
	}
	return strings.Join(sortedStrings(all), " ")
}

func sortedStrings(all []string) []string {
	set := map[string]bool{}
	for _, s := range all {
		set[s] = true
	}
	return sortedKeys(set)
}

func (p *planned) read(at string) string {
	p.t.Helper()
	a, ok := p.files[at]
	if !ok {
		p.t.Fatalf("%s: not planned", at)
	}
	c, err := a.Open(p.t.Context(), 0, "")
	if err != nil {
		p.t.Fatal(err)
	}
	defer c.Body.Close()
	b, err := io.ReadAll(c.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return string(b)
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
