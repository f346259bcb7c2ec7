package plantest

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
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/collect"
)

// Tree is what a plan becomes when it is collected, in memory: what a kind's check and
// a test read.
type Tree struct {
	Repos []bundle.Repository
	// Lists are the files of each repository by their paths, Contents their bytes.
	Lists    map[string]map[string]bundle.File
	Contents map[string]map[string][]byte
}

// CollectAll opens every artifact of a plan. A size or a digest that was planned and does
// not match what comes fails the test.
func CollectAll(t testing.TB, r *collect.Resolved) *Tree {
	t.Helper()
	tree, err := Collect(t, r)
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

// Collect opens every artifact of a plan up to the first that fails. Content that is not
// what was planned is upstream's fault, as a collection takes it.
func Collect(t testing.TB, r *collect.Resolved) (*Tree, error) {
	t.Helper()
	tree := &Tree{Lists: map[string]map[string]bundle.File{}, Contents: map[string]map[string][]byte{}}
	for _, repo := range r.Repositories {
		tree.Repos = append(tree.Repos, bundle.Repository{Name: repo.Name, Kind: repo.Kind, Mode: repo.Mode, Mount: repo.Mount, Annotations: repo.Annotations})
		list := map[string]bundle.File{}
		tree.Lists[repo.Name], tree.Contents[repo.Name] = list, map[string][]byte{}
		for a, err := range repo.Artifacts() {
			if err == nil {
				err = tree.take(t, repo.Name, a)
			}
			if err != nil {
				return nil, err
			}
		}
		if repo.Late == nil {
			continue
		}
		late, err := repo.Late(t.Context(), results(list))
		if err != nil {
			return nil, err
		}
		for _, a := range late {
			if err := tree.take(t, repo.Name, a); err != nil {
				return nil, err
			}
		}
	}
	return tree, nil
}

// take reads an artifact of a repository.
func (t *Tree) take(tb testing.TB, repo string, a sources.Artifact) error {
	content, err := ReadArtifact(tb, a)
	size, digest := int64(len(content)), bundle.DigestOf(content)
	if err == nil && (a.File.Size >= 0 && a.File.Size != size || !a.File.Digest.IsZero() && a.File.Digest != digest) {
		err = fmt.Errorf("%s: %d bytes %s, planned as %d bytes %s: %w", a.File.Path, size, digest, a.File.Size, a.File.Digest, fetch.ErrUpstream)
	}
	if errors.Is(err, bundle.ErrCorrupt) {
		err = fmt.Errorf("%s: %w", err.Error(), fetch.ErrUpstream)
	}
	if err != nil {
		return err
	}
	a.File.Size, a.File.Digest = size, digest
	t.Lists[repo][a.File.Path], t.Contents[repo][a.File.Path] = a.File, content
	return nil
}

// results are what was collected of a repository so far.
type results map[string]bundle.File

// Lookup implements sources.Results.
func (r results) Lookup(_ context.Context, path string) (bundle.File, bool, error) {
	f, ok := r[path]
	return f, ok, nil
}

// Count reads the lists of a plan to their ends, and returns how many artifacts they have.
func Count(t testing.TB, r *collect.Resolved) (n int) {
	t.Helper()
	for _, repo := range r.Repositories {
		for _, err := range repo.Artifacts() {
			if err != nil {
				t.Fatal(err)
			}
			n++
		}
	}
	return n
}

// ReadArtifact returns the content of an artifact.
func ReadArtifact(t testing.TB, a sources.Artifact) ([]byte, error) {
	t.Helper()
	c, err := a.Open(t.Context(), 0, "")
	if err != nil {
		return nil, err
	}
	content, err := io.ReadAll(c.Body)
	return content, errors.Join(err, c.Body.Close())
}

// Repositories returns the repositories of the plan.
func (t *Tree) Repositories() []bundle.Repository { return t.Repos }

// Files streams the files of a repository in the order of their paths.
func (t *Tree) Files(repo string) iter.Seq2[bundle.File, error] {
	return func(yield func(bundle.File, error) bool) {
		for _, path := range slices.SortedFunc(maps.Keys(t.Lists[repo]), bundle.ComparePaths) {
			if !yield(t.Lists[repo][path], nil) {
				return
			}
		}
	}
}

// Open returns the content of a file; os.ErrNotExist: there is none.
func (t *Tree) Open(_ context.Context, repo, path string) (io.ReadCloser, error) {
	if content, ok := t.Contents[repo][path]; ok {
		return io.NopCloser(bytes.NewReader(content)), nil
	}
	return nil, os.ErrNotExist
}
