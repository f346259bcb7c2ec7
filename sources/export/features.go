package export

import (
	"slices"

	"github.com/gapbundle/gapbundle/bundle"
)

// Outdated is an importer that, by its last receipt, does not read what a
// bundle requires: it has to be updated before the trip, not after it.
type Outdated struct {
	Destination string `json:"destination"`
	// Sequence is the bundle of that receipt.
	Sequence int64 `json:"sequence"`
	// Features are those that the importer did not know, sorted.
	Features []string `json:"features"`
}

// requires returns the features that a reader of a bundle's lists has to know, sorted. filled
// and named are about the lists that are not held back: filled, that they have files whose
// content an importer fills in; named, that they have contents lists.
func (in *opened) requires(filled, named bool) (all []string, err error) {
	if named {
		all = append(all, bundle.FeatureContents)
	}
	if !filled {
		filled, err = in.filledByHeld()
	}
	if filled {
		all = append(all, bundle.FeatureFilled)
	}
	return all, err
}

// filledByHeld reads the lists of the repositories that are held back, where their
// bundle required filled files.
func (in *opened) filledByHeld() (filled bool, err error) {
	if in.base == nil || !slices.Contains(in.base.manifest.Requires, bundle.FeatureFilled) {
		return false, nil
	}
	for _, r := range in.held {
		if err := in.base.files(r, func(f bundle.File) { filled = filled || f.Filled }); err != nil {
			return false, err
		}
	}
	return filled, nil
}
