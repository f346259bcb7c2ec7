package rpm

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/test/plantest"
	"github.com/gapbundle/gapbundle/internal/test/upstreamtest"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/collect"
	"github.com/gapbundle/gapbundle/sources/upstream"
)

// specs loads the sources of a spec file.
func specs(t testing.TB, dir, text string) []sources.Spec {
	t.Helper()
	return plantest.Load(t, dir, text)
}

func newEnv(t testing.TB, dir string, base sources.Base) *sources.Env {
	t.Helper()
	env := plantest.NewEnv(t, dir, base)
	env.Now = now
	return env
}

func plan(t testing.TB, env *sources.Env, text string) (*collect.Resolved, error) {
	t.Helper()
	return plantest.Plan(t, Kind(), env, text)
}

func mustPlan(t testing.TB, env *sources.Env, text string) *collect.Resolved {
	t.Helper()
	r, err := plan(t, env, text)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// artifacts returns those of a planned repository, by path.
func artifacts(t testing.TB, r *collect.Resolved, name string) map[string]sources.Artifact {
	t.Helper()
	return plantest.Artifacts(t, r, name)
}

func pathsOf(all map[string]sources.Artifact) []string {
	var paths []string
	for p := range all {
		paths = append(paths, p)
	}
	slices.Sort(paths)
	return paths
}

// readArtifact returns the content of an artifact.
func readArtifact(t testing.TB, a sources.Artifact) ([]byte, error) {
	t.Helper()
	return plantest.ReadArtifact(t, a)
}

// refused wants an error of a class that names everything.
func refused(t *testing.T, err error, class error, names ...string) {
	t.Helper()
	if !errors.Is(err, class) {
		t.Fatalf("got %v, want %v", err, class)
	}
	if errors.Is(class, fetch.ErrUpstream) && errors.Is(err, bundle.ErrMalformed) {
		t.Errorf("%v: of the class of bundles that are malformed, which goes before", err)
	}
	for _, name := range names {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("%v\ndoes not name %s", err, name)
		}
	}
}

// record returns the base that an export of a plan leaves, with the digest of everything.
func record(t testing.TB, r *collect.Resolved) plantest.Base {
	t.Helper()
	c, base := plantest.CollectAll(t, r), plantest.Record(t, r)
	for repo, all := range base {
		for i := range all {
			all[i].File.Size, all[i].File.Digest = c.Lists[repo][all[i].File.Path].Size, c.Lists[repo][all[i].File.Path].Digest
		}
	}
	return base
}

func TestVerbatim(t *testing.T) {
	a := newArchive(t, t.TempDir())
	a.Extra = map[string]string{
		"updateinfo": "<updates/>", "group": "<comps/>", "modules": "---\n", "primary_db": "x", "productid": "y",
		"prestodelta": `<prestodelta><newpackage name="hello" epoch="0" version="2" release="1" arch="x86_64"><delta oldepoch="0" oldversion="1" oldrelease="1"><filename>drpms/hello.drpm</filename><sequence>s</sequence><size>5</size><checksum type="sha256">` +
			bundle.DigestOf([]byte("delta")).Hex() + `</checksum></delta></newpackage></prestodelta>`,
	}
	a.Hidden = []string{"primary_db", "productid"}
	a.publish()
	a.server.Put(a.at+"/drpms/hello.drpm", []byte("delta"))
	r := mustPlan(t, newEnv(t, a.dir, nil), a.spec())
	all := artifacts(t, r, "epel")
	var want []string
	for name := range a.files {
		want = append(want, name)
	}
	want = append(want, "drpms/hello.drpm", nameKey)
	slices.Sort(want)
	if got := pathsOf(all); !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for name, artifact := range all {
		content, err := readArtifact(t, artifact)
		if err != nil || name != "drpms/hello.drpm" && name != nameKey && string(content) != string(a.files[name]) {
			t.Errorf("%s: not upstream's bytes, or %v", name, err)
		}
	}
	repo := r.Repositories[0]
	if repo.Mode != modeVerbatim || !strings.Contains(strings.Join(repo.Notes, "\n"), "primary_db, productid, which upstream lacks") {
		t.Errorf("mode %s, notes %q", repo.Mode, repo.Notes)
	}
}

func TestUnchangedCostsTwoRequests(t *testing.T) {
	a := newArchive(t, t.TempDir())
	a.Extra, a.Hidden = map[string]string{"primary_db": "x"}, []string{"primary_db"}
	a.publish()
	first := mustPlan(t, newEnv(t, a.dir, nil), a.spec())
	base := record(t, first)
	a.server.ResetCounts()
	second := mustPlan(t, newEnv(t, a.dir, base), a.spec())
	if n := a.server.AllRequests(); n != 2 {
		t.Errorf("%d requests, want repomd.xml and its signature", n)
	}
	want, got := artifacts(t, first, "epel"), artifacts(t, second, "epel")
	for name, w := range want {
		g := got[name]
		if g.Evidence.Reason != w.Evidence.Reason || g.Evidence.Vouched != w.Evidence.Vouched || g.Evidence.Origin != w.Evidence.Origin || g.Validator != w.Validator {
			t.Errorf("%s: %+v, want %+v", name, g.Evidence, w.Evidence)
		}
		// What is fetched all the same is recorded as it was.
		c, err := g.Open(t.Context(), 0, "")
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(name, ".rpm") && c.Validator != w.Validator {
			t.Errorf("%s: recorded as %s, want %s", name, c.Validator, w.Validator)
		}
		if err := c.Body.Close(); err != nil {
			t.Error(err)
		}
	}
	if len(got) != len(want) || first.Repositories[0].Annotations[layoutKey+"00"] != second.Repositories[0].Annotations[layoutKey+"00"] {
		t.Errorf("%d files, %v; want %d, %v", len(got), second.Repositories[0].Annotations, len(want), first.Repositories[0].Annotations)
	}
	if mustPlan(t, newEnv(t, a.dir, base), a.spec("allow-unsigned: true")); a.server.AllRequests() < 5 {
		t.Error("another rule, and nothing was read again")
	}
}

// Locations that climb get the folders of the address that they climb over.
func TestClimbing(t *testing.T) {
	a := newArchive(t, t.TempDir())
	a.at = "/pub/os/meta/x86_64"
	for _, p := range a.Packages {
		p.Location = "../../pool/" + p.FileName()
	}
	a.publish()
	files := a.Build(t)
	for name, content := range files {
		a.server.Put(filepath.Join(a.at, name), content)
	}
	r := mustPlan(t, newEnv(t, a.dir, nil), a.spec())
	all := artifacts(t, r, "epel")
	for _, want := range []string{"meta/x86_64/repodata/repomd.xml", "pool/hello-2.10-1.el9.x86_64.rpm"} {
		if x, ok := all[want]; !ok {
			t.Errorf("no %s among %v", want, pathsOf(all))
		} else if _, err := readArtifact(t, x); err != nil {
			t.Error(err)
		}
	}
	again := mustPlan(t, newEnv(t, a.dir, record(t, r)), a.spec())
	if w, g := r.Repositories[0].Annotations[layoutKey+"00"], again.Repositories[0].Annotations[layoutKey+"00"]; w != g || !strings.Contains(g, "meta/x86_64/") {
		t.Errorf("unchanged: %s, want %s", g, w)
	}
	for _, p := range a.Packages {
		p.Location = "../../../../../../../../etc/" + p.FileName()
	}
	a.publish()
	_, err := plan(t, newEnv(t, a.dir, nil), a.spec())
	refused(t, err, fetch.ErrUpstream, "climb")
}

// One package in a list twice, one NEVRA with two contents.
func TestDuplicates(t *testing.T) {
	a := newArchive(t, t.TempDir())
	twin := *a.Packages[0]
	twin.Payload, twin.Location = []byte("another"), "other/"+twin.FileName()
	again := *a.Packages[0]
	a.Packages = append(a.Packages, &twin, &again)
	a.publish()
	all := artifacts(t, mustPlan(t, newEnv(t, a.dir, nil), a.spec()), "epel")
	if _, ok := all[twin.Location]; !ok || all[nameKey].File.Path == "" || len(all) != len(a.files)+1 {
		t.Errorf("%v", pathsOf(all))
	}
	again.Payload = []byte("contradiction")
	a.publish()
	_, err := plan(t, newEnv(t, a.dir, nil), a.spec())
	refused(t, err, fetch.ErrUpstream, "by one entry")
}

// naming returns newEnv for a spec that names a server besides those of its URLs.
func naming(t testing.TB, s *upstreamtest.Server, dir string, base sources.Base) *sources.Env {
	env := newEnv(t, dir, base)
	env.Fetch.Name(s.URL(""))
	return env
}

func TestMirrors(t *testing.T) {
	a := newArchive(t, t.TempDir())
	a.publish()
	a.server.Put("/list", []byte("# mirrors\n"+a.server.URL("/gone")+"\n"+a.server.URL(a.at)+"/\nftp://a.example/\n"))
	spec := strings.Replace(a.spec(), "baseurl: "+a.server.URL(a.at), "mirrorlist: "+a.server.URL("/list"), 1)
	all := artifacts(t, mustPlan(t, newEnv(t, a.dir, nil), spec), "epel")
	if got := all[nameRepomd].Evidence.Origin; got != a.server.URL(a.at+"/"+nameRepomd) {
		t.Errorf("origin %s", got)
	}
	// A mirror that has the metadata and not the package.
	other := upstreamtest.New(t)
	for name, content := range a.files {
		if !strings.HasPrefix(name, "Packages/") {
			other.Put("/"+name, content)
		}
	}
	a.server.Put("/list", []byte(other.URL("/")+"\n"+a.server.URL(a.at)+"\n"))
	all = artifacts(t, mustPlan(t, naming(t, other, a.dir, nil), spec), "epel")
	hello := a.find("Packages/hello")
	for _, fault := range []upstreamtest.Fault{nil, upstreamtest.Status(503)} {
		if fault != nil {
			other.FailAlways("/"+hello, fault)
		}
		if got, err := readArtifact(t, all[hello]); err != nil || !bytes.Equal(got, a.files[hello]) || !strings.HasPrefix(all[hello].Evidence.Origin, other.URL("/")) {
			t.Errorf("from %s: %v", all[hello].Evidence.Origin, err)
		}
	}
	// Neither has it the metadata that are only asked about.
	filelists := "/" + a.find("filelists")
	for _, fault := range []upstreamtest.Fault{upstreamtest.Status(404), upstreamtest.Status(503)} {
		other.FailAlways(filelists, fault)
		all = artifacts(t, mustPlan(t, naming(t, other, a.dir, nil), spec), "epel")
		if _, err := readArtifact(t, all[filelists[1:]]); err != nil {
			t.Error(err)
		}
	}
	// What the base has of a mirror that is gone is to be had of the others.
	base := record(t, mustPlan(t, naming(t, other, a.dir, nil), spec))
	for name := range a.files {
		other.FailAlways("/"+name, upstreamtest.Status(503))
	}
	for name, x := range artifacts(t, mustPlan(t, naming(t, other, a.dir, base), spec), "epel") {
		if got, err := readArtifact(t, x); err != nil || name != nameKey && !bytes.Equal(got, a.files[name]) {
			t.Errorf("%s, unchanged: %v", name, err)
		}
	}
	// It has other files than those that repomd.xml names.
	spoilt := upstreamtest.New(t)
	for name, content := range a.files {
		if name != nameRepomd {
			content = append([]byte("x"), content[1:]...)
		}
		spoilt.Put("/"+name, content)
	}
	spoilt.Put("/"+nameSignature, a.files[nameSignature])
	a.server.Put("/list", []byte(spoilt.URL("/")+"\n"+a.server.URL(a.at)+"\n"))
	all = artifacts(t, mustPlan(t, naming(t, spoilt, a.dir, nil), spec), "epel")
	for _, name := range []string{hello, filelists[1:]} {
		first, _ := readArtifact(t, all[name])
		if again, err := readArtifact(t, all[name]); err != nil || bytes.Equal(first, a.files[name]) || !bytes.Equal(again, a.files[name]) {
			t.Errorf("%s: a second look does not ask the other mirror: %v", name, err)
		}
	}
	a.server.Put("/list", []byte(other.URL("/")+"\n"+a.server.URL(a.at)+"\n"))
	a.server.FailAlways(a.at+filelists, upstreamtest.Status(404))
	_, err := plan(t, naming(t, other, a.dir, nil), spec)
	refused(t, err, fetch.ErrUpstream, filelists, "503")
	a.server.Put("/list", []byte("# none\n"))
	_, err = plan(t, naming(t, other, a.dir, nil), spec)
	refused(t, err, fetch.ErrUpstream, "/list", "no mirror")
}

// A store of objects that nobody may list says of what it lacks that it is
// forbidden.
func TestForbiddenIsAbsent(t *testing.T) {
	a := newArchive(t, t.TempDir())
	a.Signer = nil
	a.publish()
	a.server.FailAlways(a.at+"/"+nameSignature, upstreamtest.Status(403))
	a.server.FailAlways(a.at+"/"+a.find("other.xml"), upstreamtest.Status(403))
	r := mustPlan(t, newEnv(t, a.dir, nil), a.spec())
	if notes := strings.Join(r.Repositories[0].Notes, "\n"); !strings.Contains(notes, "not signed") || !strings.Contains(notes, "lists other, which upstream lacks") {
		t.Error(notes)
	}
	a.server.FailAlways(a.at+"/"+nameRepomd, upstreamtest.Status(403))
	_, err := plan(t, newEnv(t, a.dir, nil), a.spec())
	refused(t, err, fetch.ErrUpstream, nameRepomd, "403")
}

func metalink(t testing.TB, repomd []byte, alternates string, urls ...string) []byte {
	t.Helper()
	var b strings.Builder
	b.WriteString(`<?xml version="1.0"?><metalink version="3.0" xmlns="http://www.metalinker.org/" xmlns:mm0="http://fedorahosted.org/mirrormanager"><files><file name="repomd.xml"><mm0:timestamp>1</mm0:timestamp><verification><hash type="md5">00000000000000000000000000000000</hash><hash type="sha256">` +
		bundle.DigestOf(repomd).Hex() + `</hash></verification>` + alternates + `<resources maxconnections="1">`)
	for i, u := range urls {
		b.WriteString(`<url protocol="http" type="http" location="DE" preference="` + string(rune('9'-i)) + `">` + u + `/repodata/repomd.xml</url>`)
	}
	b.WriteString(`<url protocol="rsync" preference="100">rsync://a.example/repodata/repomd.xml</url></resources></file></files></metalink>`)
	return []byte(b.String())
}

func TestMetalink(t *testing.T) {
	a := newArchive(t, t.TempDir())
	a.Signer = nil
	a.publish()
	spec := strings.Replace(a.spec(), "baseurl: "+a.server.URL(a.at), "metalink: "+a.server.URL("/meta"), 1)
	right := a.files[nameRepomd]
	a.server.Put("/old/"+nameRepomd, []byte("<repomd/>"))
	// Addresses that cannot be of a folder.
	a.server.Put("/meta", metalink(t, right, "", a.server.URL(a.at)+"/?file="))
	_, err := plan(t, newEnv(t, a.dir, nil), spec)
	refused(t, err, fetch.ErrUpstream, "/meta", "names no mirror")
	a.server.Put("/meta", metalink(t, right, "", a.server.URL("/old"), a.server.URL(a.at)))
	all := artifacts(t, mustPlan(t, newEnv(t, a.dir, nil), spec), "epel")
	if got := all[nameRepomd].Evidence.Origin; got != a.server.URL(a.at+"/"+nameRepomd) {
		t.Errorf("origin %s", got)
	}
	// A mirror that is out of date, which the metalink still knows.
	alternates := `<mm0:alternates><mm0:alternate><mm0:timestamp>0</mm0:timestamp><size>` + "1" + `</size><verification><hash type="sha256">` + strings.Repeat("0", 64) + `</hash></verification></mm0:alternate><mm0:alternate><verification><hash type="sha512">` + sumOf("sha512", right) + `</hash></verification></mm0:alternate></mm0:alternates>`
	a.server.Put("/meta", metalink(t, []byte("newer"), alternates, a.server.URL(a.at)))
	mustPlan(t, newEnv(t, a.dir, nil), spec)
	a.server.Put("/meta", metalink(t, []byte("newer"), "", a.server.URL(a.at)))
	_, err = plan(t, newEnv(t, a.dir, nil), spec)
	refused(t, err, fetch.ErrRefused, "/meta", bundle.DigestOf([]byte("newer")).Hex(), bundle.DigestOf(right).Hex())
}

// Other checksums than SHA-256 are checked while the file is read.
func TestOtherChecksums(t *testing.T) {
	a := newArchive(t, t.TempDir())
	a.Sum = "sha512"
	a.publish()
	all := artifacts(t, mustPlan(t, newEnv(t, a.dir, nil), a.spec()), "epel")
	hello := a.find("Packages/hello")
	if got, err := readArtifact(t, all[hello]); err != nil || string(got) != string(a.files[hello]) {
		t.Error(err)
	}
	other := a.find("other.xml")
	a.server.Put(a.at+"/"+other, []byte("spoilt"))
	_, err := readArtifact(t, all[other])
	refused(t, err, bundle.ErrCorrupt, other, "sha512:")
	body := append([]byte(nil), a.files[hello]...)
	body[len(body)-1] ^= 1
	a.server.Put(a.at+"/"+hello, body)
	_, err = readArtifact(t, all[hello])
	refused(t, err, bundle.ErrCorrupt, hello, "sha512:")
	a.Sum = ""
	a.Change = func(repomd string) string {
		return strings.ReplaceAll(strings.ReplaceAll(repomd, `type="sha256"`, `type="md5"`), "", "")
	}
	a.publish()
	_, err = plan(t, newEnv(t, a.dir, nil), a.spec())
	refused(t, err, fetch.ErrUpstream, "checksum")
}

// Upstream changes between repomd.xml and a file that it names: once more from
// the top, and then it has to fit.
func TestChangedMeanwhile(t *testing.T) {
	a := newArchive(t, t.TempDir())
	a.publish()
	primary := a.at + "/" + a.find("primary")
	right := a.files[a.find("primary")]
	a.server.Put(primary, []byte("newer"))
	env := newEnv(t, a.dir, nil)
	env.Log = slog.New(onRecord{func() { a.server.Put(primary, right) }})
	mustPlan(t, env, a.spec())
	a.server.Put(primary, []byte("newer"))
	_, err := plan(t, newEnv(t, a.dir, nil), a.spec())
	refused(t, err, fetch.ErrUpstream, nameRepomd, primary, bundle.DigestOf(right).Hex(), bundle.DigestOf([]byte("newer")).Hex())
	alike := bytes.Clone(right)
	alike[len(alike)-1] ^= 1
	a.server.Put(primary, alike)
	_, err = plan(t, newEnv(t, a.dir, nil), a.spec())
	refused(t, err, fetch.ErrUpstream, primary, bundle.DigestOf(right).Hex(), bundle.DigestOf(alike).Hex())
}

// onRecord calls f for what is logged.
type onRecord struct{ f func() }

func (h onRecord) Enabled(context.Context, slog.Level) bool { return true }
func (h onRecord) Handle(context.Context, slog.Record) error {
	h.f()
	return nil
}
func (h onRecord) WithAttrs([]slog.Attr) slog.Handler { return h }
func (h onRecord) WithGroup(string) slog.Handler      { return h }

// Where else a file of the base may be is told by its path, as a location in its
// repository's list.
func TestPathsOfMirrors(t *testing.T) {
	at := func(folder, base, dir string) *loadedRepo {
		return &loadedRepo{head: &head{repo: &repo{folder: folder}, place: upstream.At(base)}, dir: dir}
	}
	l := &loaded{repos: []*loadedRepo{at("a/", "http://m.example/os/meta/x86_64/", "a/meta/x86_64/"), at("b/", "http://n.example/", "b/")}}
	for name, want := range map[string]string{
		"a/pool/x+y 1.rpm":                   "http://m.example/os/meta/x86_64/../../pool/x+y%201.rpm",
		"a/meta/x86_64/repodata/f":           "http://m.example/os/meta/x86_64/repodata/f",
		"_upstream/a/meta/x86_64/repodata/f": "http://m.example/os/meta/x86_64/repodata/f",
		"a/_foreign/h.example/x.rpm":         "",
		"b/x.rpm":                            "http://n.example/x.rpm",
	} {
		got := l.mirrors(sources.Recorded{Origin: "http://o.example/x", File: bundle.File{Path: name}})
		if got[0] != "http://o.example/x" || strings.Join(got[1:], " ") != want {
			t.Errorf("%s: %v, want %s", name, got, want)
		}
	}
}
