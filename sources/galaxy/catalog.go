package galaxy

import (
	"context"
	"fmt"
	"slices"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/galaxy/api"
	"github.com/gapbundle/gapbundle/sources/galaxy/version"
	"github.com/gapbundle/gapbundle/sources/pypi/pep440"
)

// catalog is what servers have, each thing asked for once. It is for one goroutine.
type catalog struct {
	env     *sources.Env
	core    *pep440.Version
	address string // of the server that is asked unless at states another one
	servers map[string]*api.Server
	at      map[string]string // address of the server of a collection
	local   map[string][]*api.Release
	lists   map[string][]version.Version
	details map[string]*api.Release
}

func newCatalog(env *sources.Env, e *entry) *catalog {
	return &catalog{
		env: env, core: e.core, address: e.Server, servers: map[string]*api.Server{}, at: map[string]string{},
		local: map[string][]*api.Release{}, lists: map[string][]version.Version{}, details: map[string]*api.Release{},
	}
}

// server finds the API at an address.
func (c *catalog) server(ctx context.Context, address string) (*api.Server, error) {
	if s, ok := c.servers[address]; ok {
		return s, nil
	}
	s, err := api.Discover(ctx, c.env.Fetch, address)
	if err == nil {
		c.servers[address] = s
	}
	return s, err
}

// of returns the server of a collection.
func (c *catalog) of(ctx context.Context, full string) (*api.Server, error) {
	if address, ok := c.at[full]; ok {
		return c.server(ctx, address)
	}
	return c.server(ctx, c.address)
}

// Versions lists those that run with the ansible-core of the spec. A collection that is on disk has
// that version alone.
func (c *catalog) Versions(ctx context.Context, full string) ([]version.Version, error) {
	if here, ok := c.local[full]; ok {
		var all []version.Version
		for _, r := range here {
			all = append(all, r.Version)
		}
		return all, nil
	}
	if all, ok := c.lists[full]; ok {
		return all, nil
	}
	server, err := c.of(ctx, full)
	if err != nil {
		return nil, err
	}
	listed, err := server.Versions(ctx, full)
	if err != nil {
		return nil, err
	}
	var all []version.Version
	released, runs := false, false // pre-releases are no way out
	for _, l := range listed {
		released = released || !l.Version.Prerelease()
		if c.runs(l.RequiresAnsible) {
			all, runs = append(all, l.Version), runs || !l.Version.Prerelease()
		}
	}
	if released && !runs || len(all) == 0 && len(listed) > 0 {
		newest := slices.MaxFunc(listed, func(a, b api.Listed) int { return version.Compare(a.Version, b.Version) })
		return nil, fmt.Errorf("collection %s: no version runs with ansible-core %s; %s requires %s: %w", full, c.core, newest.Version, newest.RequiresAnsible, bundle.ErrUsage)
	}
	c.lists[full] = all
	return all, nil
}

// runs reports whether a collection runs with the ansible-core of the spec. A requirement that cannot be read excludes
// nothing, as for ansible-core itself.
func (c *catalog) runs(specifiers string) bool {
	if c.core == nil {
		return true
	}
	set, err := pep440.ParseSet(specifiers)
	return err != nil || set.Contains(*c.core)
}

// Release reads one version.
func (c *catalog) Release(ctx context.Context, full string, v version.Version) (*api.Release, error) {
	for _, r := range c.local[full] {
		if r.Version.String() == v.String() {
			return r, nil
		}
	}
	key := full + " " + v.String()
	if r, ok := c.details[key]; ok {
		return r, nil
	}
	server, err := c.of(ctx, full)
	if err != nil {
		return nil, err
	}
	r, err := server.Release(ctx, full, v)
	if err == nil {
		c.details[key] = r
	}
	return r, err
}
