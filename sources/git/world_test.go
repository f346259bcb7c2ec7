package git

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/test/plantest"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/collect"
)

// now is the judging time of all tests.
var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// site is an exporter with what it remembers, and the mirror that its bundles
// make.
type site struct {
	t     testing.TB
	dir   string // of the spec
	web   string // web root of the mirror
	hosts map[string]fetch.HostOptions
	files map[string][]sources.Recorded // by repository
	kept  map[bundle.Digest][]byte      // documents
	blobs map[bundle.Digest][]byte      // that the mirror has
	full  bool                          // nothing is taken to be there
	taken map[bundle.Digest]bool        // blobs that this export carried
	held  []string                      // sources that are held back
	// nameless means that a program exported that recorded no names.
	nameless bool
	notes    []string // of the last export
	carry    int64    // bytes of blobs that the last export carried
}

func newSite(t testing.TB) *site {
	t.Helper()
	return &site{t: t, dir: t.TempDir(), web: t.TempDir(), files: map[string][]sources.Recorded{}, kept: map[bundle.Digest][]byte{}, blobs: map[bundle.Digest][]byte{}}
}

// Files and Content make site the base of the next export.
func (s *site) Files(repo string) iter.Seq2[sources.Recorded, error] {
	return func(yield func(sources.Recorded, error) bool) {
		for _, r := range s.files[repo] {
			if !yield(r, nil) {
				return
			}
		}
	}
}

// Entries returns what the last export recorded by name; a site that forgot it has none.
func (s *site) Entries(repo string) (iter.Seq2[sources.NamedPath, error], bool) {
	return func(yield func(sources.NamedPath, error) bool) {
		for _, r := range s.files[repo] {
			if r.Entries != "" && !yield(sources.NamedPath{Path: r.File.Path, Entries: r.Entries}, nil) {
				return
			}
		}
	}, !s.nameless
}

func (s *site) Document(string, string) ([]byte, error) { return nil, fs.ErrNotExist }

func (s *site) Content(d bundle.Digest) ([]byte, error) {
	b, ok := s.kept[d]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return b, nil
}

// specs returns sources of this kind as a spec file has them.
func (s *site) specs(text string) []sources.Spec {
	s.t.Helper()
	return plantest.SourcesOf(s.t, Name, s.dir, text)
}

func (s *site) env() *sources.Env {
	s.t.Helper()
	client, err := fetch.New(fetch.Options{
		Env: func(string) string { return "" }, Home: s.dir, Retries: 2, Hosts: s.hosts,
		Wait: func(ctx context.Context, _ time.Duration) error { return ctx.Err() },
	})
	if err != nil {
		s.t.Fatal(err)
	}
	scratch, err := os.OpenRoot(s.t.TempDir())
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		client.Close()
		_ = scratch.Close()
	})
	env := &sources.Env{Fetch: client, Base: s, Dir: s.dir, Now: now, Scratch: scratch, Log: slog.New(slog.DiscardHandler)}
	for _, name := range s.held {
		env.Held = append(env.Held, sources.Held{Repository: bundle.Repository{Name: name, Kind: Name, Mount: mount}, Files: func() iter.Seq2[bundle.File, error] {
			return tree{s}.Files(name)
		}})
	}
	if !s.full {
		env.Have = func(d bundle.Digest) (int64, bool) { b, ok := s.blobs[d]; return int64(len(b)), ok }
	}
	return env
}

func (s *site) plan(text string) (*collect.Resolved, error) {
	s.t.Helper()
	return collect.Resolve(s.t.Context(), sources.Kinds{Kind()}, s.specs(text), s.env())
}

// export plans, collects, and publishes into web; it returns the digests of
// all files by their paths.
func (s *site) export(text string) (map[string]bundle.Digest, error) {
	s.t.Helper()
	resolved, err := s.plan(text)
	if err != nil {
		return nil, err
	}
	s.notes, s.carry, s.taken = nil, 0, map[bundle.Digest]bool{}
	all := map[string]bundle.Digest{}
	for _, repo := range resolved.Repositories {
		s.notes = append(s.notes, repo.Notes...)
		s.files[repo.Name] = nil
		var order bundle.PathOrder
		for a, err := range repo.Artifacts() {
			if err == nil {
				err = order.Next(a.File.Path)
			}
			if err == nil {
				err = s.collect(repo.Name, a)
			}
			if err != nil {
				return nil, err
			}
			all[a.File.Path] = a.File.Digest
		}
	}
	return all, nil
}

// collect brings one artifact, as Collect does, and records it.
func (s *site) collect(repo string, a sources.Artifact) error {
	s.t.Helper()
	name := filepath.Join(s.web, "git", filepath.FromSlash(a.File.Path))
	b, have := s.blobs[a.File.Digest]
	if !have || s.full && !s.taken[a.File.Digest] {
		content, err := a.Open(s.t.Context(), 0, "")
		if err != nil {
			return err
		}
		b, err = io.ReadAll(content.Body)
		if closed := content.Body.Close(); err == nil {
			err = closed
		}
		if err != nil {
			return err
		}
		if bundle.DigestOf(b) != a.File.Digest || int64(len(b)) != a.File.Size {
			return fmt.Errorf("%s: %d bytes, %s; planned %d, %s", a.File.Path, len(b), bundle.DigestOf(b), a.File.Size, a.File.Digest)
		}
		s.carry += int64(len(b))
		s.blobs[a.File.Digest], s.taken[a.File.Digest] = b, true
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(name, b, 0o644); err != nil {
		return err
	}
	if a.Keep {
		s.kept[a.File.Digest] = b
	}
	s.files[repo] = append(s.files[repo], sources.Recorded{
		File: a.File, Origin: a.Evidence.Origin, Vouched: a.Evidence.Vouched, Reason: a.Evidence.Reason, Validator: a.Validator,
		Entries: a.Entries,
	})
	return nil
}

func (s *site) must(text string) map[string]bundle.Digest {
	s.t.Helper()
	all, err := s.export(text)
	if err != nil {
		s.t.Fatal(err)
	}
	return all
}

// another returns an exporter that remembers the same, for a mirror that has nothing.
func (s *site) another() *site {
	other := newSite(s.t)
	other.dir, other.hosts, other.full = s.dir, s.hosts, true
	other.files, other.kept = maps.Clone(s.files), maps.Clone(s.kept)
	return other
}

// serve serves the mirror as files.
func (s *site) serve() string {
	s.t.Helper()
	server := httptest.NewServer(http.FileServer(http.Dir(s.web)))
	s.t.Cleanup(server.Close)
	return server.URL
}

// gitInside runs git as a client of the mirror.
func (s *site) gitInside(dir string, config []string, args ...string) (string, error) {
	var all []string
	for _, c := range config {
		all = append(all, "-c", c)
	}
	cmd := exec.Command("git", append(all, args...)...)
	cmd.Dir = dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0", "LC_ALL=C"}
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

func (s *site) mustGit(dir string, config []string, args ...string) string {
	s.t.Helper()
	out, err := s.gitInside(dir, config, args...)
	if err != nil {
		s.t.Fatalf("git %q: %v\n%s", args, err, out)
	}
	return out
}

func (s *site) noted(text string) bool {
	return slices.ContainsFunc(s.notes, func(n string) bool { return strings.Contains(n, text) })
}

// hostDir returns the folder that an upstream's host has in the mirror.
func hostDir(host string) string { return strings.Replace(host, ":", "_", 1) }
