package rpm

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/rpm/closure"
	"github.com/gapbundle/gapbundle/sources/rpm/rpmmd"
	"github.com/gapbundle/gapbundle/sources/upstream"
)

// expandGroups puts the packages of groups where a request names groups: "@id" or
// "@name", of a group or an environment, as dnf takes them. A package of a group that no
// source has is skipped, as dnf does, and noted.
func expandGroups(env *sources.Env, l *loaded, r *closure.Request, indexes []closure.Index) (notes []string, err error) {
	if !slices.ContainsFunc(r.Packages, isGroup) {
		return nil, nil
	}
	all, err := readGroups(env, l)
	if err != nil {
		return nil, err
	}
	has := map[string]bool{}
	for i := range indexes {
		for _, pkg := range indexes[i].Packages {
			has[pkg.Name] = true
		}
	}
	var packages []string
	asked := map[string]bool{}
	var errs []error
	for _, name := range r.Packages {
		if !isGroup(name) {
			asked[name] = true
			packages = append(packages, name)
			continue
		}
		members, ok := members(all, name[1:])
		if !ok {
			hint := ""
			if strings.Contains(name, ":") {
				hint = "; streams of modules are chosen with modules"
			}
			errs = append(errs, l.pos.Errorf("source %s: packages: no group or environment is called %s; there are %s%s", l.name, name[1:], known(all), hint))
			continue
		}
		for _, member := range members {
			switch {
			case !has[member]:
				notes = append(notes, fmt.Sprintf("group %s: %s is in no source of the set", name[1:], member))
			case !asked[member]:
				asked[member] = true
				packages = append(packages, member)
			}
		}
	}
	r.Packages = packages
	return notes, errors.Join(errs...)
}

func isGroup(name string) bool { return strings.HasPrefix(name, "@") }

// readGroups reads the comps of a source's repositories.
func readGroups(env *sources.Env, l *loaded) ([]*rpmmd.Groups, error) {
	var all []*rpmmd.Groups
	for _, repo := range l.repos {
		m := repo.comps()
		if m == nil {
			continue
		}
		r, err := repo.open(env, m)
		if err != nil {
			return nil, err
		}
		groups, err := rpmmd.ParseGroups(r)
		if err := errors.Join(upstream.Blame(repo.where(m.path), err), r.Close()); err != nil {
			return nil, err
		}
		all = append(all, groups)
	}
	return all, nil
}

// comps returns the file of groups that is read; nil: there is none.
func (l *loadedRepo) comps() *metadata {
	if m := l.find(typeGroupGz); m != nil {
		return m
	}
	return l.find(typeGroup)
}

// members returns the packages of a group, or of an environment's groups.
func members(all []*rpmmd.Groups, name string) (packages []string, ok bool) {
	for _, gs := range all {
		for _, id := range slices.Sorted(maps.Keys(gs.Groups)) {
			if id == name || gs.Groups[id].Name == name {
				packages, ok = append(packages, gs.Groups[id].Packages...), true
			}
		}
		for _, id := range slices.Sorted(maps.Keys(gs.Environments)) {
			if e := gs.Environments[id]; id == name || e.Name == name {
				ok = true
				for _, group := range e.Groups {
					packages = append(packages, gs.Groups[group].Packages...)
				}
			}
		}
	}
	return packages, ok
}

// known lists the ids, for an error.
func known(all []*rpmmd.Groups) string {
	var ids []string
	for _, gs := range all {
		ids = append(ids, slices.Sorted(maps.Keys(gs.Groups))...)
		ids = append(ids, slices.Sorted(maps.Keys(gs.Environments))...)
	}
	switch {
	case len(ids) == 0:
		return "none"
	case len(ids) > 30:
		return strings.Join(ids[:30], ", ") + ", ..."
	}
	return strings.Join(ids, ", ")
}
