// Package standin plays the upstreams of the examples of the kind kubespray: the hosts of its files
// and the registries of its images, by their own names.
package standin

import (
	"bytes"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gapbundle/gapbundle/internal/test/journey"
	"github.com/gapbundle/gapbundle/internal/test/registrytest"
	"github.com/gapbundle/gapbundle/internal/test/upstreamtest"
)

const spec = "kubespray.yaml"

// Examples returns the examples of the kind.
func Examples() []journey.Example {
	return []journey.Example{{Spec: spec, Start: func(t *testing.T) journey.Upstream {
		r := registrytest.New(t, registrytest.Options{Plain: true})
		return journey.Upstream{
			Adopt: func(j *journey.Journey) { adopt(j, r) }, Check: check,
			Clients: []string{"kubespray"}, Base: "https://mirror.lan",
		}
	}}}
}

// lists are those of the checkout that plays Kubespray.
const lists = "kubespray/contrib/offline/temp/"

// adopt leaves the example's addresses as they are, since Kubespray's checksums
// and registries go by them, and plays their hosts behind a proxy. It counts requests.
func adopt(j *journey.Journey, r *registrytest.Registry) {
	t, dir := j.T, j.Dir
	t.Helper()
	hosts := map[string]http.Handler{}
	for _, url := range lines(t, "files.list") {
		host, _, _ := strings.Cut(strings.TrimPrefix(url, "https://"), "/")
		hosts[host] = http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			j.Asked.Add(1)
			http.ServeContent(w, req, "", time.Unix(1_700_000_000, 0), bytes.NewReader(journey.Content(host+req.URL.Path)))
		})
	}
	for _, image := range lines(t, "images.list") {
		name, tag, _ := strings.Cut(image, ":")
		r.PutImage(t, name, tag)
		registry, _, _ := strings.Cut(name, "/")
		hosts[strings.Replace(registry, "docker.io", "registry-1.docker.io", 1)] = http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			j.Asked.Add(1)
			if rest, found := strings.CutPrefix(req.URL.Path, "/v2/"); found && rest != "" {
				req.URL.Path = "/v2/" + registry + "/" + rest
			}
			r.ServeHTTP(w, req)
		})
	}
	public := upstreamtest.NewPublic(t, hosts)
	text, err := os.ReadFile(spec)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, found := strings.Cut(string(text), "\nhosts:\n")
	_, sources, follows := strings.Cut(rest, "\nsources:\n")
	if !found || !follows {
		t.Fatal("kubespray.yaml has no hosts, or no sources after them")
	}
	head += "\nhosts:\n"
	for _, host := range slices.Sorted(maps.Keys(hosts)) {
		head += fmt.Sprintf("  %s: {proxy: %q, ca: %q}\n", host, public.Proxy, public.CA)
	}
	j.Write(spec, []byte(head+"\nsources:\n"+sources))
	if err := os.RemoveAll(filepath.Join(dir, "kubespray")); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(dir, "kubespray"), os.DirFS("kubespray")); err != nil {
		t.Fatal(err)
	}
}

func lines(t *testing.T, list string) []string {
	t.Helper()
	text, err := os.ReadFile(lists + list)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(string(text))
}

// check looks for what the lists name at the places where Kubespray asks for it,
// and for nothing that the example drops.
func check(j *journey.Journey) {
	t, dir := j.T, j.Dir
	t.Helper()
	var places []string
	for _, url := range lines(t, "files.list") {
		places = append(places, "files/"+strings.TrimPrefix(url, "https://"))
	}
	for _, image := range lines(t, "images.list") {
		name, tag, _ := strings.Cut(image, ":")
		places = append(places, "v2/"+name+"/manifests/"+tag)
	}
	if len(places) != 20 {
		t.Errorf("the lists name %d files and images: the example was changed", len(places))
	}
	for _, place := range places {
		_, err := os.Stat(filepath.Join(dir, "mirror/current", filepath.FromSlash(place)))
		if dropped := strings.Contains(place, "youki") || strings.Contains(place, "amazon"); dropped != os.IsNotExist(err) || !dropped && err != nil {
			t.Errorf("%s: %v; dropped: %t", place, err, dropped)
		}
	}
}
