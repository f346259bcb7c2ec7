package export

import (
	"slices"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources/collect"
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

// outdated compares what a bundle requires with what the destination's last
// receipt says. Without a receipt nothing is known.
func (s *session) outdated(requires []string) *Outdated {
	d := s.ledger.Destinations()[s.o.Destination]
	if d.Acknowledged == 0 || d.ReceiptKey == "" {
		return nil
	}
	unknown := slices.DeleteFunc(slices.Clone(requires), func(name string) bool { return slices.Contains(d.Features, name) })
	if len(unknown) == 0 {
		return nil
	}
	return &Outdated{Destination: s.o.Destination, Sequence: d.Acknowledged, Features: unknown}
}

// requires are the features that a reader of the collected lists, and of those
// that are held back, has to know.
func (s *session) requires(collected []collect.Collected, repos []bundle.Repository) ([]string, error) {
	filled := int64(0)
	for _, c := range collected {
		filled += c.Filled
	}
	named := slices.ContainsFunc(repos, func(r bundle.Repository) bool { return r.Contents != nil })
	return s.required(filled > 0, named)
}

// requiredByPlan is requires for what is only planned.
func (s *session) requiredByPlan() ([]string, error) {
	return s.required(s.survey.Total().Filled > 0, true) // the repositories of gapbundle's own have contents lists in any case
}

// required returns features, sorted: filled and named are about what is not held back.
func (s *session) required(filled, named bool) (all []string, err error) {
	if named {
		all = append(all, bundle.FeatureContents)
	}
	if !filled {
		filled, err = s.filledByHeld()
	}
	if filled {
		all = append(all, bundle.FeatureFilled)
	}
	return all, err
}

// filledByHeld reads the lists of the repositories that are held back, where their
// bundle required filled files.
func (s *session) filledByHeld() (filled bool, err error) {
	if s.base == nil || !slices.Contains(s.base.manifest.Requires, bundle.FeatureFilled) {
		return false, nil
	}
	for _, r := range s.held {
		if err := s.base.files(r, func(f bundle.File) { filled = filled || f.Filled }); err != nil {
			return false, err
		}
	}
	return filled, nil
}
