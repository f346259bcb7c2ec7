package export

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources/ledger"
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

// destination is a receiving mirror, as the ledger knows it.
type destination struct {
	ledger *ledger.Ledger
	name   string // empty: it has none
}

// settleDestination takes the one destination that the ledger knows by a name where the
// operator names none, and refuses a new one where others are known. Bundles that were
// exported without a name went to that destination if none was ever exported to it by its
// name: a receipt gave it the name. Otherwise they went elsewhere, and still do.
func settleDestination(o Options, l *ledger.Ledger) (name string, err error) {
	if o.Destination == "" {
		known := l.Destinations()
		_, unnamed := known[""]
		delete(known, "")
		for n, d := range known {
			if len(known) == 1 && (!unnamed || d.Exported == 0) {
				name = n
			}
		}
		return name, nil
	}
	if others := (destination{l, o.Destination}).others(); others != nil && !o.NewDestination {
		return "", &NewDestinationError{o.Destination, others}
	}
	return o.Destination, nil
}

// known returns what the ledger has of it.
func (d destination) known() ledger.Destination { return d.ledger.Destinations()[d.name] }

// others returns the known destinations, when this one is not among them.
func (d destination) others() []string {
	known := d.ledger.Destinations()
	if _, ok := known[d.name]; ok || len(known) == 0 {
		return nil
	}
	var names []string
	for _, n := range slices.Sorted(maps.Keys(known)) {
		if n == "" {
			n = "(without a name)"
		}
		names = append(names, n)
	}
	return names
}

// before returns the newest kept state older than n that the destination was sent
// or acknowledged; 0: none. It does not have bundles that were sent to others.
func (d destination) before(n int64) (int64, error) {
	acknowledged := d.known().Acknowledged
	for _, k := range slices.Backward(d.ledger.States()) {
		if k >= n {
			continue
		}
		m, err := d.ledger.Manifest(k)
		if err != nil {
			return 0, err
		}
		if k == acknowledged || m.Destination == d.name {
			return k, nil
		}
	}
	return 0, nil
}

// outdated compares what a bundle requires with what the destination's importer can read
// according to its last receipt. It returns nil if there is no receipt.
func (d destination) outdated(requires []string) *Outdated {
	known := d.known()
	if known.Acknowledged == 0 || known.ReceiptKey == "" {
		return nil
	}
	unknown := slices.DeleteFunc(slices.Clone(requires), func(name string) bool { return slices.Contains(known.Features, name) })
	if len(unknown) == 0 {
		return nil
	}
	return &Outdated{Destination: d.name, Sequence: known.Acknowledged, Features: unknown}
}
