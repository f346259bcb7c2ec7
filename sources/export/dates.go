package export

import (
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/sources"
)

// keepDates keeps the dates that upstreams gave what is exported: the next export refuses
// an older state. Sources that were not read keep theirs as long as the spec has them.
func (s *session) keepDates() error {
	return s.ledger.KeepDates(s.dates.After(func(source string) bool {
		return slices.ContainsFunc(s.spec.Sources, func(p sources.Spec) bool {
			return p.Name == source || strings.HasPrefix(source, p.Name+"/")
		})
	}))
}
