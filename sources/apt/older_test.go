package apt

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/sources/export"
	"github.com/gapbundle/gapbundle/sources/sourcetest"
	"github.com/gapbundle/gapbundle/sources/upstream"
)

// dated puts the archive on the server with another date and another package.
func (a *archive) dated(day string) {
	a.t.Helper()
	a.fields = "Origin: Test\nSuite: stable\nCodename: trixie\nDate: " + day + " 12:00:00 UTC\n"
	a.packages["main amd64"][3] = pkg("other", strings.ReplaceAll(day[5:], " ", "."), "amd64", "")
	a.publish()
}

const newerDay, olderDay = "Sat, 31 Oct 2026", "Thu, 01 Oct 2026"

// attempt exports and returns how often the export waited.
func attempt(x *sourcetest.Exporter, text string, change func(*export.Options)) (res *export.Result, waits int, err error) {
	x.T.Helper()
	res, err = x.Try(text, func(o *export.Options) {
		o.Wait = func(context.Context, time.Duration) error { waits++; return nil }
		change(o)
	})
	return res, waits, err
}

func nothingElse(*export.Options) {}

// TestOlderRelease: a Release that is signed as well as the one of the last export and is
// older is refused, whatever becomes of it; held or allowed the export goes on.
func TestOlderRelease(t *testing.T) {
	for name, mode := range map[string]string{"verbatim": "mode: verbatim", "rebuilt": "packages: [hello, other]"} {
		t.Run(name, func(t *testing.T) {
			a := newArchive(t, t.TempDir())
			x := newExporter(t, a.dir)
			spec := a.spec(mode)
			a.dated(newerDay)
			x.Run(spec)
			a.dated(olderDay)

			a.server.ResetCounts()
			_, waits, err := attempt(x, spec, nothingElse)
			var older *upstream.OlderError
			if !errors.As(err, &older) || !errors.Is(err, fetch.ErrRefused) || older.Source != "os" || waits != 1 || a.server.Requests(a.base()+"InRelease") != 2 {
				t.Fatalf("%v, waited %d times, %d requests; want a refusal after one later attempt", err, waits, a.server.Requests(a.base()+"InRelease"))
			}
			for _, want := range []string{"2026-10-31 12:00:00 UTC", "2026-10-01 12:00:00 UTC", "dists/stable/Release"} {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%v: does not name %s", err, want)
				}
			}
			if res, waits, err := attempt(x, spec, func(o *export.Options) { o.Hold = []string{"os"} }); err != nil || !res.Nothing || waits != 0 {
				t.Fatalf("held: %v, %v, waited %d times", res, err, waits)
			}
			if _, _, err := attempt(x, spec, nothingElse); !errors.As(err, &older) {
				t.Fatalf("after it was held: %v", err)
			}
			if _, _, err := attempt(x, spec, func(o *export.Options) { o.AllowOlder = []string{"so"} }); err == nil || !strings.Contains(err.Error(), `--allow-older: source "so": not in the spec`) {
				t.Fatalf("another name: %v", err)
			}
			res, waits, err := attempt(x, spec, func(o *export.Options) { o.AllowOlder = []string{"os"} })
			if err != nil || res.Nothing || waits != 0 || !slices.Contains(overridesOf(t, res), "allow-older os") {
				t.Fatalf("allowed: %v, %v, waited %d times", res, err, waits)
			}
			if res, _, err := attempt(x, spec, nothingElse); err != nil || !res.Nothing {
				t.Fatalf("after it was allowed: %v, %v", res, err)
			}
			a.dated(newerDay)
			if res, _, err := attempt(x, spec, func(o *export.Options) { o.AllowOlder = []string{"os"} }); err != nil || len(overridesOf(t, res)) != 1 {
				t.Fatalf("newer again: %v, %v: an override that was not needed is recorded", res, err)
			}
		})
	}
}

func overridesOf(t *testing.T, res *export.Result) []string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(res.Dirs[0], "bundle.json"))
	if err != nil {
		t.Fatal(err)
	}
	_, list, _ := strings.Cut(string(b), `"overrides":[`)
	list, _, _ = strings.Cut(list, "]")
	return strings.Split(strings.ReplaceAll(list, `"`, ""), ",")
}

// TestLateEdge: an edge that is not up to date yet is asked once more, and no dates of an
// export of before are no reason to refuse anything.
func TestLateEdge(t *testing.T) {
	a := newArchive(t, t.TempDir())
	x := newExporter(t, a.dir)
	a.dated(newerDay)
	x.Run(a.spec())
	right := a.server
	a.dated(olderDay)
	asked := 0
	right.Fail(a.base()+"InRelease", func(old http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			old.ServeHTTP(w, r)
			if asked++; asked == 1 {
				a.dated(newerDay)
			}
		})
	})
	if res, waits, err := attempt(x, a.spec(), nothingElse); err != nil || res.Sequence != 2 || waits != 1 {
		t.Fatalf("%v, %v, waited %d times", res, err, waits)
	}
	a.dated(olderDay)
	if err := os.Remove(filepath.Join(a.dir, ".gapbundle", "demo", "dates.json")); err != nil {
		t.Fatal(err)
	}
	if res, waits, err := attempt(x, a.spec(), nothingElse); err != nil || res.Nothing || waits != 0 {
		t.Fatalf("a ledger without dates: %v, %v, waited %d times", res, err, waits)
	}
}
