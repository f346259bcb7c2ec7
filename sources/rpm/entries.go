package rpm

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/rpm/rpmmd"
	"github.com/gapbundle/gapbundle/sources/upstream"
)

// extra is what other metadata of a repository state about its packages, by ModuleNEVRA.
type extra struct {
	fixes   map[string][]string // advisories
	streams map[string]string   // of modules, as "name:stream"
}

// about reads what updateinfo and modules state about the packages that has reports. Advisories
// that cannot be read are left out, with a remark: nothing that a client installs depends
// on them here, and dnf does without. It uses no repository whose modules it cannot read.
// held bounds what is known.
func (l *loadedRepo) about(env *sources.Env, held *rpmmd.Interner, has func(nevra string) bool) (x extra, remarks []string, err error) {
	x = extra{fixes: map[string][]string{}, streams: map[string]string{}}
	note := func(what string, failed error) error {
		if upstream.IsLocal(failed) {
			return failed
		}
		remarks = append(remarks, fmt.Sprintf("%s: %v: the contents list names no %s", l.where(""), failed, what))
		return nil
	}
	if m := l.find(typeUpdates); m != nil && m.local != "" {
		if failed := l.readFixes(env, m, x.fixes, held, has); failed != nil {
			x.fixes = map[string][]string{}
			err = note("advisories", failed)
		}
	}
	if m := l.find(typeModules); m != nil && m.local != "" && err == nil {
		index, failed := readModules(env, l)
		if failed != nil {
			return x, remarks, failed
		}
		for _, skipped := range index.Skipped {
			remarks = append(remarks, l.where(m.path)+": "+skipped)
		}
		for _, s := range index.Streams {
			for _, nevra := range s.Artifacts {
				if has(nevra) {
					x.streams[nevra] = s.Module + ":" + s.Name
				}
			}
		}
	}
	return x, remarks, err
}

func (l *loadedRepo) readFixes(env *sources.Env, m *metadata, fixes map[string][]string, held *rpmmd.Interner, has func(nevra string) bool) error {
	r, err := l.open(env, m)
	if err != nil {
		return err
	}
	for f, ferr := range rpmmd.Updates(r) {
		if err = ferr; err != nil {
			break
		}
		nevra := (&rpmmd.Package{Name: f.Name, EVR: f.EVR, Arch: f.Arch}).ModuleNEVRA()
		if has(nevra) && f.ID != "" && bundle.CheckText(f.ID) == nil && len(fixes[nevra]) < bundle.MaxFixes && !slices.Contains(fixes[nevra], f.ID) {
			fixes[nevra] = append(fixes[nevra], f.ID)
			if err = held.Hold(costFix + int64(len(nevra)+len(f.ID))); err != nil {
				break
			}
		}
	}
	return errors.Join(upstream.Blame(l.where(m.path), err), r.Close())
}

// costFix is how many bytes an advisory of a package needs besides its texts.
const costFix = 100

// entry returns what a package is called. Its version is written as dnf prints it: without an
// epoch of 0.
func (x *extra) entry(p *rpmmd.Package) sources.EntryList {
	e := sources.Entry{
		Name: p.Name, Type: bundle.TypeRPM, Version: p.EVR.String(), Arch: p.Arch,
		Summary: p.Summary, Licence: p.Licence, Source: sourceName(p.SourceRPM),
	}
	if len(x.streams)+len(x.fixes) > 0 {
		nevra := p.ModuleNEVRA()
		e.Group, e.Fixes = x.streams[nevra], x.fixes[nevra]
	}
	if p.IsSource() {
		e.Type = bundle.TypeSRPM
	}
	return sources.NewEntries(e)
}

// sourceName returns the name in the file name of a source package.
func sourceName(file string) string {
	name := strings.TrimSuffix(strings.TrimSuffix(file, ".src.rpm"), ".nosrc.rpm")
	for range 2 { // release, version
		if i := strings.LastIndexByte(name, '-'); i > 0 {
			name = name[:i]
		}
	}
	return name
}

// compareVersions orders versions as rpm does.
func compareVersions(_, a, b string) int {
	x, errA := rpmmd.ParseEVR(a)
	y, errB := rpmmd.ParseEVR(b)
	if errA != nil || errB != nil {
		return strings.Compare(a, b)
	}
	return x.Compare(y)
}

// all reports true: every package of a repository is carried.
func all(string) bool { return true }

// has reports whether a package was chosen, by its ModuleNEVRA.
func (c *repoChoice) has() func(nevra string) bool {
	chosen := make(map[string]bool, len(c.packages))
	for _, p := range c.packages {
		chosen[p.ModuleNEVRA()] = true
	}
	return func(nevra string) bool { return chosen[nevra] }
}
