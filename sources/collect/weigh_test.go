package collect

import (
	"errors"
	"iter"
	"slices"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources"
)

// Lines weigh what is at their places, in whichever repository it is.
func TestWeigh(t *testing.T) {
	repository := func(name, mount string, sizes map[string]int64) Planned {
		var all []sources.Artifact
		for path, size := range sizes {
			all = append(all, sources.Artifact{File: bundle.File{Path: path, Size: size}})
		}
		return Planned{Repository: sources.Repository{Name: name, Mount: mount, Artifacts: sources.List(all)}}
	}
	broken := Planned{Repository: sources.Repository{Name: "other", Mount: "apt/other", Artifacts: func() iter.Seq2[sources.Artifact, error] {
		return func(yield func(sources.Artifact, error) bool) { yield(sources.Artifact{}, errors.New("not asked for")) }
	}}}
	r := &Resolved{Repositories: []Planned{
		broken,
		repository("a", "files", map[string]int64{"host/tool": 5, "host/tool2": 7}),
		repository("b", "files", map[string]int64{"host/other": -1}),
		repository("c", "v2", map[string]int64{"quay.io/a/b/blobs/x": 100, "quay.io/a/b/manifests/y": 1, "quay.io/a/bc/blobs/x": 100, "quay.io/a/b/c/blobs/z": 1000}),
	}}
	got, err := r.Weigh([]sources.Line{
		{Text: "tool", Paths: []string{"files/host/tool"}}, {Text: "other", Paths: []string{"files/host/other"}},
		{Text: "a/b", Paths: []string{"v2/quay.io/a/b/blobs/", "v2/quay.io/a/b/manifests/"}}, {Text: "nothing", Paths: []string{"v2/quay.io/none/blobs/"}},
	})
	want := []Weight{{Line: "a/b", Bytes: 101, Files: 2}, {Line: "tool", Bytes: 5, Files: 1}, {Line: "other", Files: 1, Unsized: 1}, {Line: "nothing"}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %+v, %v\nwant %+v", got, err, want)
	}
	if none, err := r.Weigh(nil); err != nil || len(none) != 0 {
		t.Errorf("no lines: %v, %v", none, err)
	}
}
