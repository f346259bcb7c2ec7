package modulemd

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// variant is a stream of a module with what it requires: one stream may have
// several, built against different streams of others. A client has all builds
// of one variant.
type variant struct {
	module, stream string
	// name is libdnf's: of several that would do the first by name is taken.
	name   string
	builds []*build
}

// build is the documents of a variant that are of one version.
type build struct {
	of      *variant
	version uint64
	docs    []*Stream
	// needs has for each module that is required those that will do.
	needs [][]*build
	// refuses are those that it cannot be with.
	refuses []*build
}

const platform = "platform"

// maxTies bounds what builds need and refuse of each other, all together: a
// small file could tie each to all.
const maxTies = 20_000_000

// variants sorts what all files have into variants and their builds: in the
// order of dnf, which takes those with a context of their own first. The newest
// build of a variant is the first.
func variants(indexes []*Index) []*variant {
	var all []*variant
	known, builds := map[string]*variant{}, map[string]*build{}
	static := map[string]string{} // contexts by what they require
	add := func(s *Stream, context string) {
		name := strings.Join([]string{s.Module, s.Name, context}, ":")
		v := known[name]
		if v == nil {
			v = &variant{module: s.Module, stream: s.Name, name: name}
			known[name], all = v, append(all, v)
		}
		name += fmt.Sprint(" ", s.Version)
		b := builds[name]
		if b == nil {
			b = &build{of: v, version: s.Version}
			builds[name], v.builds = b, append(v.builds, b)
		}
		b.docs = append(b.docs, s)
	}
	each := func(isStatic bool, f func(s *Stream, requires string)) {
		for _, x := range indexes {
			for _, s := range slices.SortedStableFunc(slices.Values(x.Streams), func(a, b *Stream) int { return cmp.Compare(a.Module, b.Module) }) {
				if s.Static == isStatic {
					f(s, s.Module+":"+s.Name+" "+s.required())
				}
			}
		}
	}
	each(true, func(s *Stream, requires string) {
		add(s, s.Context)
		if _, ok := static[requires]; !ok {
			static[requires] = s.Context
		}
	})
	each(false, func(s *Stream, requires string) {
		context, ok := static[requires]
		if !ok {
			context = cmp.Or(s.required(), "NoRequires")
		}
		add(s, context)
	})
	for _, v := range all {
		slices.SortStableFunc(v.builds, func(a, b *build) int { return cmp.Compare(b.version, a.version) })
	}
	return all
}

// required reports what a stream needs of other modules, but for the platform, in
// the words of libdnf.
func (s *Stream) required() string {
	var all []string
	for _, needs := range s.Requires {
		for module, streams := range needs {
			switch {
			case module == platform:
			case len(streams) == 0:
				all = append(all, module)
			default:
				all = append(all, module+":["+strings.Join(slices.Sorted(slices.Values(streams)), ",")+"]")
			}
		}
	}
	slices.Sort(all)
	return strings.Join(all, ";")
}

// tie finds out which builds need and refuse which. It returns those that cannot be: their
// platform is another one, or nobody has what they need. host is the client's
// platform; "": whichever is needed.
func tie(all []*variant, host string) (dead map[*build]bool, err error) {
	dead = map[*build]bool{}
	ties := 0
	of := map[string][]*variant{}
	for _, v := range all {
		of[v.module] = append(of[v.module], v)
	}
	some := func(module string, streams []string) (found []*build) {
		for _, v := range of[module] {
			if streams == nil || slices.Contains(streams, v.stream) {
				found = append(found, v.builds...)
			}
		}
		ties += len(found)
		return found
	}
	for _, v := range all {
		for _, b := range v.builds {
			for _, needs := range b.docs[0].Requires {
				for _, module := range slices.Sorted(maps.Keys(needs)) {
					wanted, refused := streams(needs[module])
					if module == platform {
						if host != "" && (wanted != nil && !slices.Contains(wanted, host) || slices.Contains(refused, host)) {
							dead[b] = true
						}
						continue
					}
					if refused != nil {
						b.refuses = append(b.refuses, some(module, refused)...)
					}
					b.needs = append(b.needs, some(module, wanted))
				}
			}
			if ties > maxTies {
				return nil, errKnot
			}
		}
	}
	return dead, nil
}

// streams separates wanted streams, of which any one is enough, from refused ones. libdnf
// takes every name with a dash in it as refused. A result is nil if there are none.
func streams(all []string) (wanted, refused []string) {
	for _, s := range all {
		if strings.Contains(s, "-") {
			refused = append(refused, s[1:])
		} else {
			wanted = append(wanted, s)
		}
	}
	return wanted, refused
}

// platformOf returns the platform that modules are for: the only one that any of them
// names, or the one of a release, "el9" of "9" and "9.4". "": there are
// several, and the release does not state.
func platformOf(indexes []*Index, release string) string {
	found := map[string]bool{}
	for _, x := range indexes {
		for _, s := range x.Streams {
			for _, needs := range s.Requires {
				wanted, _ := streams(needs[platform])
				for _, name := range wanted {
					found[name] = true
				}
			}
		}
	}
	major := release[:len(release)-len(strings.TrimLeft(release, "0123456789"))]
	var fit []string
	for name := range found {
		if len(found) == 1 || major != "" && strings.TrimLeft(name, "abcdefghijklmnopqrstuvwxyz") == major {
			fit = append(fit, name)
		}
	}
	if len(fit) != 1 {
		return ""
	}
	return fit[0]
}
