package reach

import (
	"fmt"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
)

// Leave is what the keys that signed a bundle were given.
type Leave struct {
	// Path reports whether the set may own a web path; Host whether it may answer for
	// a public name.
	Path, Host func(string) bool
}

// Place is something that a set has and was not given.
type Place struct {
	// Path is the mount, or the first file of several below one folder; Host is set
	// where it is a public name that a repository answers for.
	Path, Host string
	// Pattern is what would have to be given: a mount, or the folder of a shared one.
	Pattern string
	Files   int64
}

// maxPlaces bounds what is reported of a set that is outside of its patterns.
const maxPlaces = 20

// Outside returns what a set has that its keys were not given, by mounts and, in the
// mounts that sets share, by files. Keys and client files are judged by other rules.
func Outside(of Set, l Leave) ([]Place, error) {
	var all []Place
	for i, r := range of.Repositories {
		public, err := bundle.PublicOf(r.Annotations)
		if err != nil {
			return nil, fmt.Errorf("repository %s: %w", r.Name, err)
		}
		for _, p := range public {
			if !l.Host(p.Host) {
				all = add(all, Place{Path: r.Mount, Host: p.Host, Pattern: p.Host})
			}
		}
		switch {
		case r.Mount == keysMount || r.Mount == clientsMount:
		case bundle.IsSharedMount(r.Mount):
			if all, err = outsideFiles(of, i, l, all); err != nil {
				return nil, err
			}
		case !l.Path(r.Mount):
			all = add(all, Place{Path: r.Mount, Pattern: r.Mount, Files: r.Count})
		}
	}
	return all, nil
}

// outsideFiles looks at a list of a shared mount.
func outsideFiles(of Set, repository int, l Leave, all []Place) ([]Place, error) {
	mount := of.Repositories[repository].Mount
	for f, err := range of.Files(repository) {
		if err != nil {
			return nil, err
		}
		if path := mount + "/" + f.Path; !l.Path(path) {
			folder, _, _ := strings.Cut(f.Path, "/")
			all = add(all, Place{Path: path, Pattern: mount + "/" + folder, Files: 1})
		}
	}
	return all, nil
}

// add counts a place: one for each pattern.
func add(all []Place, p Place) []Place {
	for i := range all {
		if all[i].Pattern == p.Pattern && all[i].Host == p.Host {
			all[i].Files += p.Files
			return all
		}
	}
	if len(all) == maxPlaces {
		return all
	}
	return append(all, p)
}
