package galaxy

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/galaxy/api"
	"github.com/gapbundle/gapbundle/sources/galaxy/requirements"
	"github.com/gapbundle/gapbundle/sources/galaxy/resolve"
	"github.com/gapbundle/gapbundle/sources/galaxy/tarball"
	"github.com/gapbundle/gapbundle/sources/galaxy/version"
	"github.com/gapbundle/gapbundle/sources/upstream"
)

// archive reads a collection that a requirements file names by address or by a file on disk, and returns
// what has to be resolved for it. One by address is carried by the kind files, so these are its
// dependencies. One on disk is published like any other, so it is the collection itself.
func (c *chosen) archive(ctx context.Context, f file, r requirements.Collection) ([]resolve.Want, error) {
	if r.Type == requirements.URL {
		if err := fetch.CheckURL(r.Origin); err != nil {
			return nil, asUsage(err)
		}
		body, err := c.catalog.env.Fetch.Open(ctx, r.Origin, 0, "")
		if err != nil {
			return nil, err
		}
		defer body.Close()
		found, err := tarball.Read(body)
		if err != nil {
			return nil, upstream.Blame(fetch.Redact(r.Origin), err)
		}
		c.addresses[r.Origin] = true
		release, err := releaseOf(found)
		if err != nil {
			return nil, upstream.Blame(fetch.Redact(r.Origin), err)
		}
		var wants []resolve.Want
		for name, within := range release.Dependencies {
			wants = append(wants, resolve.Want{Name: name, Range: within, By: fetch.Redact(r.Origin) + ", which is requested by " + f.name})
		}
		slices.SortFunc(wants, func(a, b resolve.Want) int { return strings.Compare(a.Name, b.Name) })
		return wants, nil
	}
	path := sources.Within(f.dir, r.Origin)
	var found *tarball.Collection
	digest, size, err := readArchive(path, func(in io.Reader) (err error) {
		found, err = tarball.Read(in)
		return err
	})
	if err != nil {
		return nil, err
	}
	release, err := releaseOf(found)
	if err != nil {
		return nil, asUsage(err)
	}
	release.Digest, release.Size, release.Page = digest, size, path
	c.here[path], c.names[path] = release, found.FullName()
	c.catalog.local[found.FullName()] = append(c.catalog.local[found.FullName()], release)
	exact, err := version.ParseRange("==" + release.Version.String())
	return []resolve.Want{{Name: found.FullName(), Range: exact, By: f.name}}, err
}

// releaseOf returns an archive's own metadata in the form of a server's answer. Errors match bundle.ErrMalformed.
func releaseOf(found *tarball.Collection) (*api.Release, error) {
	if err := api.CheckName(found.FullName()); err != nil {
		return nil, err
	}
	v, err := version.Parse(found.Version)
	if err != nil {
		return nil, err
	}
	r := &api.Release{Version: v, Dependencies: map[string]version.Range{}}
	for name, text := range found.Dependencies {
		if err := api.CheckName(name); err != nil {
			return nil, err
		}
		if r.Dependencies[name], err = version.ParseRange(text); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// readArchive reads an archive on disk. Errors about its content match bundle.ErrUsage: somebody here
// named it.
func readArchive(path string, read func(io.Reader) error) (bundle.Digest, int64, error) {
	in, err := os.Open(path)
	if err != nil {
		return bundle.Digest{}, 0, asUsage(err)
	}
	defer in.Close()
	if info, err := in.Stat(); err == nil && info.IsDir() {
		return bundle.Digest{}, 0, fmt.Errorf("%s: a folder; make an archive of it (ansible-galaxy collection build) and name that: %w", path, bundle.ErrUsage)
	}
	sum, counted := bundle.NewHash(), &counter{}
	tee := io.TeeReader(in, io.MultiWriter(sum, counted))
	if err := read(tee); err != nil {
		return bundle.Digest{}, 0, asUsage(err)
	}
	if _, err := io.Copy(io.Discard, tee); err != nil {
		return bundle.Digest{}, 0, err
	}
	return bundle.SumOf(sum), counted.n, nil
}

// roleAddress asks for what a role needs that kind files carries.
func (c *chosen) roleAddress(ctx context.Context, env *sources.Env, e *entry, w wanted) error {
	if err := fetch.CheckURL(w.Origin); err != nil {
		return asUsage(err)
	}
	body, err := env.Fetch.Open(ctx, w.Origin, 0, "")
	if err != nil {
		return err
	}
	defer body.Close()
	role, err := tarball.ReadRole(io.LimitReader(body, maxArchive))
	if err != nil {
		return upstream.Blame(fetch.Redact(w.Origin), err)
	}
	c.addresses[w.Origin] = true
	needs, err := requirements.Dependencies(role.Main, role.More)
	if err != nil {
		return upstream.Blame(fetch.Redact(w.Origin), err)
	}
	server, err := c.catalog.server(ctx, c.catalog.address)
	if err != nil {
		return err
	}
	return c.need(e, server, needs, fetch.Redact(w.Origin)+", which is requested by "+w.by)
}

// roleArchive carries a role that is on disk.
func (c *chosen) roleArchive(w wanted) error {
	path := sources.Within(w.dir, w.Origin)
	var role *tarball.Role
	digest, size, err := readArchive(path, func(in io.Reader) (err error) {
		role, err = tarball.ReadRole(in)
		return err
	})
	if err != nil {
		return err
	}
	for other := range c.archives {
		if other != path && filepath.Base(other) == filepath.Base(path) {
			return fmt.Errorf("%s and %s: archives of roles need names of their own: %w", other, path, bundle.ErrUsage)
		}
	}
	c.archives[path] = onDisk{digest, size}
	needs, err := requirements.Dependencies(role.Main, role.More)
	if err != nil {
		return asUsage(err)
	}
	for _, n := range needs {
		c.wanted = append(c.wanted, wanted{n, w.Origin + ", which is requested by " + w.by, filepath.Dir(path)})
	}
	return nil
}

// onDisk is an archive of a role that is here already.
type onDisk struct {
	digest bundle.Digest
	size   int64
}

// need requests the dependencies of a role that came over the network. The role may name roles, and
// addresses where archives of the server may be, but nothing on this machine or in its network.
func (c *chosen) need(e *entry, server *api.Server, needs []requirements.Role, by string) error {
	for _, n := range needs {
		switch n.Type {
		case requirements.Local:
			return fmt.Errorf("%s asks for %.140q: an archive on disk: %w", by, n.Origin, fetch.ErrRefused)
		case requirements.Git, requirements.URL:
			if err := e.mayFetch(server, n.Origin); err != nil {
				return fmt.Errorf("%s asks for it: %w", by, err)
			}
		}
		c.wanted = append(c.wanted, wanted{n, by, ""})
	}
	return nil
}
