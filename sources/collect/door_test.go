package collect_test

import (
	"errors"
	"iter"
	"runtime"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/collect"
)

// item returns an artifact of upstream, or with no origin of the exporter's own disk.
func item(path string, size int64, origin string) sources.Artifact {
	vouched := bundle.VouchedIndex
	if origin == "" {
		vouched = bundle.VouchedLocal
	}
	return sources.Artifact{
		File:     bundle.File{Path: path, Size: size, Digest: bundle.DigestOf([]byte(path))},
		Evidence: bundle.Evidence{Origin: origin, Vouched: vouched},
	}
}

func repository(name, mount string, artifacts ...sources.Artifact) collect.Planned {
	return collect.Planned{Kind: "k", Repository: sources.Repository{Name: name, Mount: mount, Artifacts: func() iter.Seq2[sources.Artifact, error] {
		return func(yield func(sources.Artifact, error) bool) {
			for _, a := range artifacts {
				if !yield(a, nil) {
					return
				}
			}
		}
	}}}
}

// TestDoor: what may not pass is named with source, URL and path, by whose fault it
// is, before anything is laid out by it.
func TestDoor(t *testing.T) {
	const url = "https://upstream.example/x"
	const tib = int64(1) << 40
	filled := item("page", 1<<20+1, url)
	filled.File.Filled = true
	drawing, turned := item("a", 1, url), item("a", 1, url)
	drawing.Evidence.Reason = "needed by \x1b[2Jx"
	turned.File.Annotations = map[string]string{"title": "a\u202eb"}
	for name, test := range map[string]struct {
		artifacts []sources.Artifact
		room      int64
		class     error
		names     []string
	}{
		"nothing":           {artifacts: []sources.Artifact{item("a", 16*tib, url), item("b", -1, url), item("c", 0, "")}},
		"2^53-1":            {[]sources.Artifact{item("a", bundle.MaxInteger, url)}, 0, fetch.ErrUpstream, []string{url, `"a"`, "size 9007199254740991"}},
		"above 16 TiB":      {[]sources.Artifact{item("a", 16*tib+1, url)}, 0, fetch.ErrUpstream, []string{url, "at most 17592186044416"}},
		"above 16 TiB, own": {[]sources.Artifact{item("a", 16*tib+1, "")}, 0, bundle.ErrUsage, []string{`"a"`}},
		"negative":          {[]sources.Artifact{item("a", -2, url)}, 0, fetch.ErrUpstream, []string{"size -2"}},
		"above the targets": {[]sources.Artifact{item("a", 101, url)}, 100, bundle.ErrUsage, []string{url, "file systems have 100 together"}},
		"twice":             {[]sources.Artifact{item("a", 1, url), item("a", 1, url)}, 0, fetch.ErrUpstream, []string{url, "listed twice"}},
		"not in order":      {[]sources.Artifact{item("b", 1, url), item("a", 1, url)}, 0, fetch.ErrUpstream, []string{url, "not in order"}},
		"file and folder":   {[]sources.Artifact{item("a", 1, url), item("a/b", 1, url)}, 0, fetch.ErrUpstream, []string{url, "both a file and a folder"}},
		"outside":           {[]sources.Artifact{item("../a", 1, url)}, 0, fetch.ErrUpstream, []string{url, "../a"}},
		"a server's own":    {[]sources.Artifact{item("a/.htaccess", 1, url)}, 0, fetch.ErrUpstream, []string{url, "a name that web servers take as their own"}},
		"IIS's own":         {[]sources.Artifact{item("Web.config", 1, "")}, 0, bundle.ErrUsage, []string{"Web.config"}},
		"a dot":             {artifacts: []sources.Artifact{item(".treeinfo", 1, url), item(".well-known/x", 1, url)}},
		"outside, own":      {[]sources.Artifact{item("../a", 1, "")}, 0, bundle.ErrUsage, []string{"../a"}},
		"a text that draws": {[]sources.Artifact{drawing}, 0, fetch.ErrUpstream, []string{url, "U+001B"}},
		"a text that turns": {[]sources.Artifact{turned}, 0, fetch.ErrUpstream, []string{url, "U+202E"}},
		"a page too large":  {[]sources.Artifact{filled}, 0, fetch.ErrUpstream, []string{url, "filled"}},
		"several": {[]sources.Artifact{item("a", 17*tib, url), item("b", 18*tib, url)}, 0, fetch.ErrUpstream,
			[]string{`"a"`, `"b"`}},
		"more volumes than there are": {[]sources.Artifact{item("a", 16*tib-1, url)}, -1, bundle.ErrUsage, []string{url, "65535 volumes"}},
	} {
		r := &collect.Resolved{Repositories: []collect.Planned{repository("one", "m/one", test.artifacts...)}}
		o := collect.SurveyOptions{VolumeSize: bundle.DefaultVolumeSize, Room: max(0, test.room)}
		if test.room < 0 {
			o.VolumeSize = bundle.MinVolumeSize
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := r.Survey(o)
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n > 64<<20 {
			t.Errorf("%s: %d bytes of memory", name, n)
		}
		if !errors.Is(err, test.class) {
			t.Errorf("%s: %v, want %v", name, err, test.class)
			continue
		}
		for _, want := range test.names {
			if !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "source one") {
				t.Errorf("%s: %v: does not name %s", name, err, want)
			}
		}
	}
}

// TestDoorOfSharedMounts: two repositories of one mount have no path in common.
func TestDoorOfSharedMounts(t *testing.T) {
	one := repository("one", "files", item("a", 1, ""), item("b", 1, ""))
	two := repository("two", "files", item("a/x", 1, ""), item("c", 1, ""), item("e", 1, ""))
	three := repository("three", "m/three", item("a", 1, ""), item("b", 1, ""))
	held := []sources.Held{{Repository: bundle.Repository{Name: "held", Mount: "files"}, Files: func() iter.Seq2[bundle.File, error] {
		return func(yield func(bundle.File, error) bool) {
			_ = yield(bundle.File{Path: "b"}, nil) && yield(bundle.File{Path: "d"}, nil)
		}
	}}}
	r := &collect.Resolved{Repositories: []collect.Planned{one, three, two}}
	_, err := r.Survey(collect.SurveyOptions{Held: held})
	if !errors.Is(err, bundle.ErrUsage) {
		t.Fatal(err)
	}
	want := "source one and source two: both have files/a: "
	if text := err.Error(); !strings.HasPrefix(text, want) || !strings.Contains(text, "both have files/b") || strings.Count(text, "\n") != 1 {
		t.Errorf("got %s", text)
	}
	two = repository("two", "files", item("c", 1, ""))
	r = &collect.Resolved{Repositories: []collect.Planned{one, three, two}}
	if _, err := r.Survey(collect.SurveyOptions{}); err != nil {
		t.Error(err)
	}
}
