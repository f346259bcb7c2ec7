package standins

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/internal/test/journey"
	apt "github.com/gapbundle/gapbundle/sources/apt/standin"
	rpm "github.com/gapbundle/gapbundle/sources/rpm/standin"
)

// own returns the example of gapbundle's own packages, which needs an apt and an rpm
// repository at one host.
func own() journey.Example {
	return journey.Example{Spec: "self.yaml", Start: func(t *testing.T) journey.Upstream {
		debs, rpms := apt.Examples()[0].Start(t).Hosts, rpm.Examples()[0].Start(t).Hosts
		hosts := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.Contains(r.URL.Path, "/rpm/") {
				rpms.ServeHTTP(w, r)
				return
			}
			debs.ServeHTTP(w, r)
		})
		key := func(of http.Handler) []byte {
			w := httptest.NewRecorder()
			of.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "http://a.example/gpg", nil))
			return w.Body.Bytes()
		}
		return journey.Upstream{Hosts: hosts, Clients: []string{"apt", "dnf"}, Adopt: func(j *journey.Journey) {
			j.Write("keys/gapbundle-release.asc", slices.Concat(key(debs), key(rpms)))
		}}
	}}
}
