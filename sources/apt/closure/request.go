package closure

import (
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/sources/apt/deb"
	"github.com/gapbundle/gapbundle/sources/closure"
)

// request adds what r asks for on the solver's architecture, and remembers in
// found what there is.
func (s *solver) request(r *Request, found map[string]bool) {
	for _, want := range r.Packages {
		if s.named(r, want) {
			found[r.Source+" "+want] = true
		}
	}
	if r.All || len(r.Sections)+len(r.Priorities) > 0 {
		s.wholesale(r)
	}
	if r.Bootstrap != nil {
		s.bootstrap(r)
	}
}

// bootstrap adds what a new system is set up from: of each package that one version in the
// source makes part of it, the version that apt would take of all sources.
func (s *solver) bootstrap(r *Request) {
	rank := strict
	if r.Tolerant {
		rank = whatever
	}
	for _, name := range s.u.namesOf(r.Source) {
		if slices.ContainsFunc(s.u.byName[name], func(e *entry) bool {
			return e.on(s.native) == s.native && s.u.indexes[e.index].Source == r.Source && r.Bootstrap.Wants(e.pkg)
		}) {
			s.versions(name, s.native, "", max(r.Newest, 1), r.Bootstrap.Why+name, rank)
		}
	}
}

// named adds one element of Packages; false: there is nothing of it here. A
// package of another architecture is chosen for clients of that one, and for
// those of the first that r names if it can be installed there: they may have
// the other as a foreign one.
func (s *solver) named(r *Request, want string) bool {
	name, version, _ := strings.Cut(want, "=")
	name, arch, qualified := strings.Cut(name, ":")
	if !qualified {
		arch = s.native
	}
	rank := strict
	if r.Tolerant {
		rank = whatever
	}
	if arch != s.native {
		if s.native != r.Architectures[0] {
			return false
		}
		if slices.Contains(r.Architectures, arch) {
			rank = optional
		}
	}
	why := closure.Asked(want, r.Source)
	if !closure.IsPattern(name) {
		return s.versions(name, arch, version, max(r.Newest, 1), why, rank) || version == "" && s.onlyProvider(name, arch, why, rank)
	}
	any := false
	for _, n := range s.u.namesOf(r.Source) {
		if closure.Matches(name, n) {
			any = s.versions(n, arch, version, max(r.Newest, 1), why, rank) || any
		}
	}
	return any
}

// namesOf returns the names of a source's packages, sorted.
func (u *universe) namesOf(source string) []string {
	var names []string
	for i := range u.entries {
		if e := &u.entries[i]; u.indexes[e.index].Source == source {
			names = append(names, e.pkg.Name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// versions adds the n best versions of a package.
func (s *solver) versions(name, arch, version string, n int, why string, rank rank) bool {
	last := ""
	any := false
	for _, e := range s.u.byName[name] {
		v := e.pkg.Version
		if e.on(s.native) != arch || v == last || (version != "" && deb.CompareVersions(v, version) != 0) {
			continue
		}
		if n == 0 {
			break
		}
		n--
		last, any = v, true
		if !s.isInstalled(e) {
			s.addRoot(e, why, rank)
		}
	}
	return any
}

// onlyProvider adds the one package that provides a name, as apt does; of
// several it takes none.
func (s *solver) onlyProvider(name, arch, why string, rank rank) bool {
	providers := slices.DeleteFunc(s.provide(deb.Relation{Name: name, Arch: arch}, arch), func(e *entry) bool { return !s.isCandidate(e) })
	if len(providers) != 1 {
		return false
	}
	if !s.isInstalled(providers[0]) {
		s.addRoot(providers[0], why, rank)
	}
	return true
}

// wholesale adds what r asks for by section and priority, or everything. That
// some of it cannot be installed is no error: archives hold such packages.
func (s *solver) wholesale(r *Request) {
	for _, name := range s.u.namesOf(r.Source) {
		var versions []string
		for _, e := range s.u.byName[name] {
			if e.on(s.native) != s.native || s.u.indexes[e.index].Source != r.Source || !r.wants(e.pkg) || s.isInstalled(e) {
				continue
			}
			if !slices.Contains(versions, e.pkg.Version) {
				if r.Newest > 0 && len(versions) == r.Newest {
					continue
				}
				versions = append(versions, e.pkg.Version)
			}
			s.addRoot(e, closure.Selected(e.pkg.Name, r.Source), whatever)
		}
	}
}

// wants reports whether a package is in one of r's sections or priorities.
func (r *Request) wants(p *deb.Package) bool {
	if r.All {
		return true
	}
	section := p.Field("Section")
	if slices.ContainsFunc(r.Sections, func(want string) bool { return inSection(want, section) }) {
		return true
	}
	return len(r.Priorities) > 0 && slices.Contains(r.Priorities, p.Field("Priority"))
}
