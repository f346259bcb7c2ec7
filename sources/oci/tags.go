package oci

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"

	"github.com/gapbundle/gapbundle/bundle"
)

// maxPattern bounds a range or pattern of a spec, which comes with every tag.
const maxPattern = 1024 // bytes

// tagRule takes tags: by version range or by pattern.
type tagRule struct {
	text    string
	within  *semver.Constraints
	pattern *regexp.Regexp // nil: within
}

// UnmarshalText reads "/regular expression/", anything else as a version range.
func (r *tagRule) UnmarshalText(b []byte) error {
	r.text = string(b)
	if len(r.text) > maxPattern {
		return fmt.Errorf("tags: %s, at most %d", bundle.Count(len(r.text), "byte"), maxPattern)
	}
	var err error
	if pattern, ok := strings.CutPrefix(r.text, "/"); ok {
		if pattern, ok = strings.CutSuffix(pattern, "/"); !ok || pattern == "" {
			return fmt.Errorf("want /pattern/, got %q", r.text)
		}
		if r.pattern, err = regexp.Compile(pattern); err != nil {
			return fmt.Errorf("pattern %s: %w", r.text, err)
		}
		return nil
	}
	if r.within, err = semver.NewConstraint(r.text); err != nil {
		return fmt.Errorf("version range %q: %w; a pattern is written between slashes", r.text, err)
	}
	return nil
}

// takes reports whether a tag is chosen. A range takes no version with a prerelease
// part ("1.2.3-alpine") unless it names one itself, and none of one number:
// "2" moves, and "20240101" is a date.
func (r *tagRule) takes(tag string) bool {
	if r.pattern != nil {
		return r.pattern.MatchString(tag)
	}
	v, err := version(tag)
	return err == nil && strings.Contains(tag, ".") && r.within.Check(v)
}

// version reads a tag as a semantic version; a leading v and missing parts are
// allowed, as tags have them. In a tag "_" stands for "+", as Helm writes it.
func version(tag string) (*semver.Version, error) {
	return semver.NewVersion(strings.Replace(tag, "_", "+", 1))
}

// selection chooses tags of a repository.
type selection struct {
	rules  []tagRule
	newest int // how many versions; 0: all
}

// choose returns the chosen tags, sorted. Tags of attached signatures never are.
// A tag is chosen if any rule takes it; without rules every version of three
// numbers is.
func (s selection) choose(tags []string) []string {
	var chosen []string
	for _, tag := range tags {
		if !isAttachedTag(tag) && s.takes(tag) {
			chosen = append(chosen, tag)
		}
	}
	slices.Sort(chosen)
	chosen = slices.Compact(chosen)
	if s.newest == 0 {
		return chosen
	}
	return newest(chosen, s.newest)
}

func (s selection) takes(tag string) bool {
	if len(s.rules) == 0 {
		// "2" and "20240101" are moving names and dates, not versions to count.
		v, err := version(tag)
		return err == nil && v.Prerelease() == "" && strings.Count(tag, ".") >= 2
	}
	return slices.ContainsFunc(s.rules, func(r tagRule) bool { return r.takes(tag) })
}

// newest returns the tags of the n highest versions. Tags that are no version are
// left out: nothing shows how old they are. Tags of one version (1.2.0, v1.2.0)
// count once and are all taken.
func newest(tags []string, n int) []string {
	type dated struct {
		tag string
		v   *semver.Version
	}
	var all []dated
	for _, tag := range tags {
		if v, err := version(tag); err == nil {
			all = append(all, dated{tag, v})
		}
	}
	slices.SortStableFunc(all, func(a, b dated) int { return b.v.Compare(a.v) })
	var chosen []string
	versions := 0
	for i, d := range all {
		if i == 0 || !d.v.Equal(all[i-1].v) {
			versions++
		}
		if versions > n {
			break
		}
		chosen = append(chosen, d.tag)
	}
	slices.Sort(chosen)
	return chosen
}

func (s selection) String() string {
	var parts []string
	for _, r := range s.rules {
		parts = append(parts, r.text)
	}
	if s.newest > 0 {
		parts = append(parts, fmt.Sprintf("newest %d", s.newest))
	}
	return strings.Join(parts, ", ")
}

func (s selection) check() error {
	switch {
	case s.newest < 0:
		return fmt.Errorf("newest: want 1 or more, got %d: %w", s.newest, bundle.ErrUsage)
	case len(s.rules) == 0 && s.newest == 0:
		return fmt.Errorf("want tags or newest; all of a repository is tags: /./: %w", bundle.ErrUsage)
	}
	return nil
}
