package files

import (
	"context"
	"io"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/decompress"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/test/plantest"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/collect"
)

// now is the judging time of all tests.
var now = plantest.Now()

// base is what an earlier export recorded.
type base map[string][]sources.Recorded

func (b base) Files(repo string) iter.Seq2[sources.Recorded, error] {
	return func(yield func(sources.Recorded, error) bool) {
		for _, r := range b[repo] {
			if !yield(r, nil) {
				return
			}
		}
	}
}

// site is a spec folder with what a plan needs.
type site struct {
	t    *testing.T
	dir  string
	env  *sources.Env
	base base
}

func newSite(t *testing.T) *site {
	t.Helper()
	dir := t.TempDir()
	client, err := fetch.New(fetch.Options{
		Decode: decompress.Coding, Env: func(string) string { return "" }, Home: dir, Retries: -1,
		Wait: func(ctx context.Context, _ time.Duration) error { return ctx.Err() },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	s := &site{t: t, dir: dir, base: base{}}
	scratch, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = scratch.Close() }) // read by nobody any more
	s.env = &sources.Env{Fetch: client, Base: s.base, Dir: dir, Scratch: scratch, Now: now, Log: slog.New(slog.DiscardHandler)}
	s.lock(false)
	return s
}

// lock opens the lock file again, as the next export does.
func (s *site) lock(update bool) {
	s.t.Helper()
	var err error
	if s.env.Lock, err = sources.OpenLock(filepath.Join(s.dir, sources.LockName), update); err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) write(name, content string) string {
	s.t.Helper()
	full := filepath.Join(s.dir, name)
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(full, []byte(content), 0o644); err != nil {
		s.t.Fatal(err)
	}
	return full
}

// unquoted are URLs with a port, which need quotes within brackets.
var unquoted = regexp.MustCompile(`(^|[\s\[{,])(http://127[^\s,\]}"]*)`)

// specs returns sources of this kind as a spec file has them: a list of mappings,
// each with a name.
func (s *site) specs(text string) []sources.Spec {
	s.t.Helper()
	return plantest.SourcesOf(s.t, Name, s.dir, unquoted.ReplaceAllString(text, `$1"$2"`))
}

// plan plans the sources and returns their artifacts by repository.
func (s *site) plan(text string) (map[string][]sources.Artifact, error) {
	s.t.Helper()
	r, err := collect.Resolve(s.t.Context(), sources.Kinds{Kind()}, s.specs(text), s.env)
	if err != nil {
		return nil, err
	}
	all := map[string][]sources.Artifact{}
	for _, repo := range r.Repositories {
		var order bundle.PathOrder
		all[repo.Name] = nil
		for a, err := range repo.Artifacts() {
			if err != nil {
				return nil, err
			}
			if err := order.Next(a.File.Path); err != nil {
				s.t.Errorf("source %s: %v", repo.Name, err)
			}
			all[repo.Name] = append(all[repo.Name], a)
		}
	}
	return all, nil
}

func (s *site) mustPlan(text string) map[string][]sources.Artifact {
	s.t.Helper()
	all, err := s.plan(text)
	if err != nil {
		s.t.Fatal(err)
	}
	return all
}

// collect does what an export does with each artifact: content that is not
// known is read, the source is told, and the base remembers.
func (s *site) collect(all map[string][]sources.Artifact) error {
	s.t.Helper()
	for name, artifacts := range all {
		s.base[name] = nil
		for _, a := range artifacts {
			f, validator := a.File, a.Validator
			if f.Digest.IsZero() || f.Size < 0 {
				b, content, err := read(s.t, a)
				if err != nil {
					return err
				}
				f.Digest, f.Size, validator = bundle.DigestOf(b), int64(len(b)), content.Validator
			}
			if a.Collected != nil {
				if err := a.Collected(f); err != nil {
					return err
				}
			}
			s.base[name] = append(s.base[name], sources.Recorded{
				File: f, Origin: a.Evidence.Origin, Validator: validator, Vouched: a.Evidence.Vouched,
			})
		}
	}
	return nil
}

func read(t *testing.T, a sources.Artifact) ([]byte, *bundle.Content, error) {
	t.Helper()
	content, err := a.Open(t.Context(), 0, "")
	if err != nil {
		return nil, nil, err
	}
	b, err := io.ReadAll(content.Body)
	if err := content.Body.Close(); err != nil {
		t.Error(err)
	}
	return b, content, err
}

func paths(artifacts []sources.Artifact) []string {
	var all []string
	for _, a := range artifacts {
		all = append(all, a.File.Path)
	}
	return all
}

func find(t *testing.T, artifacts []sources.Artifact, path string) sources.Artifact {
	t.Helper()
	i := slices.IndexFunc(artifacts, func(a sources.Artifact) bool { return a.File.Path == path })
	if i < 0 {
		t.Fatalf("%s: not planned, but %v", path, paths(artifacts))
	}
	return artifacts[i]
}
