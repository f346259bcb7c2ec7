package apt

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/sources/export"
)

// An archive that is updated between its indexes and its pool: the package is
// gone, or another one of the same name. All is planned once more, and what
// is carried is the new state, whole.
func TestArchiveMovesWhileCollected(t *testing.T) {
	for name, mode := range map[string]string{"verbatim": "mode: verbatim", "rebuilt": "packages: [hello]"} {
		for how, update := range map[string]func(a *archive, pool string){
			"gone": func(a *archive, pool string) {
				a.packages["main amd64"] = append(a.packages["main amd64"][1:], pkg("hello", "2.11-1", "amd64", "Depends: libhello"))
				a.server.Remove(pool)
			},
			"replaced": func(a *archive, _ string) { a.content[a.pool("main", "hello", "2.10-3", "amd64")] = "another build" },
		} {
			t.Run(name+", "+how, func(t *testing.T) {
				a := newArchive(t, t.TempDir())
				a.publish()
				pool := a.at + "/" + a.pool("main", "hello", "2.10-3", "amd64")
				a.server.Fail(pool, func(right http.Handler) http.Handler {
					return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						update(a, pool)
						a.publish()
						right.ServeHTTP(w, r)
					})
				})
				x := newExporter(t, a.dir)
				res := x.run(a.spec(mode))
				if n := a.server.Requests(a.base() + "InRelease"); res.Sequence != 1 || n != 2 {
					t.Errorf("number %d, InRelease was read %d times, want twice", res.Sequence, n)
				}
				if again := x.run(a.spec(mode)); !again.Nothing {
					t.Error("what was carried is not what upstream has")
				}
			})
		}
	}
}

// One that stays at odds with itself is refused, with both findings.
func TestArchiveStaysAtOdds(t *testing.T) {
	a := newArchive(t, t.TempDir())
	a.publish()
	pool := a.at + "/" + a.pool("main", "hello", "2.10-3", "amd64")
	a.server.Put(pool, []byte("something else"))
	x := newExporter(t, a.dir)
	x.write("gapbundle.yaml", []byte("version: 1\nname: demo\nsigning: {exporter: exporter.key}\nsources:\n"+a.spec()))
	o := x.o
	o.Now, o.Targets = x.now, []string{t.TempDir()}
	_, err := export.Run(t.Context(), o)
	if !errors.Is(err, fetch.ErrUpstream) || !strings.Contains(err.Error(), a.server.URL(pool)) || !strings.Contains(err.Error(), "read once more") {
		t.Errorf("got %v", err)
	}
}
