package apt

import (
	"slices"
	"strings"
)

// systemPackage is what the suites of a system have and those of vendors do not.
const systemPackage = "dpkg"

// anyRelease in the spec makes a source one for clients of every release.
const anyRelease = "any"

// releases returns the releases of a set, sorted: what the spec has, and the names of
// suites that have a system. Where no suite has one, there is no telling a
// release from a vendor's channel but by an Origin that has several Codenames.
func releases(all []*loaded) []string {
	var found []string
	systems := false
	codenames := map[string][]string{} // by Origin
	for _, l := range all {
		for _, s := range l.suites {
			names := s.names()
			switch own := l.options.Release; {
			case own != "" && own != anyRelease:
				found = append(found, own)
			case own != "" || s.release.NotAutomatic || len(names) == 0: // on top of others
			case s.system:
				systems = true
				found = append(found, names[0])
			case s.release.Codename != "":
				codenames[s.release.Origin] = union(codenames[s.release.Origin], names[:1])
			}
		}
	}
	for _, names := range codenames {
		if !systems && len(names) > 1 {
			found = append(found, names...)
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// names returns the names that may be a suite's release, the likeliest first.
// The parts of one (bookworm-security, jammy-backports, buster/updates) have
// its name in front.
func (s *loadedSuite) names() (names []string) {
	for _, name := range []string{s.release.Codename, s.release.Suite, s.name} {
		if end := strings.IndexAny(name, "-/"); end >= 0 {
			name = name[:end]
		}
		if name != "" {
			names = append(names, name)
		}
	}
	return names
}

// releaseOf returns the one of a set's releases that a suite belongs to; "": none,
// so clients of every one use it.
func (s *loadedSuite) releaseOf(releases []string) string {
	switch own := s.entry.options.Release; own {
	case "":
	case anyRelease:
		return ""
	default:
		return own
	}
	for _, name := range s.names() {
		if slices.Contains(releases, name) {
			return name
		}
	}
	return ""
}
