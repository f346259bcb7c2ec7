package pypi

import (
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/test/upstreamtest"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/pypi/piptest"
	"github.com/gapbundle/gapbundle/sources/sourcetest"
)

// world is an index with an application that wants a library.
type world struct {
	*piptest.Index
	t *testing.T
}

func newWorld(t *testing.T) *world {
	t.Helper()
	return &world{&piptest.Index{Server: upstreamtest.New(t), Projects: map[string][]*piptest.File{}}, t}
}

func (w *world) add(wheels ...piptest.Wheel) *world {
	w.t.Helper()
	for _, one := range wheels {
		w.Projects[one.Name] = append(w.Projects[one.Name], one.Build(w.t))
	}
	w.Put()
	return w
}

func (w *world) payload() map[string][]byte {
	all := map[string][]byte{}
	for _, files := range w.Projects {
		for _, f := range files {
			all["/files/"+f.Name] = f.Content
		}
	}
	return all
}

func TestSuite(t *testing.T) {
	sourcetest.Run(t, sourcetest.Suite{
		Kinds: sources.Kinds{Kind()}, Counted: "files",
		Renamed: true,
		New: func(t *testing.T, _ string) *sourcetest.Upstream {
			w := newWorld(t).add(
				piptest.Wheel{Name: "app", Version: "1.0", Requires: []string{"lib>=1", `old; python_version < "3.10"`}, Module: strings.Repeat("# code\n", 20_000)},
				piptest.Wheel{Name: "lib", Version: "1.0", RequiresPython: ">=3.8"}, piptest.Wheel{Name: "old", Version: "1.0"},
			)
			spec := "- name: python\n  kind: pypi\n  index: " + w.URL() + "\n  packages: app\n  targets:\n" +
				"    - {python: \"3.12\", platform: manylinux_2_28_x86_64}\n    - {python: \"3.9\", platform: [manylinux2014_x86_64, manylinux2014_aarch64]}\n"
			metadata := "/files/lib-1.0-py3-none-any.whl.metadata"
			return &sourcetest.Upstream{
				Server: w.Server, Sources: spec, Payload: w.payload(),
				Next: [2]func() string{
					func() string {
						w.add(piptest.Wheel{Name: "lib", Version: "2.0"})
						return spec
					},
					func() string {
						w.add(piptest.Wheel{Name: "app", Version: "2.0"})
						return spec
					},
				},
				Unsigned: func() string { return spec },
				Nothing: []sourcetest.Nothing{
					{Sources: strings.Replace(spec, "packages: app", "packages: [app, nosuch]", 1), Names: []string{"packages wants nosuch", "no index has it"}},
					{Sources: strings.Replace(spec, "packages: app", "packages: app>=9", 1), Names: []string{"packages wants app>=9", "no version meets >=9"}},
				},
				Forgeries: []sourcetest.Forgery{
					{Name: "other metadata", Do: func() { w.Server.Put(metadata, []byte("Name: lib\nVersion: 1.0\n")) }, Class: fetch.ErrUpstream, Names: []string{metadata, "sha256:"}},
					{Name: "a page of something else", Do: func() {
						w.Server.PutFile(piptest.Page("lib"), upstreamtest.File{Content: []byte("<p>log in first"), Type: "text/plain"})
					}, Class: fetch.ErrUpstream, Names: []string{piptest.Page("lib"), "text/plain"}},
					{Name: "another API", Do: func() {
						w.Server.PutFile(piptest.Page("lib"), upstreamtest.File{Content: []byte(`{"meta":{"api-version":"2.0"},"files":[]}`), Type: piptest.JSONType})
					}, Class: fetch.ErrUpstream, Names: []string{piptest.Page("lib"), "2.0"}},
				},
			}
		},
	})
}
