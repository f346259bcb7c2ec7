package export

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
)

// NewDestinationError means that a destination was named that nothing was exported to or
// acknowledged by, while others are known: a slip of the pen would carry everything again.
// It matches bundle.ErrUsage.
type NewDestinationError struct {
	Name string
	// Known are the others, for people.
	Known []string
}

func (e *NewDestinationError) Error() string {
	return fmt.Sprintf("destination %q: nothing is known of it; known: %s", e.Name, strings.Join(e.Known, ", "))
}

// Unwrap returns bundle.ErrUsage.
func (e *NewDestinationError) Unwrap() error { return bundle.ErrUsage }

// settleDestination takes the one destination that the ledger knows by a name where the
// operator names none, and refuses a new one where others are known. Bundles that were
// exported without a name went to that destination if none was ever exported to it by its
// name: a receipt gave it the name. Otherwise they went elsewhere, and still do.
func (s *session) settleDestination() error {
	known := s.ledger.Destinations()
	if s.o.Destination == "" {
		_, unnamed := known[""]
		delete(known, "")
		for name, d := range known {
			if len(known) == 1 && (!unnamed || d.Exported == 0) {
				s.o.Destination = name
			}
		}
		return nil
	}
	if others := s.strangeDestination(); others != nil && !s.o.NewDestination {
		return &NewDestinationError{s.o.Destination, others}
	}
	return nil
}

// strangeDestination are the known destinations, when the one asked for is
// not among them.
func (s *session) strangeDestination() []string {
	known := s.ledger.Destinations()
	if _, ok := known[s.o.Destination]; ok || len(known) == 0 {
		return nil
	}
	var names []string
	for _, n := range slices.Sorted(maps.Keys(known)) {
		if n == "" {
			n = "(none)"
		}
		names = append(names, n)
	}
	return names
}
