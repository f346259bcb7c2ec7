package sourcetest

import (
	"net/url"
	"path"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources"
)

// publicAddresses: what comes from an upstream is in the mirror at the place that
// stands for its address, and travels there with the root.
func publicAddresses(t *testing.T, s Suite) {
	r := newRig(t, s)
	resolved, done := r.resolve()
	defer done()
	origins := map[string]string{} // by web path
	var addresses []address
	for _, repo := range resolved.Repositories {
		web := 0
		for a, err := range repo.Artifacts() {
			if err != nil {
				t.Fatal(err)
			}
			origins[path.Join(repo.Mount, a.File.Path)] = a.Evidence.Origin
			if a.Evidence.Vouched != bundle.VouchedMade && isWeb(a.Evidence.Origin) {
				web++
			}
		}
		if web > 0 && len(repo.Public) == 0 {
			t.Errorf("source %s: %d files of upstream, and no public address", repo.Name, web)
		}
		for _, p := range repo.Public {
			addresses = append(addresses, address{repo.Name, repo.Mount, p})
		}
		travelled, err := bundle.PublicOf(repo.Annotations)
		if err != nil || len(travelled) == 0 && len(repo.Public) > 0 {
			t.Errorf("source %s: annotations have %d public addresses, %v", repo.Name, len(travelled), err)
		}
	}
	for _, a := range addresses {
		found := 0
		for _, origin := range origins {
			place, covered := a.place(origin)
			there, listed := origins[place]
			if !listed {
				there, listed = origins[path.Join(place, "index.html")]
			}
			switch {
			case !covered || !listed:
			case there == "": // an index that was made here, in upstream's place
			case there != origin:
				t.Errorf("source %s: %s would be answered by %s, which is from %s", a.source, origin, place, there)
			default:
				found++
			}
		}
		if place := path.Join(a.mount, a.public.At) + "/"; s.Renamed && found == 0 {
			for at := range origins {
				if strings.HasPrefix(at, place) {
					found++
				}
			}
		}
		if found == 0 {
			t.Errorf("source %s: nothing is in the mirror where %+v stands for it", a.source, a.public)
		}
	}
}

type address struct {
	source, mount string
	public        sources.Public
}

// place returns the web path that stands for a URL.
func (a address) place(origin string) (string, bool) {
	u, err := url.Parse(origin)
	if err != nil || u.Scheme != a.public.Scheme || u.Host != a.public.Host {
		return "", false
	}
	rest, below := strings.CutPrefix(u.Path, a.public.Path)
	if !below || rest != "" && rest[0] != '/' {
		return "", false
	}
	return path.Join(a.mount, a.public.At, rest), true
}

func isWeb(origin string) bool {
	return strings.HasPrefix(origin, "http://") || strings.HasPrefix(origin, "https://")
}
