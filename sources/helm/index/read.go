package index

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/Masterminds/semver/v3"
	"go.yaml.in/yaml/v3"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources/helm/pack"
)

const (
	// MaxSize bounds an index; the largest public ones have 50 MB.
	MaxSize = 100 << 20 // bytes
	// maxSkipped bounds the remarks.
	maxSkipped = 5
)

// Index is what an index has of some charts.
type Index struct {
	// Charts are the entries by name, in the order of the index.
	Charts map[string][]*Entry
	// Names are all charts of the index, sorted.
	Names []string
	// Skipped are remarks on entries that are no charts.
	Skipped []string
}

// Entry is one version of a chart.
type Entry struct {
	Name, Version string
	Semver        *semver.Version
	URLs          []string
	// Digest is as it is written; "": there is none.
	Digest  string
	Created time.Time // zero: not known
	Library bool
	pack.About
	node *yaml.Node // the mapping
}

// Read reads the entries of those charts that wanted accepts. Errors match
// bundle.ErrMalformed.
func Read(content []byte, wanted func(name string) bool) (*Index, error) {
	var top struct {
		APIVersion string               `yaml:"apiVersion"`
		Entries    map[string]yaml.Node `yaml:"entries"`
	}
	if err := yaml.Unmarshal(content, &top); err != nil {
		// The library reports what is wrong in several lines.
		return nil, fmt.Errorf("index: %s: %w", strings.Join(strings.Fields(err.Error()), " "), bundle.ErrMalformed)
	}
	if top.APIVersion == "" {
		return nil, fmt.Errorf("index: no apiVersion: want the index.yaml of a chart repository: %w", bundle.ErrMalformed)
	}
	x := &Index{Charts: map[string][]*Entry{}}
	for name, list := range top.Entries {
		if !wanted(name) {
			continue
		}
		for i := range list.Content {
			e, err := entry(name, list.Content[i])
			if err != nil {
				x.skip(name, i, err)
			} else if !slices.ContainsFunc(x.Charts[name], func(o *Entry) bool { return o.Version == e.Version }) {
				x.Charts[name] = append(x.Charts[name], e)
			}
		}
	}
	x.Names = slices.Sorted(maps.Keys(top.Entries))
	slices.Sort(x.Skipped)
	return x, nil
}

func (x *Index) skip(name string, i int, err error) {
	if len(x.Skipped) < maxSkipped {
		text := strings.TrimSuffix(err.Error(), ": "+bundle.ErrMalformed.Error())
		x.Skipped = append(x.Skipped, fmt.Sprintf("%s, entry %d: left out, as helm does: %s", name, i+1, text))
	}
}

// fields are those of an entry that are used.
type fields struct {
	Name    string   `yaml:"name"`
	Version string   `yaml:"version"`
	Type    string   `yaml:"type"`
	URLs    []string `yaml:"urls"`
	Digest  string   `yaml:"digest"`
	Created string   `yaml:"created"`
	// A value that is not text is left out: it is for people.
	Description yaml.Node `yaml:"description"`
	AppVersion  yaml.Node `yaml:"appVersion"`
}

// entry reads one entry of the chart called name.
func entry(name string, n *yaml.Node) (*Entry, error) {
	var f fields
	if err := n.Decode(&f); err != nil {
		return nil, fmt.Errorf("%w: %w", err, bundle.ErrMalformed)
	}
	if err := errors.Join(pack.CheckName(f.Name), pack.CheckVersion(f.Version)); err != nil {
		return nil, err
	}
	if f.Name != name {
		return nil, fmt.Errorf("it is of another chart, %.100q: %w", f.Name, bundle.ErrMalformed)
	}
	if f.Type != "" && f.Type != "application" && f.Type != "library" {
		return nil, fmt.Errorf("type %.60q, want application or library: %w", f.Type, bundle.ErrMalformed)
	}
	e := &Entry{Name: f.Name, Version: f.Version, URLs: f.URLs, Digest: f.Digest, Library: f.Type == "library", node: n, About: pack.About{Description: f.Description.Value, AppVersion: f.AppVersion.Value}}
	e.Semver, _ = semver.NewVersion(f.Version) // CheckVersion read it
	for _, form := range []string{time.RFC3339Nano, "2006-01-02 15:04:05.999999999 -0700 MST", time.DateOnly} {
		if at, err := time.Parse(form, f.Created); err == nil {
			e.Created = at.UTC()
			break
		}
	}
	return e, nil
}

// FromChart makes the entry of a chart that no index has from its Chart.yaml.
// Errors match bundle.ErrMalformed.
func FromChart(metadata []byte, created time.Time) (*Entry, error) {
	var top yaml.Node
	if err := yaml.Unmarshal(metadata, &top); err != nil || len(top.Content) != 1 {
		return nil, fmt.Errorf("metadata of the chart: %w", errors.Join(err, bundle.ErrMalformed))
	}
	var f fields
	if err := top.Content[0].Decode(&f); err != nil {
		return nil, fmt.Errorf("metadata of the chart: %w: %w", err, bundle.ErrMalformed)
	}
	e, err := entry(f.Name, top.Content[0])
	if err == nil {
		e.Created, e.URLs, e.Digest = created.UTC(), nil, ""
	}
	return e, err
}

// Choose returns the newest n versions in a range, the newest first. A range is read as
// helm does: an exact version first, then semver's constraints, by which a
// pre-release is chosen only by a range that has one; "" is the newest release.
// Errors match bundle.ErrUsage.
func Choose(entries []*Entry, constraint string, n int) ([]*Entry, error) {
	for _, e := range entries {
		if e.Version == constraint {
			return []*Entry{e}, nil
		}
	}
	if constraint == "" {
		constraint = "*"
	}
	r, err := semver.NewConstraint(constraint)
	if err != nil {
		return nil, fmt.Errorf("version %.100q: %w: %w", constraint, err, bundle.ErrUsage)
	}
	var chosen []*Entry
	for _, e := range entries {
		if r.Check(e.Semver) {
			chosen = append(chosen, e)
		}
	}
	Sort(chosen)
	return chosen[:min(n, len(chosen))], nil
}

// Sort puts entries in the order of an index: the newest version first.
func Sort(entries []*Entry) {
	slices.SortStableFunc(entries, func(a, b *Entry) int {
		if c := b.Semver.Compare(a.Semver); c != 0 {
			return c
		}
		return strings.Compare(b.Version, a.Version)
	})
}
