package pypi

import (
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/pypi/pep440"
)

// entries returns what a file is called: its project, and for which interpreters it is.
func (l *laid) entries() sources.EntryList {
	name := l.file.Parsed
	e := sources.Entry{
		Name: name.Project, Type: bundle.TypeWheel, Version: name.Version.String(), Arch: strings.Join(name.Tags, "."), Group: fetch.Redact(l.file.Index),
	}
	if name.Sdist {
		e.Type = bundle.TypeSdist
	}
	var parts []string
	if l.known != nil && l.known.Metadata != nil {
		e.Licence = l.known.Licence
		if l.known.Summary != "" {
			parts = append(parts, sources.OneLine(l.known.Summary, bundle.MaxSummary/2))
		}
	}
	if l.file.RequiresPython != "" {
		parts = append(parts, "Python "+l.file.RequiresPython)
	}
	e.Summary = strings.Join(parts, "; ")
	return sources.NewEntries(e)
}

// compareVersions orders versions as pip does.
func compareVersions(_, a, b string) int {
	x, errA := pep440.Parse(a)
	y, errB := pep440.Parse(b)
	if errA != nil || errB != nil {
		return strings.Compare(a, b)
	}
	return x.Compare(y)
}
