package simulation

import (
	"fmt"
	"maps"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/gapbundle/gapbundle/internal/test/upstreamtest"
)

const (
	seedsInCI = 1000
	steps     = 18
	// enough failures are shown; there is no use in thousands
	enough = 10
)

// TestSeeds plays the same 1,000 seeds each time. GAPBUNDLE_SEED=N plays that one alone and prints its steps,
// GAPBUNDLE_SEEDS=N plays N of them, from GAPBUNDLE_SEED on if that is set, too.
func TestSeeds(t *testing.T) {
	first, count := number(t, "GAPBUNDLE_SEED", 0), number(t, "GAPBUNDLE_SEEDS", seedsInCI)
	alone := os.Getenv("GAPBUNDLE_SEED") != "" && os.Getenv("GAPBUNDLE_SEEDS") == ""
	if alone {
		count = 1
	}
	defer debug.SetGCPercent(debug.SetGCPercent(400))
	var next, failed atomic.Int64
	next.Store(int64(first))
	var all sync.WaitGroup
	var guard sync.Mutex
	total := map[string]int{}
	for range runtime.GOMAXPROCS(0) {
		up := upstreamtest.New(t)
		all.Go(func() {
			for seed := next.Add(1) - 1; seed < int64(first+count) && failed.Load() < enough; seed = next.Add(1) - 1 {
				o := play(t, up, uint64(seed), steps, sabotage{})
				guard.Lock()
				for what, n := range o.counts {
					total[what] += n
				}
				guard.Unlock()
				steps := strings.Join(o.log, "\n")
				switch {
				case o.err != nil:
					failed.Add(1)
					t.Errorf("seed %d: %v\nits steps:\n%s\nto play it again: GAPBUNDLE_SEED=%d go test -count=1 -v -run 'TestSeeds$' ./internal/simulation", seed, o.err, steps, seed)
				case alone:
					t.Logf("seed %d\n%s", seed, steps)
				}
			}
		})
	}
	all.Wait()
	for _, what := range slices.Sorted(maps.Keys(total)) {
		t.Logf("%6d %s", total[what], what)
	}
	if count >= seedsInCI && failed.Load() == 0 {
		happened(t, total)
	}
}

// happened: of 1,000 seeds each of these has some, or the simulation has become one of something else.
func happened(t *testing.T, total map[string]int) {
	t.Helper()
	for _, what := range []string{
		"address", "export", "export that was stopped", "forget", "gc", "gc of a generation", "import",
		"import next to a harmed one", "import of a delta", "import of a number used twice", "import of what waited",
		"import that heals", "import with a damaged state", "killed command", "killed export", "killed import",
		"known bundle", "reader that goes on: 206", "receipt", "refusal of an expired bundle",
		"refusal of an older bundle", "refusal of another stream", "repair", "rollback", "state rebuild",
		"two bundles of one number at hand", "withdraw",
	} {
		if total[what] < 5 {
			t.Errorf("%q happened %d times: nothing of it was checked", what, total[what])
		}
	}
}

func number(t *testing.T, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		t.Fatal(fmt.Errorf("%s=%q: want a number", name, text))
	}
	return n
}
