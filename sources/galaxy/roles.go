package galaxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/galaxy/api"
	"github.com/gapbundle/gapbundle/sources/galaxy/requirements"
	"github.com/gapbundle/gapbundle/sources/galaxy/tarball"
	"github.com/gapbundle/gapbundle/sources/galaxy/version"
	"github.com/gapbundle/gapbundle/sources/upstream"
)

const (
	// maxRoles bounds how many roles, and other things, roles ask for.
	maxRoles = 5000
	// maxArchive bounds the archive of a role, whose size nobody states.
	maxArchive = 256 << 20 // bytes
	// maxNamed bounds how many versions an error lists.
	maxNamed = 20
)

// rolePick is a version of a role that is carried.
type rolePick struct {
	role   *api.Role
	tag    string
	url    string
	by     string
	secure bool
	local  string // in scratch
	digest bundle.Digest
	size   int64
	pinned bool
	needs  []requirements.Role
}

// full returns "owner.name".
func (p *rolePick) full() string { return p.role.Owner + "." + p.role.Name }

// chooseRoles looks up the roles that are wanted, and those that they need, and so on. An archive states
// what its role needs, so it is fetched here.
func (c *chosen) chooseRoles(ctx context.Context, env *sources.Env, e *entry) error {
	known, seen := map[string]*api.Role{}, map[wanted]bool{}
	var errs []error
	for len(c.wanted) > 0 {
		w := c.wanted[0]
		c.wanted = c.wanted[1:]
		same := wanted{w.Role, "", w.dir} // whoever asks
		if seen[same] {
			continue
		}
		if seen[same] = true; len(seen) > maxRoles {
			return fmt.Errorf("role %s: more than %d roles need each other: %w", w.Name, maxRoles, bundle.ErrUsage)
		}
		if err := c.role(ctx, env, e, w, known); err != nil {
			errs = append(errs, fmt.Errorf("role %s, which is requested by %s: %w", w.Name+fetch.Redact(w.Origin), w.by, err))
		}
	}
	return errors.Join(errs...)
}

func (c *chosen) role(ctx context.Context, env *sources.Env, e *entry, w wanted, known map[string]*api.Role) error {
	switch w.Type {
	case requirements.Git:
		c.repository(w.Origin, w.Version)
		return nil
	case requirements.URL:
		return c.roleAddress(ctx, env, e, w)
	case requirements.Local:
		return c.roleArchive(w)
	}
	owner, name, err := api.SplitRole(w.Name)
	if err != nil {
		return asUsage(err)
	}
	server, err := c.catalog.server(ctx, c.catalog.address)
	if err != nil {
		return err
	}
	r := known[w.Name]
	if r == nil {
		if r, err = server.Role(ctx, owner, name); err != nil {
			return err
		}
		if r == nil {
			return fmt.Errorf("the server has none of that name: %w", bundle.ErrUsage)
		}
		known[w.Name] = r
	}
	tags, err := selectTags(r, w.Version, e.Newest)
	if err != nil {
		return err
	}
	for _, tag := range tags {
		if err := c.carryRole(ctx, env, e, server, r, tag, w.by); err != nil {
			return err
		}
	}
	return nil
}

// selectTags returns the versions of a role that are carried: the one that is requested, or the newest. A
// role without versions has its branch, as ansible-galaxy installs it.
func selectTags(r *api.Role, asked string, newest int) ([]api.Tag, error) {
	all := slices.Clone(r.Tags)
	if len(all) == 0 || asked == "master" {
		branch := asked
		for _, b := range []string{r.Branch, "master"} {
			if branch == "" {
				branch = b
			}
		}
		return []api.Tag{{Name: branch}}, nil
	}
	if asked != "" {
		if i := slices.IndexFunc(all, func(t api.Tag) bool { return t.Name == asked }); i >= 0 {
			return all[i : i+1], nil
		}
		var names []string
		for _, t := range all[:min(len(all), maxNamed)] {
			names = append(names, t.Name)
		}
		return nil, fmt.Errorf("no version %s; there is %s%s: %w", asked, strings.Join(names, ", "), more(len(all)-len(names)), bundle.ErrUsage)
	}
	var wrong error
	slices.SortStableFunc(all, func(a, b api.Tag) int {
		order, err := version.CompareTags(b.Name, a.Name)
		if err != nil {
			wrong = fmt.Errorf("name the version: %w: %w", err, bundle.ErrUsage)
		}
		return order
	})
	return all[:min(newest, len(all))], wrong
}

func more(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(" and %d more", n)
}

// carryRole fetches an archive into scratch, once, and asks for what the role in it needs.
func (c *chosen) carryRole(ctx context.Context, env *sources.Env, e *entry, server *api.Server, r *api.Role, tag api.Tag, by string) error {
	p := &rolePick{role: r, tag: tag.Name, url: tag.URL, by: by}
	key := p.full() + " " + p.tag
	if _, ok := c.roles[key]; ok {
		return nil
	}
	if p.url == "" {
		if r.User == "" || r.Repository == "" {
			return fmt.Errorf("version %s: the server names neither an archive nor a repository on GitHub: %w", p.tag, fetch.ErrUpstream)
		}
		p.url = "https://github.com/" + r.User + "/" + r.Repository + "/archive/" + p.tag + ".tar.gz"
	}
	if err := e.mayFetch(server, p.url); err != nil {
		return err
	}
	c.roles[key] = p
	p.local = sources.ScratchName(Name, e.spec.Name) + fmt.Sprintf("-%d", len(c.roles))
	if err := p.fetch(ctx, env); err != nil {
		return err
	}
	c.scratch += p.size
	return c.need(e, server, p.needs, key+", which is requested by "+by)
}

// fetch reads the archive, compares it with its pin, and reads what the role needs.
func (p *rolePick) fetch(ctx context.Context, env *sources.Env) error {
	var want *fetch.Wanted
	if pin, ok := env.Lock.Lookup(p.url); ok && !env.Lock.Updates() {
		want = fetch.SHA256(pin.Digest[:], pin.Size)
	}
	body, err := env.Fetch.OpenWanted(ctx, p.url, nil, 0, "", want)
	if err != nil {
		return err
	}
	defer body.Close()
	out, err := env.Scratch.Create(p.local)
	if err != nil {
		return err
	}
	defer out.Close()
	sum, counted := bundle.NewHash(), &counter{}
	kept := io.MultiWriter(out, sum, counted)
	role, err := tarball.ReadRole(io.TeeReader(io.LimitReader(body, maxArchive), kept))
	if err == nil {
		_, err = io.Copy(kept, io.LimitReader(body, 1)) // nothing follows
	}
	switch {
	case counted.n >= maxArchive:
		err = fmt.Errorf("more than %s: %w", bundle.Count(maxArchive-1, "byte"), bundle.ErrMalformed)
	case err == nil:
		p.needs, err = requirements.Dependencies(role.Main, role.More)
	}
	if err = errors.Join(upstream.Blame(fetch.Redact(p.url), err), out.Close()); err != nil {
		return err
	}
	p.digest, p.size, p.secure = bundle.SumOf(sum), counted.n, body.Meta.Secure
	_, p.pinned = env.Lock.Lookup(p.url)
	return env.Lock.Record(p.url, p.digest, p.size)
}

// counter counts what is written to it.
type counter struct{ n int64 }

func (c *counter) Write(p []byte) (int, error) {
	c.n += int64(len(p))
	return len(p), nil
}
