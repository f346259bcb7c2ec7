package unpack_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/test/settest"
	"github.com/gapbundle/gapbundle/unpack"
	"github.com/gapbundle/gapbundle/unpack/site"
)

// standFor makes the source tools stand for a host.
func standFor(t *testing.T, c *settest.Content, host, at string) {
	t.Helper()
	m := map[string]string{}
	if err := bundle.AnnotatePublic(m, []bundle.Public{{Scheme: "https", Host: host, At: at}}); err != nil {
		t.Fatal(err)
	}
	c.Repository("tools").Annotations = m
}

func answers(t *testing.T, w *settest.World, host string) string {
	t.Helper()
	st, err := w.Status(t.Context())
	if err != nil || st.Public == nil {
		t.Fatalf("%+v, %v", st, err)
	}
	_, at, _ := st.Public.Lookup(host, "/tool")
	return at
}

// TestPublicNamesOfTwoSets: a host belongs to the set whose key was given it. What was not
// answered is told by import and status, and a change of the names is.
func TestPublicNamesOfTwoSets(t *testing.T) {
	w := settest.New(t)
	const host = "shared.example"
	alpha := w.Content(settest.Alpha)
	standFor(t, alpha, host, "alpha.example")
	res, err := w.Import(w.Export(alpha).Dirs...)
	if err != nil {
		t.Fatal(err)
	}
	if got := answers(t, w, host); got != "/files/alpha.example/tool" {
		t.Errorf("one set has the host: at %q", got)
	}
	if !hasNote(res, "have changed") {
		t.Errorf("notes %q", res.Notes)
	}
	beta := w.Content(settest.Beta)
	standFor(t, beta, host, "beta.example")
	if res, err = w.Import(w.Export(beta).Dirs...); err != nil {
		t.Fatal(err)
	}
	if got := answers(t, w, host); got != "" {
		t.Errorf("neither key was given the host: at %q", got)
	}
	if !hasNote(res, "public name "+host+": not answered: sets alpha and beta have this host") {
		t.Errorf("notes %q", res.Notes)
	}
	setMounts(t, w, nil, []string{host})
	again := w.Content(settest.Beta)
	standFor(t, again, host, "beta.example")
	again.Put("tools", "beta.example/more", "more")
	again.Options.Base = 1
	if _, err = w.Import(w.Export(again).Dirs...); err != nil {
		t.Fatal(err)
	}
	if got := answers(t, w, host); got != "/files/beta.example/tool" {
		t.Errorf("beta's key was given the host: at %q", got)
	}
}

func hasNote(res *unpack.Result, text string) bool {
	return strings.Contains(strings.Join(res.Notes, "\n"), text)
}

// TestPublicNamesOfAMirrorOfBefore: a generation without hosts.json is looked at as before,
// and the next import brings the file.
func TestPublicNamesOfAMirrorOfBefore(t *testing.T) {
	w := settest.New(t)
	file := filepath.Join(w.Dir, "current", filepath.FromSlash(site.HostsPath))
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	st, err := w.Status(t.Context())
	if err != nil || st.Public != nil {
		t.Fatalf("%+v, %v", st.Public, err)
	}
	alpha := w.Content(settest.Alpha)
	standFor(t, alpha, "alpha.example", "alpha.example")
	if _, err := w.Import(w.Export(alpha).Dirs...); err != nil {
		t.Fatal(err)
	}
	if got := answers(t, w, "alpha.example"); got != "/files/alpha.example/tool" {
		t.Errorf("at %q", got)
	}
}
