package simplestreams

import (
	"errors"
	"testing"

	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/upstream"
)

// TestOlderStreams: an index, or a products file next to a new index, that is older than
// what was exported before is refused.
func TestOlderStreams(t *testing.T) {
	m := newMirror(t, t.TempDir())
	m.fill()
	m.updated = "Thu, 01 Oct 2026 10:00:00 +0000"
	m.publish()
	env := newEnv(t, m.dir)
	env.Dates = sources.NewDates(nil, nil)
	if _, err := plan(t, env, m.spec()); err != nil {
		t.Fatal(err)
	}
	for source, before := range env.Dates.After(func(string) bool { return false }) {
		if len(before) < 2 {
			t.Fatalf("dates %v, want those of the index and of its files", before)
		}
		for what := range before {
			later := sources.Dated{what: before[what].AddDate(0, 0, 1)}
			env.Dates = sources.NewDates(map[string]sources.Dated{source: later}, nil)
			_, err := plan(t, env, m.spec())
			var older *upstream.OlderError
			if !errors.As(err, &older) || older.What != what {
				t.Errorf("%s: %v, want a refusal", what, err)
			}
		}
	}
}
