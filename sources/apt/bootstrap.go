package apt

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/internal/strictyaml"
	"github.com/gapbundle/gapbundle/sources/apt/closure"
	shared "github.com/gapbundle/gapbundle/sources/closure"
)

// bootstrap is how much of a system a suite has by itself, as the tools that set one up
// call it.
type bootstrap string

const (
	// minbase is debootstrap's variant of this name: what is Essential or of Priority
	// required, and apt.
	minbase bootstrap = "minbase"
	// standard has Priority important as well, which debootstrap installs without a
	// variant, and standard, which mmdebstrap's variant and the Debian installer's task
	// of this name have.
	standard bootstrap = "standard"
)

// check refuses what is no name of one.
func (b bootstrap) check() error {
	if b != "" && b != minbase && b != standard {
		return fmt.Errorf("bootstrap: want %s or %s, got %.40q", minbase, standard, string(b))
	}
	return nil
}

// priorities returns the priorities that debootstrap and mmdebstrap select by.
func (b bootstrap) priorities() []string {
	if b == standard {
		return []string{"required", "important", "standard"}
	}
	return []string{"required"}
}

// namedByTools returns what debootstrap and mmdebstrap ask for by name, where a suite has it:
// apt, which counts itself among what is essential; ca-certificates, if the mirror's address
// is one of https; usr-is-merged, in place of the first alternative of a dependency.
func namedByTools() []string { return []string{"apt", "ca-certificates", "usr-is-merged"} }

// bootstrap returns what a source's spec asks for to set up systems from; nil: nothing.
func (l *loaded) bootstrap() *closure.Bootstrap {
	b := l.options.Bootstrap
	if b == "" {
		return nil
	}
	return &closure.Bootstrap{Priorities: b.priorities(), With: namedByTools(), Why: fmt.Sprintf("bootstrap %s of source %s: ", b, l.name)}
}

// alone returns the request of a client that sees one suite and has nothing installed: what
// debootstrap is, as it looks at one suite and takes no other version of a package.
func alone(r closure.Request, include []string) closure.Request {
	return closure.Request{Source: r.Source, Packages: include, Bootstrap: r.Bootstrap, Exclude: r.Exclude, Architectures: r.Architectures}
}

// bootstraps returns the views of those who set up systems: one for each suite that has to be
// complete by itself.
func bootstraps(all []*loaded, listings []listing) ([]*view, error) {
	var found []*view
	var errs []error
	names := releases(all)
	if len(names) < 2 {
		names = nil // everything is one client's
	}
	for i, l := range all {
		if l.options.Bootstrap == "" {
			continue
		}
		suites, err := l.releaseSuites(i, names, listings)
		errs = append(errs, err)
		for _, s := range suites {
			found = append(found, &view{alone: s})
		}
	}
	return found, strictyaml.Join(errs...)
}

// releaseSuites returns the suites of a source that a system can be set up from: those with
// every package that is Essential in one of its suites for the same release. The suites of
// updates have some of them, by whatever name.
func (l *loaded) releaseSuites(source int, releases []string, listings []listing) ([]*loadedSuite, error) {
	own := make([]map[string]bool, len(l.suites)) // Essential packages of a suite: "name architecture"
	ofRelease := map[string]map[string]bool{}     // the same, of all suites of a release
	request := closure.Request{Exclude: l.options.Exclude}
	for j := range own {
		own[j] = map[string]bool{}
	}
	for _, at := range listings {
		s := l.suites[at.suite]
		if at.source != source || s.release.NotAutomatic {
			continue
		}
		release := s.releaseOf(releases)
		if ofRelease[release] == nil {
			ofRelease[release] = map[string]bool{}
		}
		for _, p := range at.index.Packages {
			if !p.Essential || request.Excludes(p) {
				continue
			}
			for _, arch := range s.want.Architectures {
				if p.Architecture == arch || p.Architecture == "all" {
					own[at.suite][p.Name+" "+arch], ofRelease[release][p.Name+" "+arch] = true, true
				}
			}
		}
	}
	var whole []*loadedSuite
	var lacks []string
	for j, s := range l.suites {
		var missing []string
		for _, id := range slices.Sorted(maps.Keys(ofRelease[s.releaseOf(releases)])) {
			name, arch, _ := strings.Cut(id, " ")
			if slices.Contains(s.want.Architectures, arch) && !own[j][id] {
				missing = append(missing, name)
			}
		}
		switch {
		case len(own[j]) == 0:
			lacks = append(lacks, s.name+" has no Essential package")
		case len(missing) > 0:
			lacks = append(lacks, s.name+strings.TrimPrefix(shared.Hint("lacks", missing), ","))
		default:
			whole = append(whole, s)
		}
	}
	if len(whole) == 0 {
		return nil, l.pos.Errorf("source %s: bootstrap: no suite has all Essential packages: %s", l.name, strings.Join(lacks, "; "))
	}
	return whole, nil
}
