package closure

import (
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/sources/closure"
	"github.com/gapbundle/gapbundle/sources/rpm/rpmmd"
)

// form is one way to read what was requested, as dnf does; each field is a
// pattern of path.Match, "" stands for anything.
type form struct{ name, epoch, version, release, arch string }

// justName reports whether nothing but the name was given.
func (f form) justName() bool { return f.epoch+f.version+f.release+f.arch == "" }

func (f form) matches(p *rpmmd.Package) bool {
	if !matches(f.name, p.Name) || !matches(f.arch, p.Arch) || !matches(f.version, p.EVR.Version) || !matches(f.release, p.EVR.Release) {
		return false
	}
	return f.epoch == "" || f.epoch+":" == strings.TrimSuffix(rpmmd.EVR{Epoch: p.EVR.Epoch}.WithEpoch(), "-")
}

func matches(pattern, s string) bool {
	if pattern == "" || pattern == s {
		return true
	}
	return closure.IsPattern(pattern) && closure.Matches(pattern, s)
}

// forms returns the ways to read spec, in the order in which dnf tries them:
// name-epoch:version-release.arch, name.arch, name, name-epoch:version-release,
// name-epoch:version. The first that finds anything is taken.
func forms(spec string) []form {
	var all []form
	name, arch := "", ""
	if i := strings.LastIndexByte(spec, '.'); i > 0 && i < len(spec)-1 && !strings.ContainsAny(spec[i:], "-:") {
		name, arch = spec[:i], spec[i+1:]
		if f, ok := nevr(name); ok {
			f.arch = arch
			all = append(all, f)
		}
		all = append(all, form{name: name, arch: arch})
	}
	all = append(all, form{name: spec})
	if f, ok := nevr(spec); ok {
		all = append(all, f)
	}
	if i := strings.LastIndexByte(spec, '-'); i > 0 {
		f := form{name: spec[:i]}
		f.epoch, f.version = cutEpoch(spec[i+1:])
		all = append(all, f)
	}
	return all
}

// nevr reads "name-[epoch:]version-release".
func nevr(s string) (form, bool) {
	i := strings.LastIndexByte(s, '-')
	if i < 0 {
		return form{}, false
	}
	j := strings.LastIndexByte(s[:i], '-')
	if j <= 0 || j+1 == i || i+1 == len(s) {
		return form{}, false
	}
	f := form{name: s[:j], release: s[i+1:]}
	f.epoch, f.version = cutEpoch(s[j+1 : i])
	return f, f.version != ""
}

func cutEpoch(s string) (epoch, version string) {
	if i := strings.IndexByte(s, ':'); i > 0 && strings.Trim(s[:i], "0123456789") == "" {
		return s[:i], s[i+1:]
	}
	return "", s
}

// matchesAny reports whether one of the forms stands for p.
func matchesAny(all []form, p *rpmmd.Package) bool {
	return slices.ContainsFunc(all, func(f form) bool { return f.matches(p) })
}

// lookUp finds what a spec stands for: packages by the forms of their name, or
// who provides it, or who has it as a file.
func (u *universe) lookUp(spec string) (found []*entry, f form) {
	for _, f := range forms(spec) {
		if closure.IsPattern(f.name) {
			for _, e := range u.entries {
				if f.matches(e.pkg) {
					found = append(found, e)
				}
			}
		} else {
			for _, e := range u.byName[f.name] {
				if f.matches(e.pkg) {
					found = append(found, e)
				}
			}
		}
		if len(found) > 0 {
			return found, f
		}
	}
	relation := &rpmmd.Relation{Name: spec}
	if words := strings.Fields(spec); len(words) == 3 {
		if rich, err := rpmmd.ParseRich("(" + spec + ")"); err == nil {
			relation = rich.Relation
		}
	}
	if relation == nil {
		return nil, form{}
	}
	for _, e := range u.providersOf(relation) {
		if !e.installed {
			found = append(found, e)
		}
	}
	return found, form{}
}
