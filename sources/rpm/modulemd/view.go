package modulemd

import (
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
)

// Ask is "name:stream" or "name", and perhaps "/profile" after it.
type Ask struct{ Module, Stream, Profile string }

// ParseAsk reads one as people write it for dnf.
func ParseAsk(s string) (Ask, error) {
	rest, profile, _ := strings.Cut(s, "/")
	module, stream, _ := strings.Cut(rest, ":")
	if module == "" || strings.Contains(stream, ":") || strings.HasSuffix(rest, ":") || strings.HasSuffix(s, "/") || strings.ContainsAny(s, " \t") {
		return Ask{}, fmt.Errorf("%.80q: want name, name:stream or name:stream/profile", s)
	}
	return Ask{module, stream, profile}, nil
}

// View is what a client sees of the modules of several files.
type View struct {
	variants []*variant
	modules  map[string][]*variant
	active   map[string]*build // by module
	// standard are the default streams by module.
	standard map[string]string
	// artifacts are all of whatever stream; true: of an active one.
	artifacts map[string]bool
	// hides has for the names of active packages the architectures of their modules,
	// a bit for each, or bySource.
	hides  map[string]uint64
	arches map[string]uint64 // of modules: their bits
}

const (
	sourceArch = "src"
	bySource   = 1
	// maxArches bounds what is told apart; further architectures have one bit together.
	maxArches = 62
)

// NewView activates the requested streams, the defaults of all other modules, and the
// streams of other modules that these need, as libdnf does: one stream of a module, one
// variant of a stream, and of defaults that exclude each other the first ones. release is
// the value of $releasever, which names the platform; "": not known.
func NewView(indexes []*Index, asked []Ask, release string) (*View, error) {
	v := &View{variants: variants(indexes), modules: map[string][]*variant{}, standard: defaults(indexes)}
	for _, one := range v.variants {
		v.modules[one.module] = append(v.modules[one.module], one)
	}
	dead, err := tie(v.variants, platformOf(indexes, release))
	if err != nil {
		return nil, err
	}
	strong, err := v.asked(asked)
	if err != nil {
		return nil, err
	}
	var weak []rule
	ruled := map[string]bool{}
	for _, r := range strong {
		ruled[r.ask.Module] = true
	}
	for _, one := range v.variants {
		if v.standard[one.module] == one.stream && !ruled[one.module] {
			ruled[one.module] = true
			weak = append(weak, rule{one: v.builds(one.module, one.stream), weak: true, ask: Ask{Module: one.module, Stream: one.stream}})
		}
	}
	if v.active, err = activate(dead, strong, weak); err != nil {
		return nil, err
	}
	v.look()
	return v, nil
}

// asked returns the rules of what is requested.
func (v *View) asked(asked []Ask) ([]rule, error) {
	var rules []rule
	enabled := map[string]string{}
	for _, a := range asked {
		known := v.streams(a.Module)
		stream := a.Stream
		switch {
		case stream != "":
		case enabled[a.Module] != "":
			stream = enabled[a.Module]
		case slices.Contains(known, v.standard[a.Module]):
			stream = v.standard[a.Module]
		case len(known) == 1:
			stream = known[0]
		}
		switch {
		case len(known) == 0:
			return nil, fmt.Errorf("module %s: there is none", a.Module)
		case stream == "":
			return nil, fmt.Errorf("module %s: has no default stream, name one: it has %s", a.Module, strings.Join(known, ", "))
		case !slices.Contains(known, stream):
			return nil, fmt.Errorf("module %s: no stream %s: it has %s", a.Module, stream, strings.Join(known, ", "))
		case enabled[a.Module] != "" && enabled[a.Module] != stream:
			return nil, fmt.Errorf("module %s: streams %s and %s: a client has one: make two sets of them", a.Module, enabled[a.Module], stream)
		case enabled[a.Module] == "":
			rules = append(rules, rule{one: v.builds(a.Module, stream), ask: Ask{Module: a.Module, Stream: stream}})
		}
		enabled[a.Module] = stream
	}
	return rules, nil
}

// defaults returns the default streams that several files make together: of two
// that differ the later one, and none if both are of the same date. Files that
// differ in what a stream's default profiles are make no defaults at all.
func defaults(indexes []*Index) map[string]string {
	const conflict = "\x00"
	all := map[string]Default{}
	for _, x := range indexes {
		for module, d := range x.Defaults {
			into, ok := all[module]
			if !ok {
				all[module] = Default{d.Stream, d.Modified, maps.Clone(d.Profiles)}
				continue
			}
			switch {
			case d.Stream == "" || into.Stream == conflict || d.Stream == into.Stream:
			case into.Stream == "" || d.Modified > into.Modified:
				into.Stream = d.Stream
			case d.Modified == into.Modified:
				into.Stream = conflict
			}
			for stream, profiles := range d.Profiles {
				mine, ok := into.Profiles[stream]
				if ok && !same(mine, profiles) && d.Modified == into.Modified {
					return map[string]string{}
				}
				if !ok || d.Modified > into.Modified {
					into.Profiles[stream] = profiles
				}
			}
			into.Modified = max(into.Modified, d.Modified)
			all[module] = into
		}
	}
	streams := map[string]string{}
	for module, d := range all {
		if d.Stream != conflict {
			streams[module] = d.Stream
		}
	}
	return streams
}

// same reports whether two lists have the same elements.
func same(a, b []string) bool {
	return maps.Equal(set(a), set(b))
}

func set(all []string) map[string]bool {
	s := make(map[string]bool, len(all))
	for _, x := range all {
		s[x] = true
	}
	return s
}

// builds returns all of a stream.
func (v *View) builds(module, stream string) (all []*build) {
	for _, one := range v.modules[module] {
		if one.stream == stream {
			all = append(all, one.builds...)
		}
	}
	return all
}

// streams returns the streams of a module, sorted.
func (v *View) streams(module string) []string {
	found := map[string]bool{}
	for _, one := range v.modules[module] {
		found[one.stream] = true
	}
	return slices.Sorted(maps.Keys(found))
}

// look finds out what is seen and what is hidden.
func (v *View) look() {
	v.artifacts, v.hides, v.arches = map[string]bool{}, map[string]uint64{}, map[string]uint64{}
	for _, one := range v.variants {
		active := v.isActive(one)
		free := map[string]map[string]bool{} // no longer the module's, by architecture: its newest build states it
		newest := map[string]*build{}
		for _, b := range one.builds {
			for _, d := range b.docs {
				if v.arches[d.Arch] == 0 {
					v.arches[d.Arch] = bySource << min(len(v.arches)+1, maxArches)
				}
				if newest[d.Arch] == nil {
					newest[d.Arch], free[d.Arch] = b, map[string]bool{}
				}
				if newest[d.Arch] == b {
					maps.Copy(free[d.Arch], set(d.Demodularized))
				}
			}
			for _, d := range b.docs {
				for _, a := range d.Artifacts {
					v.artifact(a, d.Arch, active, free[d.Arch])
				}
			}
		}
	}
}

func (v *View) isActive(one *variant) bool {
	b := v.active[one.module]
	return b != nil && b.of == one
}

// artifact notes a package of a module of an architecture.
func (v *View) artifact(a, arch string, active bool, free map[string]bool) {
	v.artifacts[a] = v.artifacts[a] || active
	name := nameOf(a)
	if !active || free[name] {
		return
	}
	bit := v.arches[arch]
	if strings.HasSuffix(a, ".src") || strings.HasSuffix(a, ".nosrc") {
		bit = bySource
	}
	v.hides[name] |= bit
}

// nameOf returns the name of a package in "name-epoch:version-release.arch".
func nameOf(nevra string) string {
	for range 2 {
		i := strings.LastIndexByte(nevra, '-')
		if i < 0 {
			return nevra
		}
		nevra = nevra[:i]
	}
	return nevra
}

// Sees reports whether a client sees a package of an architecture: names are its
// own, first, and what it provides. hotfixes: its repository has module_hotfixes, which
// takes it out of all this.
func (v *View) Sees(nevra, arch string, names iter.Seq[string], hotfixes bool) bool {
	active, listed := v.artifacts[nevra]
	if hotfixes || listed {
		return hotfixes || active
	}
	for name := range names {
		if v.isHidden(name, arch) {
			return false
		}
		if arch == sourceArch || arch == "nosrc" {
			break // what it provides does not count
		}
	}
	return true
}

// isHidden reports whether packages of a name are hidden: source packages by any
// that has it; others not by source packages, those of an architecture that
// modules are for by modules for it, and the rest by whichever module.
func (v *View) isHidden(name, arch string) bool {
	by := v.hides[name]
	switch {
	case arch == sourceArch || arch == "nosrc":
		return by != 0
	case v.arches[arch] == 0:
		return by&^bySource != 0
	}
	return by&(v.arches[arch]|v.arches["noarch"]|v.arches[""]) != 0
}

// Lists reports whether a package is of a module, of whatever stream.
func (v *View) Lists(nevra string) bool {
	_, ok := v.artifacts[nevra]
	return ok
}

// Builds returns the artifacts of each variant of each stream: by build, the
// newest first.
func (v *View) Builds() iter.Seq[[][]string] {
	return func(yield func([][]string) bool) {
		for _, one := range v.variants {
			builds := make([][]string, len(one.builds))
			for i, b := range one.builds {
				for _, d := range b.docs {
					builds[i] = append(builds[i], d.Artifacts...)
				}
			}
			if !yield(builds) {
				return
			}
		}
	}
}

// Packages returns what a client of one of these architectures gets that asks for
// it: of the newest builds in these files all artifacts, or the names that a
// profile has.
func (v *View) Packages(indexes []*Index, arches []string, a Ask) (artifacts, names []string, err error) {
	b := v.active[a.Module]
	if b == nil || a.Stream != "" && a.Stream != b.of.stream {
		return nil, nil, fmt.Errorf("module %s: stream %s is not active", a.Module, a.Stream)
	}
	own := map[*Stream]bool{}
	for _, x := range indexes {
		for _, s := range x.Streams {
			own[s] = true
		}
	}
	var newest []*Stream
	found := map[string]*build{} // by architecture
	for _, one := range b.of.builds {
		for _, d := range one.docs {
			fits := d.Arch == "" || d.Arch == "noarch" || slices.Contains(arches, d.Arch)
			if own[d] && fits && (found[d.Arch] == nil || found[d.Arch] == one) {
				found[d.Arch] = one
				newest = append(newest, d)
			}
		}
	}
	return wanted(newest, a)
}

// wanted returns the artifacts of builds, or the names of a profile.
func wanted(newest []*Stream, a Ask) (artifacts, names []string, err error) {
	found, profiles := a.Profile == "" || len(newest) == 0, map[string]bool{}
	for _, d := range newest {
		for name, packages := range d.Profiles {
			profiles[name] = true
			if name == a.Profile {
				names, found = append(names, packages...), true
			}
		}
		if a.Profile == "" {
			artifacts = append(artifacts, d.Artifacts...)
		}
	}
	if !found {
		return nil, nil, fmt.Errorf("module %s:%s: no profile %s: it has %s", a.Module, newest[0].Name, a.Profile, strings.Join(slices.Sorted(maps.Keys(profiles)), ", "))
	}
	slices.Sort(names)
	return artifacts, slices.Compact(names), nil
}

// Needed returns the builds without which active ones that are carried would not be
// active: nothing of them is carried, and they have to be known all the same.
func (v *View) Needed(carried func(nevra string) bool) map[*Stream]bool {
	has := func(b *build) bool {
		return slices.ContainsFunc(b.of.builds, func(b *build) bool {
			return slices.ContainsFunc(b.docs, func(d *Stream) bool { return d.has(carried) })
		})
	}
	needed := map[*Stream]bool{}
	var open []*build
	seen := map[*build]bool{}
	for _, b := range v.active {
		if has(b) {
			open = append(open, b)
			seen[b] = true
		}
	}
	for len(open) > 0 {
		b := open[0]
		open = open[1:]
		for _, one := range b.needs {
			for _, other := range one {
				if v.active[other.of.module] != other || seen[other] {
					continue
				}
				open, seen[other] = append(open, other), true
				if !has(other) {
					for _, d := range other.docs {
						needed[d] = true
					}
				}
			}
		}
	}
	return needed
}

// has reports whether something of it is carried.
func (s *Stream) has(carried func(nevra string) bool) bool {
	return slices.ContainsFunc(s.Artifacts, carried)
}
