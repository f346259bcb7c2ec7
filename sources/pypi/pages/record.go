package pages

import (
	"encoding/json"
	"fmt"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/pypi/marker"
	"github.com/gapbundle/gapbundle/sources/pypi/tags"
)

// Record is the content of RecordPath: which index has a name, and in which version its
// page was read. The exporter keeps it, so that an export asks for each page whether it
// is still the same, and for nothing else if all are.
type Record struct {
	// Mark identifies what the choice is a function of besides the pages.
	Mark  string   `json:"mark"`
	Pages []Asked  `json:"pages"`
	Notes []string `json:"notes"`
}

// Asked is the page of a name on an index. Without a validator nobody can know whether it
// is still the same.
type Asked struct {
	Name     string `json:"name"`
	Index    string `json:"index"` // without secrets
	Absent   bool   `json:"absent,omitempty"`
	ETag     string `json:"etag,omitempty"`
	Modified string `json:"modified,omitempty"`
}

// ReadRecord reads a record. Errors match bundle.ErrMalformed.
func ReadRecord(content []byte) (*Record, error) {
	r := &Record{}
	if err := json.Unmarshal(content, r); err != nil {
		return nil, fmt.Errorf("%w: %w", err, bundle.ErrMalformed)
	}
	return r, nil
}

// Target is an interpreter of the site, with what its markers are.
type Target struct {
	*tags.Target
	Env *marker.Environment
}

// NewTarget returns a target that knows no more than its names; release and version are the
// values of platform_release and platform_version, "": not known.
func NewTarget(python, implementation, platform, release, version string) (Target, error) {
	made, err := tags.NewTarget(python, implementation, platform)
	if err != nil {
		return Target{}, err
	}
	t := Target{made, made.Environment()}
	for name, value := range map[string]string{marker.PlatformRelease: release, marker.PlatformVersion: version} {
		if value != "" {
			t.Env.Values[name] = value
		}
	}
	return t, nil
}

// targetKey begins the annotations that have the targets.
const targetKey = "target-"

// noted is a target in annotations: Check has no spec.
type noted struct {
	Python         string `json:"python"`
	Implementation string `json:"implementation"`
	Platform       string `json:"platform"`
	Release        string `json:"release,omitempty"`
	Version        string `json:"version,omitempty"`
}

// Annotate puts targets into the annotations of a repository, where Check finds them.
func Annotate(to map[string]string, targets []Target) error {
	var all []noted
	for _, t := range targets {
		python := t.Python
		if t.Threaded {
			python += "t"
		}
		all = append(all, noted{python, t.Implementation, t.Platform, t.Env.Values[marker.PlatformRelease], t.Env.Values[marker.PlatformVersion]})
	}
	return sources.Annotate(to, targetKey, all)
}

// annotated reads the targets of a repository; none of one that has files of locks for no
// target.
func annotated(repo bundle.Repository) ([]Target, error) {
	if _, some := repo.Annotations[targetKey+"00"]; !some {
		return nil, nil
	}
	all, err := sources.Annotated[noted](repo, targetKey)
	if err != nil {
		return nil, err
	}
	targets := make([]Target, len(all))
	for i, n := range all {
		if targets[i], err = NewTarget(n.Python, n.Implementation, n.Platform, n.Release, n.Version); err != nil {
			return nil, fmt.Errorf("%s: %w: %w", LocksDir, err, bundle.ErrMalformed)
		}
	}
	return targets, nil
}
