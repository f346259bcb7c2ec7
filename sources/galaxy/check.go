package galaxy

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/complete"
	"github.com/gapbundle/gapbundle/sources/galaxy/api"
	"github.com/gapbundle/gapbundle/sources/galaxy/record"
	"github.com/gapbundle/gapbundle/sources/galaxy/version"
)

// maxPage bounds a page, which is held in memory.
const maxPage = bundle.MaxFilledSize

// check reads the pages as ansible-galaxy does: every version that is listed has its page and its
// archive, and what it depends on is met by a version that is carried.
func check(ctx context.Context, t sources.Tree) ([]bundle.CheckCount, error) {
	var collections, roles int64
	err := complete.Walk(ctx, t, func(ctx context.Context, r *complete.Repo) error {
		k := &checker{r: r, collections: map[string]map[string]map[string]string{}, roles: map[string]map[string][]string{}}
		for f, err := range t.Files(r.Name) {
			if err != nil {
				return err
			}
			if err := k.page(ctx, f.Path); err != nil && !errors.Is(err, sources.ErrNotAtHand) {
				k.errs = append(k.errs, err)
			}
		}
		for full, versions := range k.collections {
			collections += int64(len(versions))
			k.dependencies(full, versions)
		}
		for full, tags := range k.roles {
			roles += int64(len(tags))
			k.needs(full, tags)
		}
		return errors.Join(k.errs...)
	})
	return []bundle.CheckCount{{Name: "collections", Count: collections}, {Name: "roles", Count: roles}}, err
}

// checker is one repository that is looked at.
type checker struct {
	r           *complete.Repo
	collections map[string]map[string]map[string]string // dependencies by name and version
	roles       map[string]map[string][]string          // needs by name and version
	errs        []error
}

// page reads a page of a collection's versions, or of a role's.
func (k *checker) page(ctx context.Context, path string) error {
	parts := strings.Split(path, "/")
	list := len(parts) == 6 && parts[0] == "v3" && parts[4] == "versions" && parts[5] == "index.html"
	tags := len(parts) == 5 && parts[0] == "v1" && parts[3] == "versions" && parts[4] == "index.html"
	if !list && !tags {
		return nil
	}
	o, err := k.read(ctx, path)
	if err != nil {
		return err
	}
	key := "data"
	if tags {
		key = "results"
	}
	entries, err := record.Need[[]record.Object](o, key)
	if err != nil {
		return k.r.Corrupt(path, err)
	}
	for _, e := range entries {
		if list {
			err = k.version(ctx, parts[2]+"."+parts[3], e.Text("version"))
		} else {
			err = k.tag(parts[2], e)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (k *checker) read(ctx context.Context, path string) (record.Object, error) {
	b, err := k.r.Read(ctx, path, maxPage)
	if err != nil {
		return nil, err
	}
	o, err := record.Parse(b)
	return o, k.r.Corrupt(path, err)
}

// version looks at one version of a collection.
func (k *checker) version(ctx context.Context, full, v string) error {
	path := versionPage(full, v) + index
	if !k.r.Has(path) {
		return k.r.Missing(path, "ansible-galaxy collection install "+full)
	}
	o, err := k.read(ctx, path)
	if err != nil {
		return err
	}
	digest, err := bundle.ParseHex(o.At("artifact").Text("sha256"))
	if err != nil {
		return k.r.Corrupt(path, err)
	}
	dependencies, _, err := record.Value[map[string]string](o.At("metadata"), "dependencies")
	if err != nil {
		return k.r.Corrupt(path, err)
	}
	if k.collections[full] == nil {
		k.collections[full] = map[string]map[string]string{}
	}
	k.collections[full][v] = dependencies
	if archive := k.below(o.Text("download_url")); archive != artifactPath(full, v) {
		return k.r.Corrupt(path, fmt.Errorf("download_url: %q, want %s", archive, artifactPath(full, v)))
	}
	return k.r.Want(artifactPath(full, v), -1, digest, "ansible-galaxy collection install "+full)
}

// below returns the path that an address in a page leads to, below the mount.
func (k *checker) below(address string) string {
	return strings.TrimPrefix(address, sources.BaseMark+"/"+k.r.Mount+"/")
}

// tag looks at one version of a role.
func (k *checker) tag(full string, e record.Object) error {
	needs, _, err := record.Value[[]string](e, "dependencies")
	if err != nil {
		return k.r.Corrupt(rolePage(full), err)
	}
	if k.roles[full] == nil {
		k.roles[full] = map[string][]string{}
	}
	k.roles[full][e.Text("name")] = needs
	owner, name, err := api.SplitRole(full)
	if err != nil {
		return k.r.Corrupt(rolePage(full), err)
	}
	for _, path := range []string{k.below(e.Text("download_url")), roleAnswer(owner, name)} {
		if !k.r.Has(path) {
			k.errs = append(k.errs, k.r.Missing(path, "ansible-galaxy role install "+full))
		}
	}
	return nil
}

// dependencies looks for what the versions of a collection depend on.
func (k *checker) dependencies(full string, versions map[string]map[string]string) {
	for _, v := range slices.Sorted(maps.Keys(versions)) {
		for on, text := range versions[v] {
			within, err := version.ParseRange(text)
			if err != nil {
				k.errs = append(k.errs, k.r.Corrupt(versionPage(full, v)+index, err))
				continue
			}
			met := false
			for other := range k.collections[on] {
				o, err := version.Parse(other)
				met = met || err == nil && within.Has(o)
			}
			if !met {
				k.errs = append(k.errs, fmt.Errorf("collection %s %s: depends on %s %s, which is not there: %w", full, v, on, within, bundle.ErrIncomplete))
			}
		}
	}
}

// needs looks for the roles that the versions of a role need.
func (k *checker) needs(full string, tags map[string][]string) {
	for _, tag := range slices.Sorted(maps.Keys(tags)) {
		for _, need := range tags[tag] {
			name, asked, _ := strings.Cut(need, ",")
			_, exact := k.roles[name][asked]
			if len(k.roles[name]) == 0 || asked != "" && !exact {
				k.errs = append(k.errs, fmt.Errorf("role %s %s: needs %s %s, which is not there: %w", full, tag, name, asked, bundle.ErrIncomplete))
			}
		}
	}
}
