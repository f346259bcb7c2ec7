package export

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/collect"
)

// Names and mounts of the repositories that gapbundle adds.
const (
	clientsName  = "_clients"
	clientsMount = "_gapbundle/clients"
	keysName     = "_keys"
	keysMount    = "keys"
	ownKind      = "gapbundle"
)

// site makes the repositories of gapbundle's own: client configuration of
// every kind, and the keys that clients are configured to trust.
func (j *job) site(ctx context.Context, done []collect.Collected) ([]collect.Planned, error) {
	var clients []sources.Artifact
	var errs []error
	for _, k := range j.plan.o.Kinds {
		t := j.plan.tree(done, ofKind(k.Name))
		if k.Clients == nil || len(t.Repositories()) == 0 {
			continue
		}
		defer t.close()
		files, err := k.Clients(ctx, t.Repositories(), t)
		if err != nil {
			errs = append(errs, fmt.Errorf("kind %s: client files: %w", k.Name, err))
		}
		for _, f := range files {
			clients = append(clients, made(k.Name+"/"+f.Path, f.Content))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	published, err := j.plan.published().files()
	if err != nil {
		return nil, err
	}
	var out []collect.Planned
	j.made = map[bundle.Digest]sources.Artifact{}
	for _, own := range []struct {
		name, mount string
		files       []sources.Artifact
	}{{clientsName, clientsMount, clients}, {keysName, keysMount, published}} {
		for _, a := range own.files {
			j.made[a.File.Digest] = a
		}
		if len(own.files) > 0 {
			slices.SortFunc(own.files, func(a, b sources.Artifact) int { return bundle.ComparePaths(a.File.Path, b.File.Path) })
			out = append(out, madeRepository(own.name, own.mount, own.files))
		}
	}
	return out, nil
}

func made(path string, content []byte) sources.Artifact {
	return sources.Artifact{
		File:     bundle.File{Path: path, Size: int64(len(content)), Digest: bundle.DigestOf(content)},
		Evidence: bundle.Evidence{Path: path, Vouched: bundle.VouchedMade},
		Open:     sources.InMemory(content, ""),
	}
}

func madeRepository(name, mount string, files []sources.Artifact) collect.Planned {
	return collect.Planned{Kind: ownKind, Repository: sources.Repository{
		Name: name, Mount: mount,
		Artifacts: func() iter.Seq2[sources.Artifact, error] {
			return func(yield func(sources.Artifact, error) bool) {
				for _, a := range files {
					if !yield(a, nil) {
						return
					}
				}
			}
		},
	}}
}
