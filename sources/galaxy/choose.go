package galaxy

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/galaxy/api"
	"github.com/gapbundle/gapbundle/sources/galaxy/requirements"
	"github.com/gapbundle/gapbundle/sources/galaxy/resolve"
	"github.com/gapbundle/gapbundle/sources/galaxy/version"
)

// pick is a version of a collection that is carried.
type pick struct {
	resolve.Choice
	secure     bool     // it was read by https alone
	signatures []string // the server's, and those that a requirement names
}

// chosen is what a source carries.
type chosen struct {
	collections  map[string]*pick           // by name and version
	roles        map[string]*rolePick       // by name and version
	repositories map[string]map[string]bool // refs by address
	addresses    map[string]bool            // for kind files
	archives     map[string]onDisk          // roles by path
	here         map[string]*api.Release    // collections on disk by path
	names        map[string]string          // and their names
	scratch      int64                      // bytes
	files        []file                     // requirements files
	entry        *entry
	catalog      *catalog                       //
	wanted       []wanted                       // roles, not yet looked up
	signed       map[string]map[string]struct{} // addresses of signatures, by collection
}

// choose decides which versions are carried: of what is required, and of what that depends on.
func (e *entry) choose(ctx context.Context, env *sources.Env, files []file) (*chosen, error) {
	c := &chosen{
		collections: map[string]*pick{}, roles: map[string]*rolePick{}, repositories: map[string]map[string]bool{}, addresses: map[string]bool{},
		archives: map[string]onDisk{}, here: map[string]*api.Release{}, names: map[string]string{}, files: files, entry: e, catalog: newCatalog(env, e), signed: map[string]map[string]struct{}{},
	}
	var errs []error
	for _, f := range files {
		errs = append(errs, c.together(ctx, f))
		for _, r := range f.Roles {
			c.wanted = append(c.wanted, wanted{r, f.name, f.dir})
		}
	}
	for _, r := range e.collections {
		errs = append(errs, c.apart(ctx, r, e.Newest))
	}
	for _, r := range e.roles {
		c.wanted = append(c.wanted, wanted{r, "the spec", e.spec.Dir})
	}
	errs = append(errs, c.chooseRoles(ctx, env, e))
	return c, errors.Join(errs...)
}

// together chooses the collections of a requirements file, which go with each other.
func (c *chosen) together(ctx context.Context, f file) error {
	var wants []resolve.Want
	for _, r := range f.Collections {
		switch r.Type {
		case requirements.Galaxy:
			if err := c.route(r); err != nil {
				return fmt.Errorf("requirements %s: %w", f.name, err)
			}
			wants = append(wants, resolve.Want{Name: r.Name, Range: r.Range, By: f.name})
		case requirements.Git:
			c.repository(r.Origin, r.Ref)
		default:
			some, err := c.archive(ctx, f, r)
			if err != nil {
				return fmt.Errorf("requirements %s: %s: %w", f.name, r.Origin, err)
			}
			wants = append(wants, some...)
		}
	}
	choices, err := resolve.Solve(ctx, c.catalog, wants)
	if err != nil {
		return fmt.Errorf("requirements %s: %w", f.name, err)
	}
	return c.carry(ctx, choices)
}

// route notes which server a requirement names, and its signatures. A name of a server is an entry of
// ansible.cfg and means the server of the spec here.
func (c *chosen) route(r requirements.Collection) error {
	if len(r.Signatures) > 0 && c.signed[r.Name] == nil {
		c.signed[r.Name] = map[string]struct{}{}
	}
	for _, s := range r.Signatures {
		c.signed[r.Name][s] = struct{}{}
	}
	if !strings.Contains(r.Server, "://") {
		return nil
	}
	if err := fetch.CheckURL(r.Server); err != nil {
		return fmt.Errorf("%s: source: %w", r.Name, asUsage(err))
	}
	if before, ok := c.catalog.at[r.Name]; ok && before != r.Server {
		return fmt.Errorf("%s: from %s and from %s: a mirror has one of them; make two sources of it: %w",
			r.Name, fetch.Redact(before), fetch.Redact(r.Server), bundle.ErrUsage)
	}
	c.catalog.at[r.Name] = r.Server
	return nil
}

// apart chooses the newest versions of one collection, or of each of a namespace, each with what it
// depends on by itself.
func (c *chosen) apart(ctx context.Context, r requirements.Collection, newest int) error {
	names := []string{r.Name}
	if namespace, all := strings.CutSuffix(r.Name, allNames); all {
		server, err := c.catalog.server(ctx, c.catalog.address)
		if err != nil {
			return err
		}
		if names, err = server.Names(ctx, namespace); err != nil {
			return err
		}
		if len(names) == 0 {
			return fmt.Errorf("collections %s: the server has none of that namespace: %w", r.Name, bundle.ErrUsage)
		}
	}
	for _, name := range names {
		if err := c.newest(ctx, name, r.Range, newest); err != nil {
			return err
		}
	}
	return nil
}

// newest chooses that many versions of a collection. Each of them has to be installable with
// some choice of its dependencies.
func (c *chosen) newest(ctx context.Context, name string, within version.Range, newest int) error {
	all, err := c.catalog.Versions(ctx, name)
	if err != nil {
		return err
	}
	some := version.Select(all, within)
	first, found := error(nil), 0
	for _, v := range some {
		exact, err := version.ParseRange("==" + v.String())
		if err != nil {
			return err
		}
		choices, err := resolve.Solve(ctx, c.catalog, []resolve.Want{{Name: name, Range: exact, By: "the spec"}})
		switch {
		case err == nil:
			if err := c.carry(ctx, choices); err != nil {
				return err
			}
			if found++; found == newest {
				return nil
			}
		case !errors.Is(err, bundle.ErrUsage):
			return err
		case first == nil:
			first = err
		}
	}
	if found > 0 {
		return nil
	}
	if first == nil { // states what there is
		_, first = resolve.Solve(ctx, c.catalog, []resolve.Want{{Name: name, Range: within, By: "the spec"}})
	}
	return first
}

// carry adds versions that go together.
func (c *chosen) carry(ctx context.Context, choices []resolve.Choice) error {
	for _, choice := range choices {
		key := choice.Name + " " + choice.Release.Version.String()
		if _, ok := c.collections[key]; ok {
			continue
		}
		p := &pick{Choice: choice, signatures: choice.Release.Signatures}
		if _, local := c.catalog.local[choice.Name]; !local {
			server, err := c.catalog.of(ctx, choice.Name)
			if err != nil {
				return err
			}
			if err := c.entry.mayFetch(server, choice.Release.URL); err != nil {
				return fmt.Errorf("collection %s: %w", key, err)
			}
			p.secure = server.Secure()
		}
		c.collections[key] = p
	}
	return nil
}

// repository notes a git repository for kind git.
func (c *chosen) repository(address, ref string) {
	if c.repositories[address] == nil {
		c.repositories[address] = map[string]bool{}
	}
	c.repositories[address][ref] = true
}

// mayFetch reports whether an archive may come from an address that a server names: its own host, one
// that the spec allows, or GitHub, where ansible-galaxy looks for roles by itself.
func (e *entry) mayFetch(server *api.Server, address string) error {
	u, err := url.Parse(address)
	if err != nil {
		return fmt.Errorf("%s: not an address: %w", fetch.Redact(address), fetch.ErrUpstream)
	}
	own, err := url.Parse(server.Root())
	if err != nil {
		return err
	}
	if u.Host == own.Host && u.Scheme == own.Scheme || u.Scheme == "https" && u.Host == "github.com" || slices.Contains(e.AllowHosts, u.Host) {
		return nil
	}
	return fmt.Errorf("%s: named by %s, and neither on that server nor on a host that allow-hosts names: %w",
		fetch.Redact(address), fetch.Redact(server.Root()), fetch.ErrRefused)
}
