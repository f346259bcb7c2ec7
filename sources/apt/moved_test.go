package apt

import (
	"bytes"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
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
				res := x.Run(a.spec(mode))
				if n := a.server.Requests(a.base() + "InRelease"); res.Sequence != 1 || n != 2 {
					t.Errorf("number %d, InRelease was read %d times, want twice", res.Sequence, n)
				}
				if again := x.Run(a.spec(mode)); !again.Nothing {
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
	_, err := x.Try(a.spec())
	if !errors.Is(err, fetch.ErrUpstream) || !strings.Contains(err.Error(), a.server.URL(pool)) || !strings.Contains(err.Error(), "read once more") {
		t.Errorf("got %v", err)
	}
}

// All packages that are gone or have other bytes are named in one run, and can be left
// out by name and version.
func TestEveryBadPackageIsNamed(t *testing.T) {
	a := newArchive(t, t.TempDir())
	a.packages["main amd64"] = append(a.packages["main amd64"], pkg("hello", "2.9-1", "amd64", ""), pkg("large", "1", "amd64", ""), pkg("large", "2", "amd64", ""))
	for _, version := range []string{"1", "2"} {
		a.content[a.pool("main", "large", version, "amd64")] = strings.Repeat("0123456789"+version, bundle.SmallBlob/8)
	}
	a.publish()
	at := func(name, version string) string { return a.at + "/" + a.pool("main", name, version, "amd64") }
	right := a.body(a.pool("main", "libhello", "2.10-3", "amd64"))
	a.server.Put(at("libhello", "2.10-3"), bytes.ToUpper(right))
	a.server.Put(at("other", "1"), []byte("something longer than it was"+string(a.body(a.pool("main", "other", "1", "amd64")))))
	a.server.Remove(at("hello", "2.9-1"))
	a.server.Remove(at("large", "2"))
	x := newExporter(t, a.dir)
	run := func(more ...string) error {
		_, err := x.Try(a.spec(more...))
		return err
	}
	err := run()
	if !errors.Is(err, fetch.ErrUpstream) {
		t.Fatalf("got %v, want ErrUpstream", err)
	}
	for name, bad := range map[string]bool{"libhello_2.10-3": true, "other_1": true, "/hello_2.9-1": true, "large_2": true, "large_1": false, "/hello_2.10-3": false, "data_1": false} {
		if strings.Contains(err.Error(), name) != bad {
			t.Errorf("%s: is bad: %v; got %v", name, bad, err)
		}
	}
}
