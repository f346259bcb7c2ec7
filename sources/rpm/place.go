package rpm

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/strictyaml"
	"github.com/gapbundle/gapbundle/sources"
)

// archMark in at stands for $basearch, as it does for the architecture in sources of apt.
const archMark = "$(ARCH)"

// maxIDs bounds the ids of one repository.
const maxIDs = 16

// place reads at, base, as and repoid: where the repositories are in the mirror, and what
// clients call them. The folder that at states is a part of the mount, so that several sources
// can share a base.
func (e *entry) place() error {
	o := &e.options
	var errs []error
	if o.Base != "" {
		errs = append(errs, sources.CheckBase(o.Pos, "base", o.Base))
		e.mount = Name + "/" + o.Base
	}
	if o.At != "" {
		at, err := e.fill(strings.ReplaceAll(o.At, archMark, "$basearch"))
		if err != nil {
			err = o.Pos.Errorf("at: %w", err)
		} else {
			err = sources.CheckFolder(o.Pos, "at", at)
		}
		errs = append(errs, err)
		e.mount = path.Join(e.mount, at)
	}
	if o.As != "" {
		errs = append(errs, sources.CheckClientName(o.Pos, "as", o.As, ".repo"))
	}
	return strictyaml.Join(append(errs, e.readIDs())...)
}

// readIDs sets for repositories the ids that the spec has for them.
func (e *entry) readIDs() error {
	o := &e.options
	var errs []error
	refuse := func(format string, args ...any) { errs = append(errs, o.Pos.Errorf("repoid: "+format, args...)) }
	var all []string
	for _, text := range o.RepoID {
		r, id, err := e.ofID(text)
		switch {
		case err != nil:
			refuse("%w", err)
		case !isID(id):
			refuse("%.60q: want letters, digits and . _ : -, and not main", id)
		case slices.Contains(all, id):
			refuse("%s: occurs twice", id)
		case len(r.ids) == maxIDs:
			refuse("more than %d of one repository", maxIDs)
		default:
			r.ids = append(r.ids, id)
		}
		all = append(all, id)
	}
	if len(strings.Join(all, " ")) > bundle.MaxAnnotationSize {
		refuse("%s, more than there is room for", bundle.Count(len(all), "id"))
	}
	return strictyaml.Join(errs...)
}

// ofID returns the repository of an entry of repoid, and the id that it gets.
func (e *entry) ofID(text string) (*repo, string, error) {
	of, id, renamed := strings.Cut(text, "=")
	if !renamed {
		id = of
	}
	if len(e.repos) == 1 && (!renamed || of == e.repos[0].id) {
		return e.repos[0], id, nil
	}
	var known []string
	for _, r := range e.repos {
		if r.id == "" {
			return nil, "", fmt.Errorf("%.60q: want a name alone, because there is one repository", text)
		}
		if r.id == of {
			return r, id, nil
		}
		known = append(known, r.id)
	}
	return nil, "", fmt.Errorf("%.60q: want one of %s, or REPOID=ID with one of them", text, strings.Join(known, ", "))
}

// isID reports whether a name can be that of a section of a .repo file (dnf.conf(5)).
func isID(id string) bool {
	return isWord(id) && !strings.ContainsAny(id, "+@") && id != "main" && len(id) <= maxID
}

// maxID bounds a repository id, in bytes.
const maxID = 80

// sharedIDs returns remarks on ids that several sources have: one client can use one of these.
func sharedIDs(all []*loaded) map[string][]string {
	users := map[string][]string{}
	for _, l := range all {
		for _, r := range l.repos {
			for _, id := range r.clientIDs(l.entry) {
				users[id] = append(users[id], l.name)
			}
		}
	}
	notes := map[string][]string{}
	for _, l := range all {
		for _, r := range l.repos {
			for _, id := range r.clientIDs(l.entry) {
				others := slices.DeleteFunc(slices.Clone(users[id]), func(name string) bool { return name == l.name })
				if len(others) > 0 {
					notes[l.name] = append(notes[l.name], fmt.Sprintf("repository id %s is also that of source %s: a client with both client files has one of them alone", id, strings.Join(others, ", ")))
				}
			}
		}
	}
	return notes
}

// clientIDs returns the ids of a repository in the client file.
func (r *repo) clientIDs(e *entry) []string { return sectionIDs(e.name, r.id, r.ids, len(e.repos) > 1) }

// sectionIDs returns the ids of a repository in the client file of a source: those that the spec
// has, otherwise one that begins with the source's name.
func sectionIDs(source, id string, ids []string, several bool) []string {
	switch name := sources.FileName(source); {
	case len(ids) > 0:
		return ids
	case several:
		return []string{name + "-" + id}
	default:
		return []string{name}
	}
}
