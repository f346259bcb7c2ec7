package examples

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

	"github.com/gapbundle/gapbundle/internal/test/upstreamtest"
)

func TestKubespray(t *testing.T) {
	r := newRegistries(t)
	trip(t, example{
		spec: "kubespray.yaml", adopt: func(j *journey) { adoptKubespray(j, r) }, check: checkKubespray,
		clients: []string{"kubespray"}, base: "https://mirror.lan",
	})
}

// kubesprayLists are the lists of the checkout that stands in for Kubespray.
const kubesprayLists = "kubespray/contrib/offline/temp/"

// adoptKubespray leaves the example's addresses as they are, since Kubespray's checksums
// and registries go by them, and plays their hosts behind a proxy. It counts requests.
func adoptKubespray(j *journey, r *registries) {
	t, dir := j.t, j.dir
	t.Helper()
	hosts := map[string]http.Handler{}
	for _, url := range kubesprayLines(t, "files.list") {
		host, _, _ := strings.Cut(strings.TrimPrefix(url, "https://"), "/")
		hosts[host] = http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			j.asked.Add(1)
			http.ServeContent(w, req, "", time.Unix(1_700_000_000, 0), bytes.NewReader(content(host+req.URL.Path)))
		})
	}
	for _, image := range kubesprayLines(t, "images.list") {
		name, tag, _ := strings.Cut(image, ":")
		r.image(name, tag)
		registry, _, _ := strings.Cut(name, "/")
		hosts[strings.Replace(registry, "docker.io", "registry-1.docker.io", 1)] = http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			j.asked.Add(1)
			if rest, found := strings.CutPrefix(req.URL.Path, "/v2/"); found && rest != "" {
				req.URL.Path = "/v2/" + registry + "/" + rest
			}
			r.ServeHTTP(w, req)
		})
	}
	public := upstreamtest.NewPublic(t, hosts)
	spec, err := os.ReadFile("kubespray.yaml")
	if err != nil {
		t.Fatal(err)
	}
	head, rest, found := strings.Cut(string(spec), "\nhosts:\n")
	_, sources, follows := strings.Cut(rest, "\nsources:\n")
	if !found || !follows {
		t.Fatal("kubespray.yaml has no hosts, or no sources after them")
	}
	head += "\nhosts:\n"
	for _, host := range slices.Sorted(maps.Keys(hosts)) {
		head += fmt.Sprintf("  %s: {proxy: %q, ca: %q}\n", host, public.Proxy, public.CA)
	}
	if err := os.WriteFile(filepath.Join(dir, "kubespray.yaml"), []byte(head+"\nsources:\n"+sources), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(dir, "kubespray")); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(dir, "kubespray"), os.DirFS("kubespray")); err != nil {
		t.Fatal(err)
	}
}

func kubesprayLines(t *testing.T, list string) []string {
	t.Helper()
	text, err := os.ReadFile(kubesprayLists + list)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(string(text))
}

// checkKubespray looks for what the lists name at the places where Kubespray asks for it,
// and for nothing that the example drops.
func checkKubespray(j *journey) {
	t, dir := j.t, j.dir
	t.Helper()
	var places []string
	for _, url := range kubesprayLines(t, "files.list") {
		places = append(places, "files/"+strings.TrimPrefix(url, "https://"))
	}
	for _, image := range kubesprayLines(t, "images.list") {
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
