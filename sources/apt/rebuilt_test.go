package apt

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/test/plantest"
	"github.com/gapbundle/gapbundle/sources/collect"
)

// siteKey returns a key of the site, open or as a plan has it.
func siteKey(t testing.TB) (open, closed *openpgp.Entity) {
	t.Helper()
	open, private, _ := plantest.SiteKey(t, now.AddDate(-1, 0, 0))
	ring, err := openpgp.ReadArmoredKeyRing(bytes.NewReader(private))
	if err != nil {
		t.Fatal(err)
	}
	return open, ring[0]
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

// isSigned reports whether a path is a Release or its signature: another content of
// these is the bundle's business. The ones in binary-*/ and source/ are indexes.
func isSigned(p string) bool {
	folder, base, _ := cutLast("/"+p, "/")
	_, last, _ := cutLast(folder, "/")
	return base == nameInRelease || base == nameDetached || base == nameRelease && last != "source" && !strings.HasPrefix(last, "binary-")
}

// TestCheckNoticesEveryFile: any one file gone turns the check red, and is
// named; so does any one that is another than the index says.
func TestCheckNoticesEveryFile(t *testing.T) {
	for name, spec := range map[string]func(a *archive) string{
		"verbatim":            func(a *archive) string { return a.spec() },
		"rebuilt":             func(a *archive) string { return a.spec("packages: [hello]") },
		"contents":            func(a *archive) string { return a.spec("packages: [hello]", "contents: true") },
		"installer":           func(a *archive) string { a.installer(); return a.spec("installer: stable") },
		"installer, rebuilt":  func(a *archive) string { a.installer(); return a.spec("packages: [hello]", "installer: stable") },
		"installer, detached": func(a *archive) string { a.installer(); return a.spec("installer: stable") },
		"flat": func(a *archive) string {
			a.flat, a.extra, a.byHash = true, map[string]string{}, false
			delete(a.packages, "contrib amd64")
			return a.spec("suites: [./]", "mode: verbatim")
		},
		"Release.gpg": func(a *archive) string {
			r := a.indexes()
			a.server.Put(a.base()+"Release", r)
			a.server.Put(a.base()+"Release.gpg", plantest.Detach(t, r, a.signer))
			return a.spec()
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := newArchive(t, t.TempDir())
			text := spec(a)
			a.publish()
			if name == "Release.gpg" || name == "installer, detached" {
				a.server.Remove(a.base() + "InRelease")
			}
			env := plantest.NewEnv(t, a.dir, nil)
			env.Site, _ = siteKey(t)
			r, err := plan(t, env, text)
			if err != nil {
				t.Fatal(err)
			}
			tr := collectAll(t, r)
			counts, err := check(t.Context(), tr)
			if err != nil || len(counts) != 3 || counts[1].Count < 3 {
				t.Fatalf("whole: %v, %v", counts, err)
			}
			for p, f := range maps.Clone(tr.files["os"]) {
				delete(tr.files["os"], p)
				_, err := check(t.Context(), tr)
				if !errors.Is(err, bundle.ErrIncomplete) || !strings.Contains(err.Error(), "apt/os/"+strings.TrimSuffix(p, filepath.Ext(p))) {
					t.Errorf("%s gone: got %v", p, err)
				}
				if f.Digest != (bundle.Digest{}) && !isSigned(p) {
					other := f
					other.Digest[0] ^= 1
					tr.files["os"][p] = other
					if _, err := check(t.Context(), tr); !errors.Is(err, bundle.ErrCorrupt) || !strings.Contains(err.Error(), p) {
						t.Errorf("%s is another: got %v", p, err)
					}
				}
				tr.files["os"][p] = f
			}
		})
	}
}

// The same selection gives the same bytes whenever it is made, and the one of a
// plan, which may not open the site's key, but for the signatures.
func TestRebuiltIsDeterministic(t *testing.T) {
	a := newArchive(t, t.TempDir())
	a.publish()
	open, closed := siteKey(t)
	var first *tree
	for _, later := range []time.Duration{0, 40 * 24 * time.Hour} {
		env := plantest.NewEnv(t, a.dir, nil)
		env.Site, env.Now = open, env.Now.Add(later)
		r, err := plan(t, env, a.spec("packages: [hello]"))
		if err != nil {
			t.Fatal(err)
		}
		tr := collectAll(t, r)
		if first == nil {
			first = tr
		}
		if !maps.EqualFunc(first.files["os"], tr.files["os"], func(a, b bundle.File) bool { return a.Digest == b.Digest }) {
			t.Errorf("made later, it differs: %v and %v", first.files["os"], tr.files["os"])
		}
	}
	env := plantest.NewEnv(t, a.dir, nil)
	env.Site = closed
	r, err := plan(t, env, a.spec("packages: [hello]"))
	if err != nil {
		t.Fatal(err)
	}
	for p, artifact := range plantest.Artifacts(t, r, "os") {
		unknown := p == "dists/stable/InRelease" || p == "dists/stable/Release.gpg"
		if want := first.files["os"][p].Digest; unknown != artifact.File.Digest.IsZero() || !unknown && artifact.File.Digest != want {
			t.Errorf("%s: planned with %s, made with %s", p, artifact.File.Digest, want)
		}
	}
	if got := first.content["os"]["dists/stable/main/binary-amd64/Packages"]; strings.Contains(string(got), "other") || strings.Count(string(got), "Package: ") != 3 {
		t.Errorf("Packages:\n%s", got)
	}
	if _, ok := first.files["os"]["_upstream/dists/stable/InRelease"]; !ok {
		t.Error("upstream's signature is not there")
	}
}

// Contents of a selection: what was chosen, of its architecture and of all,
// from indexes of a component and of the whole suite; not the plain form.
func TestRebuiltContents(t *testing.T) {
	a := newArchive(t, t.TempDir())
	a.fields += "Architectures: all amd64\n"
	a.extra["main/Contents-amd64"] = "bin/hello main/hello\nbin/other main/other\n"
	a.extra["main/Contents-all"] = "share/data main/data\nshare/none main/none\n"
	a.extra["main/Contents-arm64"] = "bin/hello main/hello\n"
	a.extra["Contents-amd64"] = "bin/extra contrib/extra\nbin/hello main/hello,main/other\n"
	a.change = func(r string) string { return strings.Replace(r, "\nArchitectures: amd64\n", "\n", 1) }
	a.publish()
	env := plantest.NewEnv(t, a.dir, nil)
	env.Site, _ = siteKey(t)
	r, err := plan(t, env, a.spec("packages: [hello]", "contents: true"))
	if err != nil {
		t.Fatal(err)
	}
	tr := collectAll(t, r)
	for name, want := range map[string]string{
		"main/Contents-amd64": "share/data main/data\nbin/hello main/hello\n",
		"Contents-amd64":      "bin/hello main/hello\n",
	} {
		at := "dists/stable/" + name
		packed := tr.content["os"][at+".gz"]
		if packed == nil || tr.content["os"][at] != nil {
			t.Fatalf("%s: not there, or there is the plain one", at)
		}
		unzipped, err := gzip.NewReader(bytes.NewReader(packed))
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(unzipped)
		if err != nil || string(text) != want {
			t.Errorf("%s: %v\n%swant\n%s", name, err, text, want)
		}
		if release := string(tr.content["os"]["dists/stable/Release"]); !strings.Contains(release, fmt.Sprintf("%s %16d %s\n", bundle.DigestOf(text).Hex(), len(text), name)) {
			t.Errorf("%s: plain form not in Release:\n%s", name, release)
		}
		if tr.content["os"]["_upstream/"+at+".gz"] == nil {
			t.Errorf("%s: upstream's own is not there", name)
		}
	}
	for p := range tr.content["os"] {
		if strings.Contains(p, "Contents-a") && !strings.Contains(p, "_upstream") && !strings.Contains(p, "Contents-amd64.gz") {
			t.Errorf("%s is there", p)
		}
	}
}

func TestValidFor(t *testing.T) {
	a := newArchive(t, t.TempDir())
	a.publish()
	env := plantest.NewEnv(t, a.dir, nil)
	env.Site, _ = siteKey(t)
	r, err := plan(t, env, a.spec("packages: [hello]", "valid-for: 30d"))
	if err != nil {
		t.Fatal(err)
	}
	want := time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
	if e := r.Repositories[0].Expires; e == nil || !e.Equal(want) {
		t.Errorf("expires %v, want %v", e, want)
	}
	if text := collectAll(t, r).content["os"]["dists/stable/Release"]; !bytes.Contains(text, []byte("Valid-Until: Tue, 01 Dec 2026 00:00:00 UTC\n")) {
		t.Errorf("Release:\n%s", text)
	}
}

func TestRebuiltNeedsSiteKey(t *testing.T) {
	a := newArchive(t, t.TempDir())
	if _, err := plan(t, plantest.NewEnv(t, a.dir, nil), a.spec("packages: [hello]")); !errors.Is(err, bundle.ErrUsage) || !strings.Contains(err.Error(), "site key") {
		t.Errorf("got %v", err)
	}
	if n := a.server.AllRequests(); n != 0 {
		t.Errorf("%d requests before that was said", n)
	}
}

// What cannot be satisfied is an error that names the chain.
func TestUnsatisfied(t *testing.T) {
	a := newArchive(t, t.TempDir())
	a.packages["main amd64"] = append(a.packages["main amd64"], pkg("top", "1", "amd64", "Depends: middle"), pkg("middle", "1", "amd64", "Depends: nowhere (>= 2)"))
	a.publish()
	env := plantest.NewEnv(t, a.dir, nil)
	env.Site, _ = siteKey(t)
	_, err := plan(t, env, a.spec("packages: [top, nonesuch]"))
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"top", "middle", "nowhere (>= 2)", "nonesuch"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v: does not name %s", err, want)
		}
	}
}

// A stanza with relations by the million is refused before they are parsed.
func TestRelationsByTheMillion(t *testing.T) {
	a := newArchive(t, t.TempDir())
	a.packages["main amd64"] = append(a.packages["main amd64"], pkg("evil", "1", "amd64", "Depends: "+strings.Repeat("a, ", 10_000_000)+"b"))
	a.publish()
	env := plantest.NewEnv(t, a.dir, nil)
	env.Site, _ = siteKey(t)
	start := time.Now()
	if _, err := plan(t, env, a.spec("packages: [evil]")); !errors.Is(err, fetch.ErrUpstream) || !strings.Contains(err.Error(), "Packages.gz") {
		t.Errorf("got %v, want ErrUpstream", err)
	}
	if took := time.Since(start); took > 20*time.Second {
		t.Errorf("took %s", took)
	}
}

// Dependencies are found in other sources, and every package has a reason.
func TestClosureOverSources(t *testing.T) {
	a := newArchive(t, t.TempDir())
	a.publish()
	b := newArchive(t, a.dir)
	b.signer = a.signer
	plantest.WriteKeys(t, filepath.Join(a.dir, "archive.asc"), a.signer)
	b.packages = map[string][]string{"main amd64": {pkg("vendor", "1", "amd64", "Depends: hello")}}
	b.publish()
	env := plantest.NewEnv(t, a.dir, nil)
	env.Site, _ = siteKey(t)
	second := strings.Replace(b.spec("packages: [vendor]"), "name: os", "name: vendor", 1)
	r, err := plan(t, env, a.spec("packages: [other]")+second)
	if err != nil {
		t.Fatal(err)
	}
	hello, ok := plantest.Artifacts(t, r, "os")["pool/main/hello/hello_2.10-3_amd64.deb"]
	if !ok || !strings.Contains(hello.Evidence.Reason, "vendor") {
		t.Errorf("hello: %+v", hello.Evidence)
	}
}

// What a reference host has is left out, or is exactly what is carried.
func TestStatusFiles(t *testing.T) {
	a := newArchive(t, t.TempDir())
	a.publish()
	status := pkg("data", "1", "all", "Status: install ok installed") + "\n" + pkg("other", "1", "amd64", "Status: install ok installed") + "\n" + pkg("gone", "1", "amd64", "Status: deinstall ok config-files")
	if err := os.WriteFile(filepath.Join(a.dir, "status"), []byte(status), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		more []string
		want string
	}{
		{[]string{"packages: [hello]", "installed: status"}, "hello libhello"},
		{[]string{"reproduce: status"}, "data other"},
	} {
		env := plantest.NewEnv(t, a.dir, nil)
		env.Site, _ = siteKey(t)
		r, err := plan(t, env, a.spec(test.more...))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for p := range plantest.Artifacts(t, r, "os") {
			if strings.HasPrefix(p, "pool/") {
				got = append(got, strings.Split(p, "/")[2])
			}
		}
		if slices.Sort(got); strings.Join(got, " ") != test.want {
			t.Errorf("%v: got %v, want %s", test.more, got, test.want)
		}
	}
}
