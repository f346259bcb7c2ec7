package sourcetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"iter"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/sources"
)

const (
	notebooksName = "notebooks"
	// NotebookFile is the document that a source of the kind Notebooks keeps.
	NotebookFile = "manifest.json"
)

// Notebooks returns a fake kind that keeps a document, the manifest. It does not fetch the
// manifest again if upstream states that it is unchanged. seen, if not nil, is called by
// each plan with the document of the state that the plan builds on; nil: there is none.
func Notebooks(seen func(source string, document []byte)) sources.Kind {
	return sources.Kind{
		Name: notebooksName, Doc: "a fake kind with a document",
		Options: func() any { return new(manifestOptions) },
		New: func(specs []sources.Spec) (sources.Source, error) {
			m, err := newManifests(specs)
			if err != nil {
				return nil, err
			}
			return notebooks{m.(manifests), seen}, nil
		},
		Clients: clientsOf(notebooksName),
	}
}

type notebooks struct {
	manifests
	seen func(source string, document []byte)
}

func (n notebooks) Plan(ctx context.Context, env *sources.Env) (*sources.Plan, error) {
	var p sources.Plan
	for i, s := range n.specs {
		if n.seen != nil {
			document, err := env.Document(s.Name, NotebookFile)
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return nil, err
			}
			n.seen(s.Name, document)
		}
		repo, err := notebook(ctx, env, s, n.urls[i])
		if err != nil {
			return nil, fmt.Errorf("%s: source %s: %w", s.At, s.Name, err)
		}
		p.Repositories = append(p.Repositories, repo)
	}
	return &p, nil
}

func notebook(ctx context.Context, env *sources.Env, s sources.Spec, url string) (repo sources.Repository, err error) {
	content, validator, err := notebookContent(ctx, env, s, url)
	if err != nil {
		return repo, err
	}
	var m Manifest
	if err := json.Unmarshal(content, &m); err != nil {
		return repo, fmt.Errorf("%s: not a manifest: %w: %w", url, fetch.ErrUpstream, err)
	}
	public, err := bundle.ParsePublic(base(url), "files")
	return sources.Repository{
		Name: s.Name, Mount: notebooksName + "/" + s.Name, Public: []sources.Public{public},
		Artifacts: func() iter.Seq2[sources.Artifact, error] {
			return func(yield func(sources.Artifact, error) bool) {
				for a, err := range manifestFiles(env, url, &m) {
					if !yield(a, err) {
						return
					}
				}
				yield(sources.Artifact{
					File:      bundle.File{Path: NotebookFile, Size: int64(len(content)), Digest: bundle.DigestOf(content)},
					Evidence:  bundle.Evidence{Vouched: bundle.VouchedNone, Reason: "the manifest"},
					Validator: validator, Keep: true, Open: sources.InMemory(content, validator),
				}, nil)
			}
		},
	}, err
}

// notebookContent returns the manifest, kept or fetched.
func notebookContent(ctx context.Context, env *sources.Env, s sources.Spec, url string) ([]byte, string, error) {
	meta, err := env.Fetch.Stat(ctx, url)
	if err != nil {
		return nil, "", err
	}
	cursor := env.Cursor(s.Name)
	defer cursor.Close()
	before, ok, err := cursor.Lookup(NotebookFile)
	if err != nil {
		return nil, "", err
	}
	if ok && before.Validator == meta.Validator() && before.Validator != "" {
		content, err := env.Content(before.File.Digest)
		if err == nil || !errors.Is(err, fs.ErrNotExist) {
			return content, before.Validator, err
		}
	}
	content, _, err := env.Fetch.ReadAll(ctx, url, 16<<20)
	return content, meta.Validator(), err
}
