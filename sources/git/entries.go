package git

import (
	"cmp"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/git/gitfile"
)

// maxNamedRefs is how many refs of one git repository have names in the contents list.
const maxNamedRefs = 1000

// entries are the branches and tags of a git repository; the file that lists them stands
// for all. Of more than maxNamedRefs there are those that compareVersions calls the
// newest: upstream's list of refs has no dates. files are those that a clone reads.
func (m *mirror) entries(files []sources.Artifact) sources.EntryList {
	size := int64(0)
	for _, a := range files {
		if strings.HasSuffix(a.File.Path, ".pack") {
			size += max(0, a.File.Size)
		}
	}
	_, name, _ := strings.Cut(fetch.Redact(m.url), "://")
	var all []sources.Entry
	for _, ref := range m.chosen {
		e := sources.Entry{Name: name, Type: bundle.TypeBranch, Revision: ref.Commit().String(), Size: size}
		var ok bool
		if e.Version, ok = strings.CutPrefix(ref.Name, "refs/heads/"); !ok {
			e.Type = bundle.TypeTag
			if e.Version, ok = strings.CutPrefix(ref.Name, "refs/tags/"); !ok {
				continue
			}
		}
		all = append(all, e)
	}
	if len(all) > maxNamedRefs {
		slices.SortStableFunc(all, func(a, b sources.Entry) int { // branches first
			return cmp.Or(strings.Compare(a.Type, b.Type), compareVersions(a.Type, b.Version, a.Version))
		})
		all = all[:maxNamedRefs]
	}
	return sources.NewEntries(all...)
}

// compareVersions orders tags by the numbers in their names, as git does for
// --sort=version:refname; branches have no order.
func compareVersions(typ, a, b string) int {
	if typ == bundle.TypeBranch {
		return 0
	}
	return gitfile.CompareNames(a, b)
}
