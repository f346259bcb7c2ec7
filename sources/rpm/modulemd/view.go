package modulemd

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// View is what a client sees of the modules of several files.
type View struct {
	indexes []*Index
	// enabled is the stream of each module that is seen.
	enabled map[string]string
	active  map[string]bool // artifacts of what is seen
	all     map[string]bool // artifacts of whatever stream
	names   map[string]bool // of active packages
}

// Ask is "name:stream" or "name", and perhaps "/profile" behind it.
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

// NewView enables what is asked for, the defaults of all other modules, and
// what these streams need of others. Two streams of one module cannot be
// enabled at once.
func NewView(indexes []*Index, asked []Ask) (*View, error) {
	v := &View{indexes: indexes, enabled: map[string]string{}, active: map[string]bool{}, all: map[string]bool{}, names: map[string]bool{}}
	for _, a := range asked {
		stream := a.Stream
		if stream == "" {
			stream = v.standard(a.Module)
		}
		switch known := v.streams(a.Module); {
		case len(known) == 0:
			return nil, fmt.Errorf("module %s: there is none", a.Module)
		case stream == "":
			return nil, fmt.Errorf("module %s: has no default stream, say which: it has %s", a.Module, strings.Join(known, ", "))
		case !slices.Contains(known, stream):
			return nil, fmt.Errorf("module %s: no stream %s: it has %s", a.Module, stream, strings.Join(known, ", "))
		case v.enabled[a.Module] != "" && v.enabled[a.Module] != stream:
			return nil, fmt.Errorf("module %s: streams %s and %s: a client has one: make two sets of them", a.Module, v.enabled[a.Module], stream)
		}
		v.enabled[a.Module] = stream
	}
	for _, x := range indexes {
		for module, stream := range x.Defaults {
			if v.enabled[module] == "" && stream != "" {
				v.enabled[module] = stream
			}
		}
	}
	v.follow()
	for _, x := range indexes {
		for _, s := range x.Streams {
			for _, a := range s.Artifacts {
				v.all[a] = true
				if v.enabled[s.Module] == s.Name {
					v.active[a] = true
					v.names[nameOf(a)] = true
				}
			}
		}
	}
	return v, nil
}

// standard is a module's default stream; "": it has none.
func (v *View) standard(module string) string {
	for _, x := range v.indexes {
		if s := x.Defaults[module]; s != "" {
			return s
		}
	}
	return ""
}

// streams are those of a module, sorted.
func (v *View) streams(module string) []string {
	found := map[string]bool{}
	for _, x := range v.indexes {
		for _, s := range x.Streams {
			if s.Module == module {
				found[s.Name] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// follow enables what enabled streams need: the default where it will do, else
// the only stream that does.
func (v *View) follow() {
	for again := true; again; {
		again = false
		for _, x := range v.indexes {
			for _, s := range x.Streams {
				if v.enabled[s.Module] != s.Name {
					continue
				}
				for _, needs := range s.Requires {
					again = v.need(needs) || again
				}
			}
		}
	}
}

func (v *View) need(needs map[string][]string) (enabled bool) {
	for _, module := range slices.Sorted(maps.Keys(needs)) {
		streams := slices.DeleteFunc(slices.Clone(needs[module]), func(s string) bool { return strings.HasPrefix(s, "-") })
		if v.enabled[module] != "" || len(v.streams(module)) == 0 || len(streams) != 1 {
			continue // a platform, or nothing to decide
		}
		v.enabled[module] = streams[0]
		enabled = true
	}
	return enabled
}

// nameOf is the name of a package in "name-epoch:version-release.arch".
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

// Sees says whether a client sees a package. hotfixes: its repository has
// module_hotfixes, which takes it out of all this.
func (v *View) Sees(name, nevra string, hotfixes bool) bool {
	switch {
	case hotfixes, v.active[nevra]:
		return true
	case v.all[nevra]:
		return false
	}
	return !v.names[name]
}

// Packages are the packages that x has of what is asked for: of the newest
// build of the stream all, or the names that a profile has.
func (v *View) Packages(x *Index, a Ask) ([]string, error) {
	stream := v.enabled[a.Module]
	var newest []*Stream
	for _, s := range x.Streams {
		switch {
		case s.Module != a.Module || s.Name != stream:
		case len(newest) > 0 && s.Version < newest[0].Version:
		case len(newest) > 0 && s.Version == newest[0].Version:
			newest = append(newest, s)
		default:
			newest = []*Stream{s}
		}
	}
	var all []string
	found := a.Profile == "" || len(newest) == 0
	for _, s := range newest {
		wanted := s.Artifacts
		if a.Profile != "" {
			profile, ok := s.Profiles[a.Profile]
			wanted, found = profile, found || ok
		}
		for _, p := range wanted {
			if !slices.Contains(all, p) {
				all = append(all, p)
			}
		}
	}
	if !found {
		return nil, fmt.Errorf("module %s:%s: no profile %s: it has %s", a.Module, stream, a.Profile, strings.Join(slices.Sorted(maps.Keys(newest[0].Profiles)), ", "))
	}
	return all, nil
}
