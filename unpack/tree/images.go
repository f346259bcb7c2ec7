package tree

import (
	"container/heap"
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
	due, stop, err := muster(images)
	defer stop()
	if err != nil {
		return err
	}
	var same []member // files of one path
	for len(due) > 0 {
		now := *due[0]
		if len(same) > 0 && same[0].file.Path != now.file.Path {
			if err := checkTag(same, coming, owner); err != nil {
				return err
			}
			same = same[:0]
		}
		same = append(same, now)
		more, err := due[0].advance()
		if err != nil {
			return err
		}
		if more {
			heap.Fix(&due, 0)
		} else {
			heap.Pop(&due)
		}
	}
	return checkTag(same, coming, owner)
}

// checkTag is for the files of one path.
func checkTag(same []member, coming map[string]bool, owner func(image string) string) error {
	if len(same) == 0 {
		return nil
	}
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
