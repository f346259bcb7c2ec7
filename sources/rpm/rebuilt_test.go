package rpm

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/ProtonMail/go-crypto/openpgp"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/pgpkeys"
	"github.com/gapbundle/gapbundle/internal/test/plantest"
	"github.com/gapbundle/gapbundle/sources/collect"
	"github.com/gapbundle/gapbundle/sources/rpm/rpmtest"
)

// siteKey returns an open key of the site.
func siteKey(t testing.TB) *openpgp.Entity {
	t.Helper()
	open, _, _ := plantest.SiteKey(t, now.AddDate(-1, 0, 0))
	return open
}

// tree is what a plan becomes when it is collected. Each kind has one, because the methods are
// about its own indexes.
type tree struct {
	*plantest.Tree
	files   map[string]map[string]bundle.File
	content map[string]map[string][]byte
}

func collectAll(t testing.TB, r *collect.Resolved) *tree {
	t.Helper()
	c := plantest.CollectAll(t, r)
	return &tree{Tree: c, files: c.Lists, content: c.Contents}
}

// plain returns a metadata file of the mirror, unpacked.
func (tr *tree) plain(t testing.TB, repo, part string) string {
	t.Helper()
	for name, b := range tr.content[repo] {
		if strings.HasPrefix(name, upstreamFolder) || !strings.Contains(name, part) {
			continue
		}
		z, err := gzip.NewReader(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(z)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	t.Fatalf("no %s among %v", part, slices.Sorted(maps.Keys(tr.content[repo])))
	return ""
}

const groupsXML = `<?xml version="1.0"?><!DOCTYPE comps PUBLIC "x" "comps.dtd"><comps>
 <environment><id>all</id><grouplist><groupid>hi</groupid> <groupid>no</groupid></grouplist></environment>
 <group><id>hi</id><name xml:lang="de">Grüße</name><packagelist><packagereq type="default">hello</packagereq>
  <packagereq type="optional">other</packagereq></packagelist></group>
 <group><id>no</id><packagelist><packagereq>other</packagereq></packagelist></group>
 <category><id>c</id><grouplist><groupid>no</groupid></grouplist></category>
 <langpacks><match install="hello-%s" name="hello"/><match install="other-%s" name="other"/></langpacks>
</comps>`

const updatesXML = `<updates>
 <update type="security"><id>A-1</id><title>&lt;hello&gt;</title><pkglist><collection><name>c</name><package name="hello" version="2.10" release="1.el9" epoch="0" arch="x86_64"><filename>hello.rpm</filename></package>
  <package name="other" version="1" release="1.el9" epoch="0" arch="x86_64"><filename>other.rpm</filename></package></collection></pkglist></update>
 <update><id>A-2</id><pkglist><collection><package name="hello" version="2.9" release="1.el9" epoch="0" arch="x86_64"/></collection></pkglist></update>
</updates>`

// selected returns an archive with groups and advisories, and the spec of a selection.
func selected(t testing.TB) (*archive, string) {
	a := newArchive(t, t.TempDir())
	a.Extra = map[string]string{"group": groupsXML, "updateinfo": updatesXML, "primary_db": "x"}
	a.publish()
	return a, a.spec("packages: [hello]", "architectures: [x86_64]")
}

func TestRebuilt(t *testing.T) {
	for _, sum := range []string{"sha256", "sha512"} {
		t.Run(sum, func(t *testing.T) { testRebuilt(t, sum) })
	}
}

func testRebuilt(t *testing.T, sum string) {
	a, spec := selected(t)
	a.Sum = sum
	a.publish()
	env := newEnv(t, a.dir, nil)
	env.Site = siteKey(t)
	r := mustPlan(t, env, spec)
	tr := collectAll(t, r)
	var got []string
	for name := range tr.files["epel"] {
		if !strings.Contains(name, "repodata/") {
			got = append(got, name)
		}
	}
	slices.Sort(got)
	if want := []string{"Packages/hello-2.10-1.el9.x86_64.rpm", "Packages/libhello-2.10-1.el9.x86_64.rpm"}; !slices.Equal(got, want) {
		t.Errorf("packages %v, want %v", got, want)
	}
	for part, want := range map[string]struct{ has, not []string }{
		"primary.xml":    {[]string{`packages="2"`, "<name>hello</name>", `href="Packages/hello-`, "libhello", "&amp; more"}, []string{"<name>other", "<name>data"}},
		"filelists.xml":  {[]string{`packages="2"`, `name="hello"`, "/usr/share/hello/x"}, []string{"other"}},
		"other.xml":      {[]string{`packages="2"`, `name="libhello"`, "changelog"}, []string{`name="other"`}},
		"updateinfo.xml": {[]string{"A-1", "&lt;hello&gt;", `<filename>hello.rpm`}, []string{"A-2", "other"}},
		"comps.xml.gz":   {[]string{"<id>hi</id>", "Grüße", "<groupid>hi</groupid>", `name="hello"`}, []string{"other", "<id>no</id>", "<groupid>no", "<id>c</id>"}},
	} {
		text := tr.plain(t, "epel", part)
		for _, w := range want.has {
			if !strings.Contains(text, w) {
				t.Errorf("%s: no %s in\n%s", part, w, text)
			}
		}
		for _, w := range want.not {
			if strings.Contains(text, w) {
				t.Errorf("%s: %s in\n%s", part, w, text)
			}
		}
	}
	if _, err := check(t.Context(), tr); err != nil {
		t.Error(err)
	}
	repo := r.Repositories[0]
	if repo.Mode != modeRebuilt || repo.Annotations[keysKey] != "demo-site.asc epel.asc" {
		t.Errorf("mode %s, annotations %v", repo.Mode, repo.Annotations)
	}
	for _, name := range []string{nameRepomd, nameSignature} {
		if !bytes.Equal(tr.content["epel"][upstreamFolder+name], a.files[name]) {
			t.Errorf("%s is not upstream's", upstreamFolder+name)
		}
	}
}

// TestCharactersThatXMLLacks: a text for people in metadata that dnf does without stops no selection.
func TestCharactersThatXMLLacks(t *testing.T) {
	a, spec := selected(t)
	a.Extra["updateinfo"] = strings.Replace(updatesXML, "&lt;hello&gt;", "&lt;hel\x1blo&gt; &#7;", 1)
	a.Extra["group"] = strings.Replace(groupsXML, "Grüße", "Gr\xfc\xdfe\x00", 1)
	a.publish()
	env := newEnv(t, a.dir, nil)
	env.Site = siteKey(t)
	r := mustPlan(t, env, spec)
	tr := collectAll(t, r)
	if text := tr.plain(t, "epel", "updateinfo.xml"); !strings.Contains(text, "&lt;hel lo&gt;  ") {
		t.Error(text)
	}
	if text := tr.plain(t, "epel", "comps.xml.gz"); !strings.Contains(text, "Gr  e ") {
		t.Error(text)
	}
	notes := strings.Join(r.Repositories[0].Notes, "\n")
	if !strings.Contains(notes, "updateinfo") || !strings.Contains(notes, "2 characters that XML does not have") {
		t.Errorf("%q", r.Repositories[0].Notes)
	}
	if _, err := check(t.Context(), tr); err != nil {
		t.Error(err)
	}
}

// The same selection has the same bytes, whatever else upstream has meanwhile.
func TestRebuiltIsDeterministic(t *testing.T) {
	a, spec := selected(t)
	site := siteKey(t)
	var trees []*tree
	for range 2 {
		env := newEnv(t, a.dir, nil)
		env.Site = site
		trees = append(trees, collectAll(t, mustPlan(t, env, spec)))
		a.Packages = append(a.Packages, a.pkg("more", "1", "x86_64"))
		a.publish()
	}
	for name, b := range trees[0].content["epel"] {
		if !strings.HasPrefix(name, upstreamFolder) && !bytes.Equal(b, trees[1].content["epel"][name]) {
			t.Errorf("%s differs", name)
		}
	}
}

func TestRebuiltNeedsSiteKey(t *testing.T) {
	a, spec := selected(t)
	_, err := plan(t, newEnv(t, a.dir, nil), spec)
	refused(t, err, bundle.ErrUsage, "gapbundle keygen --site")
}

// A plan without the open key names the signature and cannot make it.
func TestPlanWithClosedKey(t *testing.T) {
	a, spec := selected(t)
	env := newEnv(t, a.dir, nil)
	env.Site = siteKey(t)
	env.Site.PrivateKey = nil
	x, ok := artifacts(t, mustPlan(t, env, spec), "epel")[nameSignature]
	if !ok || x.File.Size != -1 {
		t.Errorf("%+v", x.File)
	}
}

// What is unchanged costs repomd.xml alone; what was made is made again only
// if somebody opens it.
func TestRebuiltUnchanged(t *testing.T) {
	a, spec := selected(t)
	env := newEnv(t, a.dir, nil)
	env.Site = siteKey(t)
	first := mustPlan(t, env, spec)
	env.Base = record(t, first)
	a.server.ResetCounts()
	second := mustPlan(t, env, spec)
	if n := a.server.AllRequests(); n != 2 {
		t.Errorf("%d requests, want 2", n)
	}
	want, got := artifacts(t, first, "epel"), artifacts(t, second, "epel")
	if !slices.Equal(pathsOf(want), pathsOf(got)) {
		t.Fatalf("got %v, want %v", pathsOf(got), pathsOf(want))
	}
	for name, x := range got {
		b, err := readArtifact(t, x)
		w, _ := readArtifact(t, want[name])
		if err != nil || !bytes.Equal(b, w) || x.Evidence.Reason != want[name].Evidence.Reason {
			t.Errorf("%s: %v, reason %q, want %q", name, err, x.Evidence.Reason, want[name].Evidence.Reason)
		}
	}
	a.server.ResetCounts()
	mustPlan(t, env, strings.Replace(spec, "[hello]", "[data]", 1))
	if n := a.server.AllRequests(); n < 5 {
		t.Errorf("another selection, and %d requests", n)
	}
}

// Packages that upstream has elsewhere are fetched from there, and the new
// metadata leads to them here.
func TestForeignRebuilt(t *testing.T) {
	for _, climbing := range []bool{false, true} {
		a := newArchive(t, t.TempDir())
		a.at = "/pub/x/y"
		if climbing {
			for _, p := range a.Packages {
				p.Location = "../pool/" + p.FileName()
			}
		}
		p := a.Packages[0]
		p.Base, p.Location = a.server.URL("/elsewhere"), "some folder/"+p.FileName()
		a.publish()
		for name, b := range a.Build(t) {
			a.server.Put(strings.ReplaceAll(a.at+"/"+name, "y/../", ""), b)
		}
		a.server.Put("/elsewhere/some folder/"+p.FileName(), p.Build(t))
		env := newEnv(t, a.dir, nil)
		env.Site = siteKey(t)
		tr := collectAll(t, mustPlan(t, env, a.spec("mode: rebuilt", "architectures: [x86_64]")))
		if _, err := check(t.Context(), tr); err != nil {
			t.Error(err)
		}
		if text := tr.plain(t, "epel", "primary.xml"); strings.Contains(text, "xml:base") {
			t.Error(text)
		}
	}
}

// TestCheckNoticesEveryFile: any one file gone turns the check red, and is
// named; so does any one that is another than the index says.
func TestCheckNoticesEveryFile(t *testing.T) {
	for name, more := range map[string][]string{"verbatim": nil, "rebuilt": {"packages: [hello]", "architectures: [x86_64]"}} {
		t.Run(name, func(t *testing.T) {
			a, _ := selected(t)
			env := newEnv(t, a.dir, nil)
			env.Site = siteKey(t)
			tr := collectAll(t, mustPlan(t, env, a.spec(more...)))
			counts, err := check(t.Context(), tr)
			if err != nil || len(counts) != 3 || counts[1].Count < 2 {
				t.Fatalf("whole: %v, %v", counts, err)
			}
			for p, f := range maps.Clone(tr.files["epel"]) {
				delete(tr.files["epel"], p)
				_, err := check(t.Context(), tr)
				if !errors.Is(err, bundle.ErrIncomplete) || !strings.Contains(err.Error(), "rpm/epel/"+p) {
					t.Errorf("%s gone: got %v", p, err)
				}
				if !strings.HasSuffix(p, "repomd.xml") && !strings.HasSuffix(p, ".asc") {
					other := f
					other.Digest[0] ^= 1
					tr.files["epel"][p] = other
					if _, err := check(t.Context(), tr); !errors.Is(err, bundle.ErrCorrupt) || !strings.Contains(err.Error(), "rpm/epel/"+p) {
						t.Errorf("%s another: got %v", p, err)
					}
				}
				tr.files["epel"][p] = f
			}
		})
	}
}

// An unsigned package of a selection is refused as in a whole mirror.
func TestRebuiltChecksSignatures(t *testing.T) {
	a, spec := selected(t)
	a.Packages[1].Form = rpmtest.Unsigned
	a.publish()
	env := newEnv(t, a.dir, nil)
	env.Site = siteKey(t)
	x := artifacts(t, mustPlan(t, env, spec), "epel")[a.find("Packages/libhello")]
	_, err := readArtifact(t, x)
	refused(t, err, fetch.ErrRefused, "libhello", "not signed")
}

// Groups and environments are chosen as dnf installs them.
func TestGroupsAreChosen(t *testing.T) {
	a, _ := selected(t)
	env := newEnv(t, a.dir, nil)
	env.Site = siteKey(t)
	for name, want := range map[string]string{
		"'@hi'":       "hello libhello",
		"'@no'":       "other",
		"'@all'":      "hello libhello other",
		"data, '@hi'": "data hello libhello",
	} {
		var got []string
		for p := range artifacts(t, mustPlan(t, env, a.spec("packages: ["+name+"]", "architectures: [x86_64]")), "epel") {
			if base, ok := strings.CutPrefix(p, "Packages/"); ok {
				got = append(got, base[:strings.Index(base, "-")])
			}
		}
		slices.Sort(got)
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %v, want %s", name, got, want)
		}
	}
	_, err := plan(t, env, a.spec("packages: ['@nix']", "architectures: [x86_64]"))
	refused(t, err, bundle.ErrUsage, "nix", "hi, no, all")
}

// What upstream dates ahead of the clock is signed as of today: a signature of
// tomorrow holds nowhere.
func TestDatedAhead(t *testing.T) {
	a, spec := selected(t)
	a.Change = func(repomd string) string {
		return strings.ReplaceAll(repomd, "<timestamp>1790000000", "<timestamp>1990000000")
	}
	a.publish()
	env := newEnv(t, a.dir, nil)
	env.Site = siteKey(t)
	tr := collectAll(t, mustPlan(t, env, spec))
	sig, err := pgpkeys.Dearmor(tr.content["epel"][nameSignature])
	if err == nil {
		_, err = pgpkeys.Signers(tr.content["epel"][nameRepomd], sig, openpgp.EntityList{env.Site}, now)
	}
	if err != nil {
		t.Error(err)
	}
}

// What is made of metadata that nobody signed is counted as that metadata is.
func TestMadeOfUnsigned(t *testing.T) {
	a, spec := selected(t)
	env := newEnv(t, a.dir, nil)
	env.Site = siteKey(t)
	for _, signed := range []bool{true, false} {
		want := bundle.VouchedMade
		if !signed {
			a.Signer, want = nil, bundle.VouchedNone
			a.server.Remove(a.at + "/" + nameSignature)
		}
		a.publish()
		all := artifacts(t, mustPlan(t, env, spec), "epel")
		for _, name := range []string{nameRepomd, nameSignature} {
			if e := all[name].Evidence; e.Vouched != want || e.Origin != "" {
				t.Errorf("signed: %t: %+v, want %s", signed, e, want)
			}
		}
	}
}
