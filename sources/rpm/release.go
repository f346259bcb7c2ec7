package rpm

import (
	"slices"
	"strings"
)

// releases returns what $releasever stands for in the sources, sorted, of "9" and
// "9.4" the longer one alone. A client is of one release: it never sees the
// packages of another one, which often have the same names. One empty release
// stands for sources that name none.
func releases(all []*loaded) []string {
	var found []string
	for _, l := range all {
		if own := l.releasever(); own != "" && !slices.Contains(found, own) {
			found = append(found, own)
		}
	}
	if len(found) == 0 {
		return []string{""}
	}
	slices.Sort(found)
	return slices.DeleteFunc(slices.Clone(found), func(release string) bool {
		return slices.ContainsFunc(found, func(other string) bool { return other != release && isWithin(other, release) })
	})
}

// isOf reports whether clients of a release use the source: those of every release
// do, if it names none.
func (e *entry) isOf(release string) bool { return isWithin(release, e.releasever()) }

func (e *entry) releasever() string { return e.options.Vars["releasever"] }

// isWithin reports whether a release is another one, or one of its minor releases
// or streams: "9", "9.4" and "9-stream" are within "9", and all are within "".
func isWithin(release, other string) bool {
	rest, ok := strings.CutPrefix(release, other)
	return ok && (other == "" || rest == "" || rest[0] == '.' || rest[0] == '-')
}
