package pypi

import (
	"archive/zip"
	"bytes"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/test/upstreamtest"
	"github.com/gapbundle/gapbundle/sources/pypi/piptest"
	"github.com/gapbundle/gapbundle/sources/pypi/simple"
)

// An index that sends its clients elsewhere is followed on its own host, with links
// relative to where it led, and no further.
func TestRedirectedPage(t *testing.T) {
	w, elsewhere := newWorld(t).add(piptest.Wheel{Name: "lib", Version: "1.0"}), upstreamtest.New(t)
	page := piptest.HTML("lib", w.Projects["lib"])
	w.Server.Remove(piptest.Page("lib"))
	to := "/deep/er/lib/"
	w.Server.PutFile("/deep/er/lib/", upstreamtest.File{Content: []byte(strings.ReplaceAll(page, "../../files/", "../../../files/")), Type: simple.TextHTML})
	w.Server.Handle(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { http.Redirect(rw, r, to, http.StatusMovedPermanently) }))
	spec := "kind: pypi\nindex: " + w.URL() + "\npackages: lib\n" + for312
	if got := newSite(t).must(spec).names(); got != "lib-1.0-py3-none-any.whl" {
		t.Error(got)
	}
	elsewhere.PutFile("/simple/lib/", upstreamtest.File{Content: []byte(page), Type: simple.TextHTML})
	to = elsewhere.URL("/simple/lib/")
	_, err := newSite(t).plan(spec)
	if !errors.Is(err, fetch.ErrRefused) || !strings.Contains(err.Error(), elsewhere.Host()) {
		t.Error(err)
	}
	if elsewhere.AllRequests() != 0 {
		t.Error("the other host was asked")
	}
}

// Wheels that would fill the memory, that have two METADATA, or none, are refused by
// name, whether METADATA is read by ranges or from the whole wheel.
func TestHostileWheels(t *testing.T) {
	wheel := func(files ...string) []byte {
		var out bytes.Buffer
		z := zip.NewWriter(&out)
		for i := 0; i < len(files); i += 2 {
			f, err := z.Create(files[i])
			if err == nil {
				_, err = f.Write([]byte(files[i+1]))
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		return out.Bytes()
	}
	for name, c := range map[string]struct {
		content []byte
		want    string
	}{
		"a bomb": {wheel("lib-1.0.dist-info/METADATA", "Name: lib\n"+strings.Repeat("x", simple.MaxMetadata)), "more than 16777216 bytes"},
		"none":   {wheel("lib.py", "x = 1\n"), "no METADATA"},
		"two":    {wheel("lib-1.0.dist-info/METADATA", "Name: lib\n", "a.dist-info/METADATA", "Name: a\n"), "a.dist-info/METADATA"},
	} {
		for _, ranges := range []bool{true, false} {
			w := newWorld(t)
			const file = "lib-1.0-py3-none-any.whl"
			w.Projects["lib"] = []*piptest.File{{Name: file, Content: c.content}}
			w.Put()
			if !ranges {
				w.Server.FailAlways("/files/"+file, upstreamtest.NoRange)
			}
			_, err := newSite(t).plan("kind: pypi\nindex: " + w.URL() + "\npackages: lib\n" + for312)
			if !errors.Is(err, fetch.ErrUpstream) || !strings.Contains(err.Error(), file) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s, ranges %t: %v", name, ranges, err)
			}
		}
	}
}

// Metadata that asks for itself, in circles, or for names that are none, ends.
func TestHostileRequirements(t *testing.T) {
	w := newWorld(t).add(
		piptest.Wheel{Name: "lib", Version: "1.0", Extras: []string{"a", "b"}, Requires: []string{`lib[b]; extra == "a"`, `lib[a]; extra == "b"`, "lib", "other"}},
		piptest.Wheel{Name: "other", Version: "1.0", Requires: []string{"lib[a]"}},
		piptest.Wheel{Name: "other", Version: "2.0", Requires: []string{strings.Repeat("x", 300)}},
		piptest.Wheel{Name: "other", Version: "3.0", Requires: []string{`x; ` + strings.Repeat("(", 1000) + `os_name == "a"` + strings.Repeat(")", 1000)}},
		piptest.Wheel{Name: "other", Version: "4.0", Requires: []string{"../../etc/passwd"}},
	)
	p := newSite(t).must("kind: pypi\nindex: " + w.URL() + "\npackages: lib[a]\n" + for312)
	if got := p.names(); got != "lib-1.0-py3-none-any.whl other-1.0-py3-none-any.whl" {
		t.Error(got)
	}
	notes := strings.Join(p.repo.Notes, "\n")
	for _, version := range []string{"3.0", "4.0"} {
		if !strings.Contains(notes, "other-"+version+"-py3-none-any.whl: skipped") {
			t.Errorf("%s: not in %s", version, notes)
		}
	}
}
