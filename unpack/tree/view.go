package tree

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"sync"

	"github.com/gapbundle/gapbundle/bundle"
)

// View is what a mirror publishes of one kind, for the kind's own completeness
// check. It belongs to the generation that was current when it was made.
type View struct {
	trees *Trees
	dir   string // of the generation
	repos []bundle.Repository
	by    map[string]GenerationRepository
	sets  map[string]string // by repository

	mu    sync.Mutex                                 // of what follows
	fills map[string]map[bundle.Digest]bundle.Digest // by repository: content of filled files by the digest of the path
}

// View returns the published part of a kind; of all kinds for "". Where two sets
// have a repository of one name, it is called "<set>/<name>" here.
func (t *Trees) View(kind string) (*View, error) {
	g, err := t.Current()
	if err != nil {
		return nil, err
	}
	v := &View{trees: t, dir: generationDir(g.Number), by: map[string]GenerationRepository{}, sets: map[string]string{}, fills: map[string]map[bundle.Digest]bundle.Digest{}}
	names := map[string]int{}
	for _, s := range g.Sets {
		for _, r := range s.Repositories {
			if r.Kind == kind || kind == "" {
				names[r.Name]++
			}
		}
	}
	for _, s := range g.Sets {
		for _, r := range s.Repositories {
			if r.Kind != kind && kind != "" {
				continue
			}
			if names[r.Name] > 1 {
				r.Name = s.Set + "/" + r.Name
			}
			v.repos = append(v.repos, r.Repository)
			v.by[r.Name], v.sets[r.Name] = r, s.Set
		}
	}
	return v, nil
}

// Repositories returns the repositories of the kind.
func (v *View) Repositories() []bundle.Repository { return v.repos }

// Set returns the set that a repository belongs to.
func (v *View) Set(repo string) string { return v.sets[repo] }

// Files returns the file list of a repository, sorted by path.
func (v *View) Files(repo string) iter.Seq2[bundle.File, error] {
	r, ok := v.by[repo]
	if !ok {
		return func(yield func(bundle.File, error) bool) {
			yield(bundle.File{}, fmt.Errorf("repository %q: not published: %w", repo, bundle.ErrUsage))
		}
	}
	return v.trees.Served(v.sets[repo], &r)
}

// Open opens a file as clients get it, a filled one as the bundle has it: with
// the words in place of the address, which it may still wait for. A file that is
// listed and gone matches bundle.ErrCorrupt, whatever took it away.
func (v *View) Open(_ context.Context, repo, path string) (io.ReadCloser, error) {
	r, ok := v.by[repo]
	if !ok {
		return nil, fmt.Errorf("repository %q: not published: %w", repo, bundle.ErrUsage)
	}
	if err := bundle.CheckPath(path); err != nil {
		return nil, err
	}
	if d, filled, err := v.filled(r, path); err != nil {
		return nil, err
	} else if filled {
		return v.trees.blobs.Open(d)
	}
	f, err := v.trees.root.Open(r.webRoot(v.dir) + "/" + path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s/%s: not there: %w: %w", r.Mount, path, errDamaged, err)
	}
	if err != nil {
		return nil, err
	}
	return f, nil
}

// OpenAt works like Open, for any place in the file.
func (v *View) OpenAt(ctx context.Context, repo, path string) (interface {
	io.ReaderAt
	io.Closer
}, error,
) {
	in, err := v.Open(ctx, repo, path)
	if err != nil {
		return nil, err
	}
	return in.(*os.File), nil // Open opens nothing else
}

// filled looks up a filled file of r. The memory for it is bounded by
// bundle.MaxFilled.
func (v *View) filled(r GenerationRepository, path string) (d bundle.Digest, ok bool, err error) {
	if r.Filled == 0 {
		return d, false, nil
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	known, read := v.fills[r.Name]
	if !read {
		known = make(map[bundle.Digest]bundle.Digest, min(r.Filled, bundle.MaxFilled))
		for f, err := range v.trees.Served(v.sets[r.Name], &r) {
			if err != nil {
				return d, false, err
			}
			if f.Filled {
				known[bundle.DigestOf([]byte(f.Path))] = f.Digest
			}
		}
		v.fills[r.Name] = known
	}
	d, ok = known[bundle.DigestOf([]byte(path))]
	return d, ok, nil
}

// webRoot returns the folder that paths of the repository's lists begin in.
func (r *GenerationRepository) webRoot(generation string) string {
	if r.Tree != 0 {
		return treeDir(r.Tree)
	}
	return generation + "/" + r.Mount
}
