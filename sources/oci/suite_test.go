package oci

import (
	"fmt"
	"testing"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/test/upstreamtest"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/sourcetest"
)

func TestSuite(t *testing.T) {
	sourcetest.Run(t, sourcetest.Suite{
		Kinds: sources.Kinds{Kind()}, Counted: "tags", FirstAlone: true,
		New: func(t *testing.T, dir string) *sourcetest.Upstream {
			w := newWorld(t, dir)
			amd := w.image("team/app", "amd64", "base", "one")
			app := w.index("team/app", []v1.Descriptor{amd, w.image("team/app", "arm64", "base-arm", "one")}, "v1", "latest")
			w.refer("team/app", app, "application/x-sbom", noise("sbom", 500))
			w.tagged("tool", w.image("tool", "amd64", "tool-base", "tool"), "v1")
			w.write("nothing.list", []byte("# all of it was taken out\n"))
			spec := w.spec("images", "images: [HOST/team/app:v1, HOST/team/app:latest, HOST/tool:v1]")
			at := func(name, area, reference string) string { return fmt.Sprintf("/v2/%s/%s/%s", name, area, reference) }
			layer := func(name string) (string, []byte) {
				content := noise(name, 3000)
				return at("team/app", areaBlobs, describe("", content).Digest.String()), content
			}
			payload := map[string][]byte{}
			for _, name := range []string{"base", "one", "base-arm"} {
				path, content := layer(name)
				payload[path] = content
			}
			gone, _ := layer("one")
			manifest := at("team/app", areaManifests, amd.Digest.String())
			return &sourcetest.Upstream{
				Server: w.Server, Sources: spec, Payload: payload,
				Next: [2]func() string{
					func() string {
						w.index("team/app", []v1.Descriptor{w.image("team/app", "amd64", "base", "two")}, "latest")
						w.tagged("more", w.image("more", "amd64", "tool-base", "more"), "v1")
						return w.spec("images", "images: [HOST/team/app:v1, HOST/team/app:latest, HOST/tool:v1, HOST/more:v1]")
					},
					func() string { return w.spec("images", "images: [HOST/team/app:latest, HOST/more:v1]") },
				},
				Unsigned: func() string { return spec },
				Nothing: []sourcetest.Nothing{
					{Sources: w.spec("images", "repositories: [{repository: HOST/team/app, tags: /nosuch/}]"), Names: []string{"/nosuch/", "latest, v1"}},
					{Sources: w.spec("images", "repositories: [{repository: HOST/team/app, tags: \">=9\"}]"), Names: []string{">=9", "latest, v1"}},
					{Sources: w.spec("images", "images: HOST/team/app:v1", "platforms: linux/s390x"), Names: []string{"linux/s390x", "linux/amd64, linux/arm64"}},
					{Sources: w.spec("images", "list: nothing.list"), Names: []string{"list nothing.list", "no image"}},
				},
				Forgeries: []sourcetest.Forgery{
					{Name: "manifest replaced", Do: func() { w.Put(manifest, []byte(`{"schemaVersion":2}`)) },
						Class: fetch.ErrUpstream, Names: []string{w.URL(manifest), amd.Digest.String()}},
					{Name: "manifest gone", Do: func() { w.FailAlways(manifest, upstreamtest.Status(404)) },
						Class: fetch.ErrUpstream, Names: []string{w.URL(manifest), "404"}},
					{Name: "layer gone", Do: func() { w.FailAlways(gone, upstreamtest.Status(404)) },
						Class: fetch.ErrUpstream, Names: []string{w.URL(gone)}},
				},
			}
		},
	})
}
