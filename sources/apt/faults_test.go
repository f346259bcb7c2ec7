package apt

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/test/plantest"
	"github.com/gapbundle/gapbundle/internal/test/upstreamtest"
)

// Whose fault an error is: what upstream wrote is upstream's and no malformed bundle;
// the own disk is the environment's.
func TestWhoseFault(t *testing.T) {
	for name, do := range map[string]func(a *archive){
		"a stanza": func(a *archive) {
			a.packages["main amd64"] = append(a.packages["main amd64"], "no field\nFilename: x\n")
		},
		"relations": func(a *archive) {
			a.packages["main amd64"] = append(a.packages["main amd64"], pkg("evil", "1", "amd64", "Depends: (("))
		},
		"a Release": func(a *archive) { a.change = func(r string) string { return r + "no field\n" } },
		"a translation": func(a *archive) {
			a.extra["main/i18n/Translation-en"] = "no field\n"
		},
	} {
		a := newArchive(t, t.TempDir())
		do(a)
		a.publish()
		env := plantest.NewEnv(t, a.dir, nil)
		env.Site, _ = siteKey(t)
		if _, err := plan(t, env, a.spec("packages: [hello, "+cmp.Or(evil(a), "data")+"]")); !errors.Is(err, fetch.ErrUpstream) || errors.Is(err, bundle.ErrMalformed) {
			t.Errorf("%s: got %v, want ErrUpstream alone", name, err)
		}
	}
	a := newArchive(t, t.TempDir())
	a.publish()
	env := plantest.NewEnv(t, a.dir, nil)
	for i := range 20 { // a folder is where an index is to be written
		if err := env.Scratch.Mkdir(fmt.Sprintf("apt-os-0-%d", i), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := plan(t, env, a.spec()); !errors.As(err, new(*fs.PathError)) || errors.Is(err, fetch.ErrUpstream) {
		t.Errorf("own disk: got %v", err)
	}
}

// evil returns the name of a package that an archive has for a test; "" is none.
func evil(a *archive) string {
	for _, p := range a.packages["main amd64"] {
		if strings.HasPrefix(p, "Package: evil\n") {
			return "evil"
		}
	}
	return ""
}

// A form of an index that upstream forbids is not there: S3 says so of what it lacks. An
// index that is there in no form is an error that says what upstream answered.
func TestForbiddenForms(t *testing.T) {
	const other = "main/binary-amd64/Packages.lz4"
	a := newArchive(t, t.TempDir())
	a.byHash, a.extra[other] = false, "x"
	a.publish()
	a.server.FailAlways(a.base()+other, upstreamtest.Status(403))
	r, err := plan(t, plantest.NewEnv(t, a.dir, nil), a.spec())
	if err != nil {
		t.Fatal(err)
	}
	files := plantest.Artifacts(t, r, "os")
	if got := files["dists/stable/InRelease"].File.Annotations[absentKey]; got != `["`+other+`"]` {
		t.Errorf("absent: %s", got)
	}
	if _, ok := files["dists/stable/"+other]; ok {
		t.Error("what is forbidden is carried")
	}
	a.server.FailAlways(a.base()+"main/binary-amd64/Packages.gz", upstreamtest.Status(403))
	if _, err := plan(t, plantest.NewEnv(t, a.dir, nil), a.spec()); !errors.Is(err, fetch.ErrUpstream) || !strings.Contains(err.Error(), "403 Forbidden") {
		t.Errorf("in no form: got %v", err)
	}
}

// An index that is gone may be one that upstream replaced: it is read once more.
func TestIndexGoneMeanwhile(t *testing.T) {
	const index = "main/binary-amd64/Packages.gz"
	a := newArchive(t, t.TempDir())
	a.byHash = false
	a.publish()
	a.server.Fail(a.base()+index, upstreamtest.Status(404))
	if _, err := plan(t, plantest.NewEnv(t, a.dir, nil), a.spec()); err != nil {
		t.Error(err)
	}
	if n := a.server.Requests(a.base() + "InRelease"); n != 2 {
		t.Errorf("InRelease was read %d times, want twice", n)
	}
}
