package galaxy

import (
	"cmp"
	"fmt"
	"maps"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/galaxy/requirements"
)

// derive asks kinds git and files for what requirements name by repository and by address.
func (e *entry) derive(c *chosen) []sources.Derived {
	var all []sources.Derived
	if len(c.repositories) > 0 {
		all = append(all, sources.Derived{Spec: sources.Given(e.spec, "git", repositories(c.repositories))})
	}
	if len(c.addresses) > 0 {
		var urls []any
		for _, address := range slices.Sorted(maps.Keys(c.addresses)) {
			urls = append(urls, map[string]any{"url": address, "path": placeOf(address)})
		}
		all = append(all, sources.Derived{Spec: sources.Given(e.spec, "files", map[string]any{"urls": urls})})
	}
	return all
}

// repositories returns the options of kind git. A requirement may name a branch, a tag or a
// commit, so wherever one is named all branches and tags are carried, of all repositories: they share
// the options. Otherwise HEAD's branch and all tags are.
func repositories(all map[string]map[string]bool) map[string]any {
	addresses := slices.Sorted(maps.Keys(all))
	options := map[string]any{"url": addresses[0], "repositories": addresses[1:]}
	for _, refs := range all {
		if len(refs) > 1 || !refs[""] {
			options["refs"] = []string{"refs/heads/*", "refs/tags/*"}
		}
	}
	return options
}

// placeOf returns where kind files has an address below files/: host and path. A name that is not in the
// address is made for one with a query, or that ends with a slash.
func placeOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	dir := hostDir(u)
	p := dir + u.Path
	if u.RawQuery != "" || strings.HasSuffix(p, "/") || p == dir || bundle.CheckPath(p) != nil || strings.Contains(strings.ToLower(u.EscapedPath()), "%2f") {
		return dir + "/galaxy/" + bundle.DigestOf([]byte(address)).Hex()[:16] + ".tar.gz"
	}
	return p
}

// hostDir returns the folder of a host: the port follows after '_', unless it is the scheme's own.
func hostDir(u *url.URL) string {
	dir := strings.ToLower(u.Hostname())
	if port := u.Port(); port != "" && !(u.Scheme == "https" && port == "443" || u.Scheme == "http" && port == "80") {
		dir += "_" + port
	}
	return strings.ReplaceAll(dir, ":", "_")
}

// repositoryURL returns where kind git has a repository.
func repositoryURL(address string) string {
	if rest, ok := strings.CutPrefix(address, "git@"); ok && !strings.Contains(address, "://") {
		address = "https://" + strings.Replace(rest, ":", "/", 1)
	}
	u, err := url.Parse(address)
	if err != nil {
		return address
	}
	if u.Scheme == "ssh" { // which stands for https there, on its own port
		u.Scheme, u.Host = "https", u.Hostname()
	}
	return sources.BaseMark + "/git/" + hostDir(u) + strings.TrimSuffix(strings.TrimSuffix(u.Path, "/"), ".git") + ".git"
}

// localRole returns where the archive of a role is published that is on disk.
func localRole(path string) string { return "roles/" + filepath.Base(path) }

// rewrite makes requirements files for use inside: what they name by address, by repository or on disk
// has the mirror's address there. JSON is YAML.
func (c *chosen) rewrite(p *press) error {
	taken := map[string]bool{}
	for _, f := range c.files {
		name := filepath.Base(f.name)
		if taken[name] || bundle.CheckPath(name) != nil {
			return fmt.Errorf("requirements %s: two files of that name: %w", f.name, bundle.ErrUsage)
		}
		taken[name] = true
		collections, roles := []any{}, []any{}
		for _, r := range f.Collections {
			collections = append(collections, c.collectionInside(f, r))
		}
		for _, r := range f.Roles {
			roles = append(roles, roleInside(p.base, r))
		}
		if err := p.put("requirements/"+name, true, object{"collections": collections, "roles": roles}, readRequirements(len(collections), len(roles))); err != nil {
			return err
		}
	}
	return nil
}

func (c *chosen) collectionInside(f file, r requirements.Collection) object {
	switch r.Type {
	case requirements.Git:
		return object{"name": repositoryURL(r.Origin), "type": "git", "version": cmp.Or(r.Ref, "HEAD")}
	case requirements.URL:
		return object{"name": sources.BaseMark + "/files/" + placeOf(r.Origin), "type": "url"}
	case requirements.Local:
		path := sources.Within(f.dir, r.Origin)
		return object{"name": c.names[path], "version": c.here[path].Version.String()}
	}
	return object{"name": r.Name, "version": r.Range.String()}
}

func roleInside(base string, r requirements.Role) object {
	o := object{"src": r.Name}
	switch r.Type {
	case requirements.Git:
		o = object{"src": repositoryURL(r.Origin), "scm": "git"}
	case requirements.URL:
		o = object{"src": sources.BaseMark + "/files/" + placeOf(r.Origin)}
	case requirements.Local:
		o = object{"src": base + localRole(r.Origin)}
	}
	if r.Version != "" {
		o["version"] = r.Version
	}
	return o
}
