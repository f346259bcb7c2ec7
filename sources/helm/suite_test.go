package helm

import (
	"testing"

	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/test/upstreamtest"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/helm/helmtest"
	"github.com/gapbundle/gapbundle/sources/oci"
	"github.com/gapbundle/gapbundle/sources/sourcetest"
)

// TestSuite runs the shared suite without images: no package is read by a plan.
func TestSuite(t *testing.T) {
	sourcetest.Run(t, sourcetest.Suite{
		Kinds: sources.Kinds{Kind(), oci.Kind()}, Counted: "charts",
		New: func(t *testing.T, dir string) *sourcetest.Upstream {
			w := newWorld(t, dir)
			w.simple("app", "1.0.0", "quay.io/a/b:c")
			first := w.simple("app", "1.1.0", "quay.io/a/b:c")
			second := w.simple("tool", "2.0.0", "quay.io/a/b:c")
			spec := w.spec("charts:", "- {repo: REPO, chart: app, newest: 2}", "- {repo: REPO, chart: tool}", "images: {mode: none}")
			return &sourcetest.Upstream{
				Server: w.server, Sources: spec,
				Payload: map[string][]byte{root + "app-1.1.0.tgz": first, root + "tool-2.0.0.tgz": second},
				Next: [2]func() string{
					func() string { w.simple("app", "1.2.0", "quay.io/a/b:c"); return spec },
					func() string {
						return w.spec("charts:", "- {repo: REPO, chart: app, newest: 2}", "images: {mode: none}")
					},
				},
				Unsigned: func() string { return spec },
				Nothing: []sourcetest.Nothing{
					{Sources: w.spec("charts: {repo: REPO, chart: nosuch}", "images: {mode: none}"), Names: []string{"nosuch", "app, tool"}},
					{Sources: w.spec("charts: {repo: REPO, chart: app, version: \">=9\"}", "images: {mode: none}"), Names: []string{">=9", "1.1.0, 1.0.0"}},
				},
				Forgeries: []sourcetest.Forgery{
					{Name: "other bytes", Do: func() { w.server.Put(root+"app-1.1.0.tgz", helmtest.Simple(t, "app", "1.1.0", "quay.io/evil/b:c")) },
						Class: fetch.ErrUpstream, Names: []string{w.url("app-1.1.0.tgz"), "want", "got"}},
					{Name: "package gone", Do: func() { w.server.FailAlways(root+"app-1.1.0.tgz", upstreamtest.Status(404)) },
						Class: fetch.ErrUpstream, Names: []string{w.url("app-1.1.0.tgz"), "404"}},
					{Name: "index gone", Do: func() { w.server.Remove(root + "index.yaml") }, Class: fetch.ErrUpstream, Names: []string{w.url("index.yaml"), "404"}},
					{Name: "no index", Do: func() { w.server.Put(root+"index.yaml", []byte("<html></html>")) }, Class: fetch.ErrUpstream, Names: []string{w.url("index.yaml")}},
					{Name: "another chart's package", Do: func() {
						w.server.Put(root+"app-1.1.0.tgz", helmtest.Simple(t, "other", "1.1.0", "quay.io/a/b:c"))
						w.edit("app-1.1.0", "    digest: ", "    annotations: {was: x}\n    # ")
					}, Class: fetch.ErrUpstream, Names: []string{w.url("app-1.1.0.tgz"), "want the chart app 1.1.0, got other 1.1.0"}},
					{Name: "a dependency is missing", Do: func() {
						w.chart("app", "1.1.0", helmtest.Package(t, "app", map[string]string{
							"Chart.yaml": "apiVersion: v2\nname: app\nversion: 1.1.0\ndependencies: [{name: db, version: 1.x, repository: \"https://a.example\"}]\n"}))
					}, Class: fetch.ErrUpstream, Names: []string{w.url("app-1.1.0.tgz"), "dependency db 1.x"}},
				},
			}
		},
	})
}

// TestSuiteImages runs it with charts whose images are carried: those are the payload.
func TestSuiteImages(t *testing.T) {
	program := helmtest.Program(t)
	sourcetest.Run(t, sourcetest.Suite{
		Kinds: sources.Kinds{Kind(), oci.Kind()}, Counted: "charts", Program: program,
		New: func(t *testing.T, dir string) *sourcetest.Upstream {
			w := withRegistry(t, dir)
			layer := w.image("team/app", "v1")
			w.image("team/tool", "v1")
			write(t, dir+"/values.yaml", "replicas: 2\n")
			w.simple("app", "1.0.0", w.host()+"/team/app:v1")
			w.simple("tool", "2.0.0", w.host()+"/team/tool:v1")
			spec := w.spec("charts:", "- {repo: REPO, chart: app, values: values.yaml}", "- {repo: REPO, chart: tool}", "images: {plain-http: [\"HOST\"]}")
			blob := "/v2/team/app/blobs/" + descriptor("", layer).Digest.String()
			return &sourcetest.Upstream{
				Server: w.registry.Server, Sources: spec, Payload: map[string][]byte{blob: layer},
				Next: [2]func() string{
					func() string {
						w.image("team/app", "v2")
						w.simple("app", "1.1.0", w.host()+"/team/app:v2")
						return spec
					},
					func() string {
						return w.spec("charts: {repo: REPO, chart: app}", "images: {plain-http: [\"HOST\"]}")
					},
				},
				Unsigned: func() string { return spec },
				Nothing: []sourcetest.Nothing{
					{Sources: w.spec("charts: {repo: REPO, chart: app}", "images: {plain-http: [\"HOST\"], drop: [\"nosuch*\"]}"), Names: []string{"drop", "nosuch*", w.host() + "/team/app:v1"}},
					{Sources: w.spec("charts: {repo: REPO, chart: app}", "images: {plain-http: [\"HOST\"], accept: [\"nosuch*\"]}"), Names: []string{"accept", "nosuch*"}},
				},
				Forgeries: []sourcetest.Forgery{
					{Name: "image gone", Do: func() { w.registry.RemoveTag("team/app", "v1") }, Class: fetch.ErrUpstream, Names: []string{w.host(), "team/app"}},
					{Name: "layer gone", Do: func() { w.registry.FailAlways(blob, upstreamtest.Status(404)) }, Class: fetch.ErrUpstream, Names: []string{blob}},
				},
			}
		},
	})
}
