package rpm

import (
	"crypto"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ProtonMail/go-crypto/openpgp"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/pgpkeys"
	"github.com/gapbundle/gapbundle/internal/test/plantest"
	"github.com/gapbundle/gapbundle/internal/test/upstreamtest"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/rpm/rpmtest"
)

// TestWhatUnchangedMeans: the base stands for upstream as long as nothing is
// otherwise that its list is a function of.
func TestWhatUnchangedMeans(t *testing.T) {
	a := newArchive(t, t.TempDir())
	a.publish()
	list := func(name string) string {
		a.server.Put(name, []byte(a.server.URL(a.at)+"\n"))
		return strings.Replace(a.spec(), "baseurl: "+a.server.URL(a.at), "mirrorlist: "+a.server.URL(name), 1)
	}
	repofile := func(name string, ids ...string) string {
		var b strings.Builder
		for _, id := range ids {
			b.WriteString("[" + id + "]\nbaseurl=" + a.server.URL(a.at) + "\n")
		}
		if err := os.WriteFile(filepath.Join(a.dir, name), []byte(b.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		return strings.Replace(a.spec(), "baseurl: "+a.server.URL(a.at), "repofile: "+name, 1)
	}
	for name, content := range a.files {
		a.server.Put("/moved/"+name, content)
	}
	for name, test := range map[string]struct {
		before, after string
		few           int // requests, if it is recognized; 0: it is not
	}{
		"the same":          {a.spec(), a.spec(), 2},
		"another address":   {a.spec(), strings.Replace(a.spec(), a.at, "/moved", 1), 0},
		"a list of mirrors": {list("/list"), list("/list"), 3},
		"another list":      {list("/list"), list("/other"), 0},
		"two":               {repofile("two.repo", "a", "b"), repofile("two.repo", "a", "b"), 4},
		"one less":          {repofile("three.repo", "a", "b", "c"), repofile("two.repo", "a", "b"), 0},
		"another name":      {repofile("two.repo", "a", "b"), repofile("renamed.repo", "a", "c"), 0},
	} {
		t.Run(name, func(t *testing.T) {
			base := record(t, mustPlan(t, newEnv(t, a.dir, nil), test.before))
			a.server.ResetCounts()
			mustPlan(t, newEnv(t, a.dir, base), test.after)
			if n := a.server.AllRequests(); test.few > 0 && n != test.few || test.few == 0 && n <= 4 {
				t.Errorf("%d requests", n)
			}
		})
	}
	// Signed once more, with nothing else changed.
	base := record(t, mustPlan(t, newEnv(t, a.dir, nil), a.spec()))
	again := rpmtest.Sign(t, a.key, a.files[nameRepomd], crypto.SHA512, now.AddDate(0, 0, -1))
	a.server.Put(a.at+"/"+nameSignature, again)
	if x := artifacts(t, mustPlan(t, newEnv(t, a.dir, base), a.spec()), "epel")[nameSignature]; x.File.Digest != bundle.DigestOf(again) {
		t.Errorf("%+v, want the new signature", x.File)
	}
}

// TestSignaturesOfSeveral: what was signed is remembered of each repository by itself,
// whatever address it has today, and where the source is rebuilt too.
func TestSignaturesOfSeveral(t *testing.T) {
	a := newArchive(t, t.TempDir())
	plain := newArchive(t, a.dir)
	plain.Signer = nil
	a.publish()
	plain.publish()
	var b strings.Builder
	for id, r := range map[string]*archive{"a": a, "plain": plain} {
		r.server.Put("/list", []byte(r.server.URL(r.at)+"\n"))
		b.WriteString("[" + id + "]\nmirrorlist=" + r.server.URL("/list") + "\n")
	}
	if err := os.WriteFile(filepath.Join(a.dir, "two.repo"), []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	site := siteKey(t)
	env := func(base plantest.Base) *sources.Env {
		e := newEnv(t, a.dir, nil)
		if base != nil {
			e.Base = base
		}
		e.Site = site
		return e
	}
	for name, more := range map[string][]string{"verbatim": nil, "rebuilt": {"packages: [hello]", "architectures: [x86_64]"}} {
		t.Run(name, func(t *testing.T) {
			a.publish()
			spec := strings.Replace(a.spec(more...), "baseurl: "+a.server.URL(a.at), "repofile: two.repo", 1)
			base := record(t, mustPlan(t, env(nil), spec))
			mustPlan(t, env(base), spec)
			a.server.Remove(a.at + "/" + nameSignature)
			_, err := plan(t, env(base), spec)
			refused(t, err, fetch.ErrRefused, a.server.URL(a.at), "the last export had it")
			moved := upstreamtest.New(t)
			for name, content := range a.files {
				if name != nameSignature {
					moved.Put("/"+name, content)
				}
			}
			a.server.Put("/list", []byte(moved.URL("/")+"\n"))
			there := env(base)
			there.Fetch.Name(moved.URL("")) // a mirror that the spec may lead to
			_, elsewhere := plan(t, there, spec)
			refused(t, elsewhere, fetch.ErrRefused, moved.URL("/"), "the last export had it")
			a.server.Put("/list", []byte(a.server.URL(a.at)+"\n"))
			if strings.Contains(err.Error(), plain.server.URL("")) {
				t.Errorf("%v\nnames the one that was never signed", err)
			}
		})
	}
	// What was made here is signed by the site's key, and says nothing about upstream.
	spec := strings.Replace(plain.spec("packages: [hello]", "architectures: [x86_64]"), "baseurl: "+plain.server.URL(plain.at), "mirrorlist: "+plain.server.URL("/list"), 1)
	mustPlan(t, env(record(t, mustPlan(t, env(nil), spec))), spec)
}

// TestAllOrNone: what is chosen in one source depends on every other, those that
// are carried whole as well: where one changed, all are read.
func TestAllOrNone(t *testing.T) {
	a := newArchive(t, t.TempDir())
	a.Hidden = []string{"other"}
	a.publish()
	b := newArchive(t, a.dir)
	b.Packages = []*rpmtest.Package{b.pkg("tool", "1", "x86_64", "libhello.so")}
	b.publish()
	spec := a.spec() + strings.Replace(b.spec("packages: [tool]", "architectures: [x86_64]"), "name: epel", "name: tools", 1)
	site := siteKey(t)
	env := func(base plantest.Base) *sources.Env {
		e := newEnv(t, a.dir, nil)
		if base != nil {
			e.Base = base
		}
		e.Site = site
		return e
	}
	base := record(t, mustPlan(t, env(nil), spec))
	b.Packages = []*rpmtest.Package{b.pkg("tool", "2", "x86_64", "data")}
	b.publish()
	want, got := mustPlan(t, env(nil), spec), mustPlan(t, env(base), spec)
	for i := range want.Repositories {
		if w, g := want.Repositories[i].Annotations[layoutKey+"00"], got.Repositories[i].Annotations[layoutKey+"00"]; w != g {
			t.Errorf("%s, want %s", g, w)
		}
	}
	for _, name := range []string{"epel", "tools"} {
		w, g := artifacts(t, want, name), artifacts(t, got, name)
		if strings.Join(pathsOf(w), " ") != strings.Join(pathsOf(g), " ") {
			t.Errorf("%s: %v, want %v", name, pathsOf(g), pathsOf(w))
		}
	}
	if _, ok := artifacts(t, got, "tools")[b.find("Packages/tool-2")]; !ok {
		t.Error("the new tool is not chosen")
	}
}

// TestMadeAnew: another site key signs everything again, and another version of the
// program may make it otherwise.
func TestMadeAnew(t *testing.T) {
	a, spec := selected(t)
	env := newEnv(t, a.dir, nil)
	env.Site = siteKey(t)
	env.Base = record(t, mustPlan(t, env, spec))
	for name, change := range map[string]func(){
		"nothing": func() {},
		"tool":    func() { env.Tool = "another" },
		"key":     func() { env.Site = siteKey(t) },
	} {
		old := *env
		change()
		a.server.ResetCounts()
		all := artifacts(t, mustPlan(t, env, spec), "epel")
		if n := a.server.AllRequests(); (n == 2) != (name == "nothing") {
			t.Errorf("%s: %d requests", name, n)
		}
		text, err := readArtifact(t, all[nameRepomd])
		if err != nil {
			t.Fatal(err)
		}
		sig, err := readArtifact(t, all[nameSignature])
		if err != nil {
			t.Fatal(err)
		}
		raw, err := pgpkeys.Dearmor(sig)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := pgpkeys.Signers(text, raw, openpgp.EntityList{env.Site}, now); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		*env = old
	}
}
