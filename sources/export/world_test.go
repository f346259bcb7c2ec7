package export

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/sources"
)

// world is an upstream of in-memory content with a kind "mem": what a
// source of any kind does with digests, sizes and validators, without a
// network.
type world struct {
	mu      sync.Mutex
	content map[string][]byte
	// digests and sizes say whether upstream tells them before the content moves.
	digests, sizes, validators bool
	opened, plans              atomic.Int64
	// public is the public address of every repository.
	public string
	// clients is the path and content of one more client file, keys what each source
	// publishes.
	clients [2]string
	keys    func(source string) []sources.Key
	// weak is a weak key that the sources have, if the spec allows it.
	weak string
	// filled is the path of a file that has the mirror's address filled in.
	filled string
	// named gives a file a name; nil: none has one.
	named func(path string, content []byte) sources.Entry
	// before is called with the path of everything that is opened.
	before func(path string) error
	// late, when set, is the content of "zz-index", made last.
	late func(paths []string) []byte
}

func (w *world) kind() sources.Kind {
	return sources.Kind{
		Name: "mem", Doc: "content in memory", Compare: func(_, a, b string) int { return strings.Compare(a, b) },
		New: func(specs []sources.Spec) (sources.Source, error) { return memory{w, specs}, nil },
		Check: func(_ context.Context, t sources.Tree) ([]bundle.CheckCount, error) {
			var n int64
			for _, r := range t.Repositories() {
				for f, err := range t.Files(r.Name) {
					if err != nil {
						return nil, err
					}
					if f.Digest.IsZero() || f.Size < 0 {
						return nil, fmt.Errorf("%s: not collected: %w", f.Path, bundle.ErrIncomplete)
					}
					n++
				}
			}
			return []bundle.CheckCount{{Name: "files", Count: n}}, nil
		},
		Clients: func(_ context.Context, repos []bundle.Repository, _ sources.Tree) ([]sources.ClientFile, error) {
			var b strings.Builder
			for _, r := range repos {
				fmt.Fprintf(&b, "%s/%s\n", sources.BaseMark, r.Mount)
			}
			files := []sources.ClientFile{{Path: "mounts.txt", Content: []byte(b.String())}}
			if w.clients[0] != "" {
				files = append(files, sources.ClientFile{Path: w.clients[0], Content: []byte(w.clients[1])})
			}
			return files, nil
		},
	}
}

type memory struct {
	w     *world
	specs []sources.Spec
}

func (m memory) Plan(_ context.Context, env *sources.Env) (*sources.Plan, error) {
	var p sources.Plan
	m.w.mu.Lock()
	now := maps.Clone(m.w.content)
	m.w.mu.Unlock()
	m.w.plans.Add(1)
	if m.w.weak != "" && !env.Weak.Allow(m.w.weak) {
		return nil, fmt.Errorf("key %s: not allowed: %w", m.w.weak, fetch.ErrRefused)
	}
	for _, s := range m.specs {
		r := sources.Repository{Name: s.Name, Mount: "mem/" + s.Name, Notes: []string{"a remark"}, Artifacts: func() iter.Seq2[sources.Artifact, error] { return m.w.artifacts(env, s.Name, now) }}
		if m.w.public != "" {
			public, err := bundle.ParsePublic(m.w.public, "")
			if err != nil {
				return nil, err
			}
			r.Public = []sources.Public{public}
		}
		if m.w.keys != nil {
			r.Keys = m.w.keys(s.Name)
		}
		if m.w.late != nil {
			r.Late = m.w.index
		}
		p.Repositories = append(p.Repositories, r)
	}
	return &p, nil
}

func (w *world) paths() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.SortedFunc(maps.Keys(w.content), bundle.ComparePaths)
}

func (w *world) artifacts(env *sources.Env, repo string, now map[string][]byte) iter.Seq2[sources.Artifact, error] {
	return func(yield func(sources.Artifact, error) bool) {
		cursor := env.Cursor(repo)
		defer cursor.Close()
		for _, path := range slices.SortedFunc(maps.Keys(now), bundle.ComparePaths) {
			content := now[path]
			a := sources.Artifact{
				File:     bundle.File{Path: path, Size: -1, Filled: path == w.filled},
				Evidence: bundle.Evidence{Origin: "mem:///" + path, Vouched: bundle.VouchedIndex},
				Open:     w.open(path),
			}
			if w.named != nil {
				a.Entries = sources.NewEntries(w.named(path, content))
			}
			if w.sizes {
				a.File.Size = int64(len(content))
			}
			if w.digests {
				a.File.Digest = bundle.DigestOf(content)
			}
			if w.validators {
				a.Validator = bundle.DigestOf(content).Short()
				known, ok, err := cursor.Lookup(path)
				if err != nil {
					yield(a, err)
					return
				}
				if ok && known.Validator == a.Validator {
					a.File.Digest, a.File.Size = known.File.Digest, known.File.Size
				}
			}
			if !yield(a, nil) {
				return
			}
		}
	}
}

func (w *world) get(path string) []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.content[path]
}

func (w *world) open(path string) bundle.Open {
	return func(ctx context.Context, at int64, validator string) (*bundle.Content, error) {
		w.opened.Add(1)
		if w.before != nil {
			if err := w.before(path); err != nil {
				return nil, err
			}
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		content := w.get(path)
		now := bundle.DigestOf(content).Short()
		if validator != now {
			at = 0
		}
		return &bundle.Content{Body: io.NopCloser(bytes.NewReader(content[at:])), At: at, Validator: now}, nil
	}
}

func (w *world) index(ctx context.Context, done sources.Results) ([]sources.Artifact, error) {
	var paths []string
	for _, p := range w.paths() {
		f, ok, err := done.Lookup(ctx, p)
		if err != nil || !ok {
			return nil, errors.Join(err, fmt.Errorf("%s: collected %v", p, ok))
		}
		paths = append(paths, p+" "+f.Digest.Hex())
	}
	content := w.late(paths)
	return []sources.Artifact{{
		File:     bundle.File{Path: "zz-index", Size: int64(len(content)), Digest: bundle.DigestOf(content)},
		Evidence: bundle.Evidence{Vouched: bundle.VouchedMade},
		Open: func(context.Context, int64, string) (*bundle.Content, error) {
			return &bundle.Content{Body: io.NopCloser(bytes.NewReader(content))}, nil
		},
	}}, nil
}
