package oci

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/registry"
	"github.com/gapbundle/gapbundle/internal/strictyaml"
	"github.com/gapbundle/gapbundle/sources"
)

// reading is what one plan of all sources of the kind reads with, and has read.
type reading struct {
	env    *sources.Env
	client *registry.Client
	// base is what the last export recorded, by path below the mount, and named what
	// it recorded of manifests that have a name.
	base  map[string]sources.Recorded
	named map[bundle.Digest]said
	// keys are those of each source that verifies.
	keys map[*entry][]cosignKey

	mu sync.Mutex
	// kept are the manifests and configs in scratch, with their sizes: they were read
	// to plan, and are not read again.
	kept map[bundle.Digest]int64
}

// Plan asks what each tag is, reads the manifests that the base does not have,
// and names every blob they lead to.
func (s *source) Plan(ctx context.Context, env *sources.Env) (*sources.Plan, error) {
	entries, scratch, err := withStored(env, s.entries)
	if err != nil {
		return nil, err
	}
	r, err := begin(env, entries)
	if err != nil {
		return nil, err
	}
	requests, err := requestsOf(r.client, entries)
	if err != nil {
		return nil, err
	}
	images := make([]layout, len(requests))
	err = sources.Each(ctx, len(requests), func(ctx context.Context, i int) error {
		found, err := gather(ctx, r, requests[i])
		images[i] = layout{r, requests[i], found}
		return err
	})
	if err != nil {
		return nil, err
	}
	plan, err := lay(r, entries, images)
	if err != nil {
		return nil, err
	}
	plan.Scratch += scratch
	return plan, nil
}

// begin reads the base and the keys, and makes the client.
func begin(env *sources.Env, entries []*entry) (*reading, error) {
	r := &reading{env: env, base: map[string]sources.Recorded{}, named: map[bundle.Digest]said{}, keys: map[*entry][]cosignKey{}, kept: map[bundle.Digest]int64{}}
	var errs []error
	o := registry.Options{Mirrors: map[string][]string{}, Log: env.Log}
	for _, e := range entries {
		for host, mirrors := range e.options.Mirrors {
			o.Mirrors[host] = mirrors // checkRegistries: the same in all sources
		}
		o.PlainHTTP = append(o.PlainHTTP, e.options.PlainHTTP...)
		keys, err := e.loadKeys()
		r.keys[e], errs = keys, append(errs, err)
		if env.Base == nil {
			continue
		}
		for f, err := range env.Base.Files(e.name) {
			if err != nil {
				return nil, fmt.Errorf("base of %s: %w", e.name, err)
			}
			r.base[f.File.Path] = f
		}
		errs = append(errs, r.recallNames(e))
	}
	if err := strictyaml.Join(errs...); err != nil {
		return nil, err
	}
	var err error
	r.client, err = registry.New(env.Fetch, o)
	return r, err
}

// keep puts a manifest or a config into scratch.
func (r *reading) keep(d bundle.Digest, content []byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.kept[d]; ok {
		return nil
	}
	r.kept[d] = int64(len(content))
	return r.env.Scratch.WriteFile(scratchName(d), content, 0o600)
}

// readAgain opens what keep has put into scratch; nil: nothing under that digest.
func (r *reading) readAgain(d bundle.Digest) (*bundle.Content, error) {
	f, err := r.env.Scratch.Open(scratchName(d))
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, err
	}
	return &bundle.Content{Body: f}, nil
}

func scratchName(d bundle.Digest) string { return Name + "-" + d.Hex() }
