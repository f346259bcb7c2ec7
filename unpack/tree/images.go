package tree

import (
	"cmp"
	"errors"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/bundle/reach"
)

// imagesMount is the mount that images of all sets are in.
const imagesMount = "v2"

// MaxImages bounds the image names of one set that are remembered as its own.
const MaxImages = 100_000

// ImageNames calls each with every name of an image in a part, in their order.
func ImageNames(p Part, each func(name string)) error {
	last := ""
	for f, err := range p.Files {
		if err != nil {
			return err
		}
		if i, ok := reach.SplitImage(f.Path); ok && i.Name != last {
			last = i.Name
			each(last)
		}
	}
	return nil
}

// CheckTags refuses tags that a coming set has in an image of another set, unless the
// other set has the same tag too. owner is the set that an image belongs to, empty: none.
func CheckTags(parts []Part, coming map[string]bool, owner func(image string) string) error {
	var images []Part
	for _, p := range parts {
		if p.Repository.Mount == imagesMount {
			images = append(images, p)
		}
	}
	return eachPath(images, func(same []member) error { return checkTag(same, coming, owner) })
}

// Overlap is something of a published set that its next bundle may not have because of
// another set: it was published before there was the rule.
type Overlap struct {
	Path       string // web path
	Set, Other string
	// Types are the media types of Set and Other; equal where it is a tag in an image of
	// Other.
	Types [2]string
}

// maxOverlaps bounds what Overlaps returns.
const maxOverlaps = 20

// Overlaps finds what published sets have in common with different media types, and tags
// in images of other sets. owner is that of CheckTags, rank orders sets by the time at
// which they came: a difference is that of the later one.
func Overlaps(parts []Part, owner func(image string) string, rank func(set string) int) (all []Overlap, err error) {
	err = eachPath(parts, func(same []member) error {
		var tag *ConflictError
		coming := map[string]bool{}
		for _, m := range same {
			coming[m.set] = true
		}
		if err := checkTag(same, coming, owner); errors.As(err, &tag) && len(all) < maxOverlaps {
			all = append(all, Overlap{Path: tag.Path, Set: tag.Sets[1], Other: tag.Sets[0]})
		}
		slices.SortStableFunc(same, func(a, b member) int {
			return cmp.Or(cmp.Compare(rank(a.set), rank(b.set)), strings.Compare(a.set, b.set))
		})
		for _, m := range same[1:] {
			if first := same[0]; m.set != first.set && m.file.MediaType != first.file.MediaType && len(all) < maxOverlaps {
				all = append(all, Overlap{Path: m.file.Path, Set: m.set, Other: first.set, Types: [2]string{m.file.MediaType, first.file.MediaType}})
			}
		}
		return nil
	})
	return all, err
}

// eachPath calls look with the files of each path of parts.
func eachPath(parts []Part, look func(same []member) error) error {
	due, stop, err := muster(parts)
	defer stop()
	if err != nil {
		return err
	}
	var same []member
	for len(due) > 0 {
		path := due[0].file.Path
		for same = same[:0]; len(due) > 0 && due[0].file.Path == path; {
			same = append(same, *due[0])
			if err := due.advance(); err != nil {
				return err
			}
		}
		if err := look(same); err != nil {
			return err
		}
	}
	return nil
}

// checkTag checks the files of one path.
func checkTag(same []member, coming map[string]bool, owner func(image string) string) error {
	i, ok := reach.SplitImage(strings.TrimPrefix(same[0].file.Path, imagesMount+"/"))
	if !ok || !i.IsTag() {
		return nil
	}
	set := owner(i.Name)
	if set == "" {
		return nil
	}
	for _, m := range same {
		if m.set == set {
			return nil // the content is compared by the union
		}
	}
	for _, m := range same {
		if coming[m.set] {
			return &ConflictError{Path: m.file.Path, Sets: [2]string{set, m.set}, Repositories: [2]string{"image " + i.Name, m.repository},
				Digests: [2]bundle.Digest{{}, m.file.Digest}}
		}
	}
	return nil
}
