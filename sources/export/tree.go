package export

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/collect"
)

// tree is what was collected of one kind, as sources.Tree, together with what
// is held back from the base.
type tree struct {
	base      *base
	scratch   *os.Root
	tool      string
	plan      []collect.Planned
	collected []collect.Collected
	held      []bundle.Repository

	mu        sync.Mutex // of what follows
	files     seeker[bundle.File]
	artifacts seeker[sources.Artifact]
}

// close ends the use of the tree.
func (t *tree) close() {
	t.files.close()
	t.artifacts.close()
}

// tree returns what was collected of the repositories that of accepts, and what of them is held back.
func (p *plan) tree(collected []collect.Collected, of func(bundle.Repository) bool) *tree {
	t := &tree{base: p.base, scratch: p.env.Scratch, tool: p.o.Tool, plan: p.resolved.Repositories}
	for _, c := range collected {
		if of(c.Repository) {
			t.collected = append(t.collected, c)
		}
	}
	for _, r := range p.held {
		if of(r) {
			t.held = append(t.held, r)
		}
	}
	return t
}

// ofKind accepts the repositories of a kind.
func ofKind(name string) func(bundle.Repository) bool {
	return func(r bundle.Repository) bool { return r.Kind == name }
}

// Repositories returns the repositories of the kind, sorted by name as in the root: what is made of
// them is the same whichever of them are held.
func (t *tree) Repositories() []bundle.Repository {
	out := make([]bundle.Repository, 0, len(t.collected)+len(t.held))
	for _, c := range t.collected {
		out = append(out, c.Repository)
	}
	out = append(out, t.held...)
	slices.SortFunc(out, func(a, b bundle.Repository) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// Files streams the list of a repository.
func (t *tree) Files(repo string) iter.Seq2[bundle.File, error] {
	return func(yield func(bundle.File, error) bool) {
		list, err := t.list(repo)
		if err != nil {
			yield(bundle.File{}, err)
			return
		}
		defer func() { _ = list.Close() }() // read-only
		for f, err := range bundle.ReadList[bundle.File](list, "source "+repo) {
			if !yield(f, err) {
				return
			}
		}
	}
}

func (t *tree) list(repo string) (io.ReadCloser, error) {
	for _, c := range t.collected {
		if c.Repository.Name == repo {
			return t.scratch.Open(c.FilesName)
		}
	}
	for _, r := range t.held {
		if r.Name == repo {
			return t.base.openList(digestOf(r.Files.Digest.String()))
		}
	}
	return nil, fmt.Errorf("source %s: not in this set: %w", repo, bundle.ErrUsage)
}

// Open opens a file of a repository again, from the place in the plan. At its
// end the content is compared with what was collected. Content of a source that
// is held back is not on this side.
func (t *tree) Open(ctx context.Context, repo, path string) (io.ReadCloser, error) {
	if slices.ContainsFunc(t.held, func(r bundle.Repository) bool { return r.Name == repo }) {
		return nil, fmt.Errorf("source %s, %s: held back: %w", repo, path, sources.ErrNotAtHand)
	}
	want, a, found, err := t.find(repo, path)
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, fmt.Errorf("source %s, %s: not listed: %w", repo, path, bundle.ErrIncomplete)
	}
	if a.Checked && t.base != nil && t.base.manifest.Tool == t.tool {
		return nil, fmt.Errorf("source %s, %s: %w", repo, path, sources.ErrNotAtHand)
	}
	content, err := a.Open(ctx, 0, "")
	if err != nil {
		return nil, fmt.Errorf("source %s, %s: %w", repo, path, err)
	}
	return &checked{body: content.Body, want: want, hash: bundle.NewHash()}, nil
}

// find looks up what was collected under a path, and where it comes from.
func (t *tree) find(repo, path string) (f bundle.File, a sources.Artifact, listed bool, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if f, listed, err = t.files.find(repo, path, t.Files, func(f bundle.File) string { return f.Path }); err != nil {
		return f, a, false, err
	}
	for _, c := range t.collected {
		if c.Repository.Name != repo {
			continue
		}
		for _, a := range c.Made {
			if a.File.Path == path {
				return f, a, listed, nil
			}
		}
	}
	a, ok, err := t.artifacts.find(repo, path, t.planned, func(a sources.Artifact) string { return a.File.Path })
	if err == nil && !ok {
		err = fmt.Errorf("source %s, %s: not at hand on this side: %w", repo, path, bundle.ErrIncomplete)
	}
	return f, a, listed, err
}

// planned returns the artifacts of a repository, in order of paths.
func (t *tree) planned(repo string) iter.Seq2[sources.Artifact, error] {
	for _, p := range t.plan {
		if p.Name == repo {
			return p.Artifacts()
		}
	}
	return func(func(sources.Artifact, error) bool) {}
}

// checked reads content and compares it with its digest at the end.
type checked struct {
	body io.ReadCloser
	want bundle.File
	hash interface {
		io.Writer
		Sum([]byte) []byte
	}
}

func (c *checked) Read(b []byte) (int, error) {
	n, err := c.body.Read(b)
	_, _ = c.hash.Write(b[:n])
	if err == io.EOF && !bytes.Equal(c.hash.Sum(nil), c.want.Digest[:]) {
		return n, fmt.Errorf("%s: differs from what was collected: %w", c.want.Path, bundle.ErrCorrupt)
	}
	return n, err
}

func (c *checked) Close() error { return c.body.Close() }

// check runs every kind's completeness check over what was collected and puts
// its counts into the repositories of the kind: a check looks at all
// repositories of its kind together.
func (p *plan) check(ctx context.Context, collected []collect.Collected) error {
	var errs []error
	for _, k := range p.o.Kinds {
		t := p.tree(collected, ofKind(k.Name))
		// A source that is held back was checked when it was made. Its lists are looked at
		// where files of others may lie among them.
		t.held = slices.DeleteFunc(t.held, func(r bundle.Repository) bool { return !bundle.IsSharedMount(r.Mount) })
		if k.Check == nil || len(t.collected) == 0 {
			continue
		}
		defer t.close()
		counts, known := p.base.checked(p.o.Tool, t.Repositories())
		if !known {
			var err error
			if counts, err = k.Check(ctx, t); err != nil {
				errs = append(errs, &bundle.AboutError{Thing: bundle.AboutCollected, Name: k.Name, Err: fmt.Errorf("kind %s: completeness: %w", k.Name, err)})
				continue
			}
		}
		for i := range collected {
			if collected[i].Repository.Kind == k.Name {
				collected[i].Repository.Checks = counts
			}
		}
	}
	return errors.Join(errs...)
}

// checked returns the counts of the base if all repositories of a kind have
// the very lists that it has: they were checked when it was made, and another
// look would ask upstream for indexes that did not change.
func (b *base) checked(tool string, repos []bundle.Repository) ([]bundle.CheckCount, bool) {
	if b == nil || b.manifest.Tool != tool {
		return nil, false // another version may look closer
	}
	var counts []bundle.CheckCount
	same := 0
	for _, old := range b.manifest.Repositories {
		if old.Kind != repos[0].Kind {
			continue
		}
		if same == len(repos) {
			return nil, false
		}
		r := repos[same]
		if old.Name != r.Name || old.Mount != r.Mount || old.Mode != r.Mode || old.Files.Digest != r.Files.Digest || !maps.Equal(old.Annotations, r.Annotations) {
			return nil, false
		}
		counts = old.Checks
		same++
	}
	return counts, same == len(repos) && len(counts) > 0
}
