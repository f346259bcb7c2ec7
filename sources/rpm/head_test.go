package rpm

import (
	"crypto"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/test/upstreamtest"
	"github.com/gapbundle/gapbundle/sources/keyring"
	"github.com/gapbundle/gapbundle/sources/rpm/rpmtest"
	"github.com/gapbundle/gapbundle/sources/upstream"
)

// TestRepomdSignature: a signature that is there has to hold, whoever asked for it.
func TestRepomdSignature(t *testing.T) {
	a := newArchive(t, t.TempDir())
	_, eve := signers(t)
	a.publish()
	repomd := a.files[nameRepomd]
	nobody := strings.Replace(a.spec("allow-unsigned: true"), "  gpgkey: archive.asc\n", "", 1)
	right := string(a.files[nameSignature])
	signed := func(at time.Time) string { return string(rpmtest.Sign(t, a.key, repomd, crypto.SHA256, at)) }
	for name, test := range map[string]struct {
		signature, spec, want string
	}{
		"text around it":    {"Hash: SHA256\n\n" + right + "\nas of today\n", a.spec(), ""},
		"by two":            {signed(time.Time{}) + string(rpmtest.Sign(t, eve, repomd, crypto.SHA256, time.Time{})), a.spec(), ""},
		"by two, the other": {string(rpmtest.Sign(t, eve, repomd, crypto.SHA256, time.Time{})) + signed(time.Time{}), a.spec(), ""},
		"by another":        {string(rpmtest.Sign(t, eve, repomd, crypto.SHA256, time.Time{})), a.spec(), "want a signature by"},
		"of something else": {string(rpmtest.Sign(t, a.key, []byte("x"), crypto.SHA256, time.Time{})), a.spec(), "want a signature by"},
		"nobody to ask":     {right, nobody, "there is no key to check it by: set gpgkey"},
		"none at all":       {"<!doctype html><html>", a.spec(), ""},
		"empty":             {"", a.spec(), ""},
		"empty, wanted":     {"", a.spec("repo-gpgcheck: true"), "not readable"},
		"a page, wanted":    {"<html>", a.spec("repo-gpgcheck: true"), "not readable"},
		"by another, off":   {string(rpmtest.Sign(t, eve, repomd, crypto.SHA256, time.Time{})), a.spec("repo-gpgcheck: false"), ""},
		"cut off":           {right[:len(right)/2], a.spec(), nameSignature},
		"clear-signed":      {"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n" + string(repomd) + "\n" + right, a.spec(), nameSignature},
		"a key":             {string(publicKey(t, a)), a.spec("repo-gpgcheck: true"), "not readable"},
		"a little ahead":    {signed(now.Add(keyring.ClockSkew / 2)), a.spec(), ""},
		"of the future":     {signed(now.Add(time.Hour)), a.spec(), "want a signature by"},
	} {
		t.Run(name, func(t *testing.T) {
			a.server.Put(a.at+"/"+nameSignature, []byte(test.signature))
			_, err := plan(t, newEnv(t, a.dir, nil), test.spec)
			if test.want != "" {
				refused(t, err, fetch.ErrRefused, nameSignature, test.want)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
	a.server.FailAlways(a.at+"/"+nameSignature, upstreamtest.Status(410))
	mustPlan(t, newEnv(t, a.dir, nil), a.spec())
	a.server.FailAlways(a.at+"/"+nameSignature, upstreamtest.Status(500))
	_, err := plan(t, newEnv(t, a.dir, nil), a.spec())
	refused(t, err, fetch.ErrUpstream, nameSignature, "500")
}

// TestSignatureNotUsed: what is no signature counts as none, and one that the spec switches
// off is neither asked for nor carried nor demanded because the base had it; both are said.
func TestSignatureNotUsed(t *testing.T) {
	a := newArchive(t, t.TempDir())
	_, eve := signers(t)
	a.publish()
	base := record(t, mustPlan(t, newEnv(t, a.dir, nil), a.spec()))
	a.server.Put(a.at+"/"+nameSignature, rpmtest.Sign(t, eve, a.files[nameRepomd], crypto.SHA256, time.Time{}))
	_, err := plan(t, newEnv(t, a.dir, nil), a.spec())
	refused(t, err, fetch.ErrRefused, nameSignature, "repo-gpgcheck: false")
	a.server.ResetCounts()
	r := mustPlan(t, newEnv(t, a.dir, base), a.spec("repo-gpgcheck: false"))
	all := artifacts(t, r, "epel")
	if _, ok := all[nameSignature]; ok || a.server.Requests(a.at+"/"+nameSignature) > 0 || all[nameRepomd].Evidence.Vouched != bundle.VouchedNone {
		t.Errorf("%+v", all[nameRepomd].Evidence)
	}
	if repo := r.Repositories[0]; repo.Annotations[bundle.AllowedKey] != allowedIndex || !strings.Contains(strings.Join(repo.Notes, "\n"), "is not used (repo-gpgcheck: false)") {
		t.Errorf("%v %q", repo.Annotations, repo.Notes)
	}
	a.server.Put(a.at+"/"+nameSignature, []byte("<html>"))
	r = mustPlan(t, newEnv(t, a.dir, nil), a.spec())
	if _, ok := artifacts(t, r, "epel")[nameSignature]; ok || !strings.Contains(strings.Join(r.Repositories[0].Notes, "\n"), "is no signature, and counts as none") {
		t.Errorf("%q", r.Repositories[0].Notes)
	}
	_, err = plan(t, newEnv(t, a.dir, base), a.spec())
	refused(t, err, fetch.ErrRefused, nameSignature, "the last export had it")
}

// TestKeyBesideRepomd: clients that look for the key next to repomd.xml find the one that is
// published below keys/, whatever upstream has there.
func TestKeyBesideRepomd(t *testing.T) {
	a := newArchive(t, t.TempDir())
	a.publish()
	a.server.Put(a.at+"/"+nameKey, []byte("eve's"))
	env := newEnv(t, a.dir, nil)
	env.Site = siteKey(t)
	for spec, role := range map[string]string{a.spec(): keyring.RoleUpstream, a.spec("packages: [hello]", "architectures: [x86_64]"): keyring.RoleSite} {
		r := mustPlan(t, env, spec)
		tr := collectAll(t, r)
		armored := ""
		for _, k := range r.Repositories[0].Keys {
			if k.Role == role {
				armored = string(k.Armored)
			}
		}
		if got := string(tr.content["epel"][nameKey]); got != armored || armored == "" {
			t.Errorf("%s: %q, want %q", role, got, armored)
		}
	}
	a.server.Remove(a.at + "/" + nameSignature)
	if _, ok := artifacts(t, mustPlan(t, env, a.spec()), "epel")[nameKey]; ok {
		t.Error("there is a key, and no signature that it is for")
	}
}

// publicKey returns the file of the archive's key.
func publicKey(t *testing.T, a *archive) []byte {
	t.Helper()
	keys, err := a.keys().Publish(keyring.RoleUpstream, "x")
	if err != nil {
		t.Fatal(err)
	}
	return keys[0].Armored
}

// TestMetalinkVersions: what counts of a metalink is its strongest digest, with
// the size if it tells one, of today's repomd.xml or an older one that it lists.
func TestMetalinkVersions(t *testing.T) {
	a := newArchive(t, t.TempDir())
	a.Signer = nil
	a.publish()
	spec := strings.Replace(a.spec(), "baseurl: "+a.server.URL(a.at), "metalink: "+a.server.URL("/meta"), 1)
	right := a.files[nameRepomd]
	stale := upstreamtest.New(t)
	for name, content := range a.files {
		stale.Put("/"+name, content)
	}
	stale.Put("/"+nameRepomd, []byte("<repomd/>"))
	version := func(size int, kinds ...string) string {
		var b strings.Builder
		if size > 0 {
			fmt.Fprintf(&b, "<size>%d</size>", size)
		}
		b.WriteString("<verification>")
		for _, kind := range kinds {
			kind, of, _ := strings.Cut(kind, " ")
			content, sum := right, strings.Repeat("0", 32) // of MD5, which never counts
			if of == "other" {
				content = []byte("newer")
			}
			if kind != "md5" {
				sum = sumOf(strings.Replace(kind, "sha1", "sha", 1), content)
			}
			fmt.Fprintf(&b, `<hash type="%s">%s</hash>`, kind, sum)
		}
		return b.String() + "</verification>"
	}
	for name, test := range map[string]struct {
		current, older string
		mirrors        []string
		class          error
		want           string
	}{
		"current":               {version(len(right), "sha256"), "", []string{a.server.URL(a.at)}, nil, ""},
		"another first":         {version(len(right), "sha256"), "", []string{stale.URL(""), a.server.URL(a.at)}, nil, ""},
		"the strongest counts":  {version(0, "md5", "sha256", "sha512 other"), "", []string{a.server.URL(a.at)}, fetch.ErrRefused, sumOf("sha512", []byte("newer"))},
		"and the weaker do not": {version(0, "sha1 other", "sha256 other", "sha512"), "", []string{a.server.URL(a.at)}, nil, ""},
		"size":                  {version(len(right)+1, "sha256"), "", []string{a.server.URL(a.at)}, fetch.ErrRefused, nameRepomd},
		"SHA-1 alone":           {version(0, "sha1"), "", []string{a.server.URL(a.at)}, fetch.ErrUpstream, "has no SHA-256"},
		"older, SHA-1 alone":    {version(0, "sha256 other"), version(0, "sha1"), []string{a.server.URL(a.at)}, fetch.ErrRefused, nameRepomd},
		"older":                 {version(0, "sha256 other"), version(0, "sha256"), []string{stale.URL(""), a.server.URL(a.at)}, nil, ""},
		"older, another":        {version(0, "sha256 other"), version(0, "sha256 other"), []string{a.server.URL(a.at)}, fetch.ErrRefused, bundle.DigestOf(right).Hex()},
	} {
		t.Run(name, func(t *testing.T) {
			var b strings.Builder
			b.WriteString(`<metalink xmlns:mm0="http://fedorahosted.org/mirrormanager"><files><file name="other">` + version(0, "sha512") + `</file><file name="repomd.xml">` + test.current)
			if test.older != "" {
				b.WriteString("<mm0:alternates><mm0:alternate>" + test.older + "</mm0:alternate></mm0:alternates>")
			}
			b.WriteString("<resources>")
			for i, m := range test.mirrors {
				fmt.Fprintf(&b, `<url preference="%d">%s/%s</url>`, 100-i, strings.TrimSuffix(m, "/"), nameRepomd)
			}
			b.WriteString("</resources></file></files></metalink>")
			a.server.Put("/meta", []byte(b.String()))
			r, err := plan(t, newEnv(t, a.dir, nil), spec)
			if test.class != nil {
				refused(t, err, test.class, test.want)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			all := artifacts(t, r, "epel")
			if e := all[nameRepomd].Evidence; e.Origin != a.server.URL(a.at+"/"+nameRepomd) || e.Vouched != bundle.VouchedNone {
				t.Errorf("%+v", e)
			}
			if e := all[a.find("primary")].Evidence; !strings.HasPrefix(e.Origin, a.server.URL(a.at)) {
				t.Errorf("%+v", e)
			}
		})
	}
}

// TestManyMirrors: not more are tried than is worth while.
func TestManyMirrors(t *testing.T) {
	a := newArchive(t, t.TempDir())
	a.publish()
	spec := strings.Replace(a.spec(), "baseurl: "+a.server.URL(a.at), "mirrorlist: "+a.server.URL("/list"), 1)
	list := func(gone int) {
		a.server.Put("/list", []byte(strings.Repeat(a.server.URL("/gone")+"\n", gone)+a.server.URL(a.at)+"\n"))
	}
	list(upstream.MaxMirrors - 1)
	mustPlan(t, newEnv(t, a.dir, nil), spec)
	list(upstream.MaxMirrors)
	_, err := plan(t, newEnv(t, a.dir, nil), spec)
	refused(t, err, fetch.ErrUpstream, "/gone")
	a.server.Put("/list", []byte(strings.Repeat(a.server.URL(a.at)+"\n", 3*upstream.MaxMirrors)))
	env := newEnv(t, a.dir, nil)
	env.Fetch.Name(a.server.URL("")) // no spec does
	h, err := readHead(t.Context(), env, &repo{mirrorlist: a.server.URL("/list")}, a.keys(), 0)
	if err != nil || len(h.place.Bases()) != upstream.MaxMirrors {
		t.Errorf("%v, %v", h, err)
	}
}

// sumOf returns a checksum of a type.
func sumOf(kind string, content []byte) string { return upstream.Sum{Algorithm: kind}.Of(content).Hex }

// TestHashes: digests of the types that count, by known answers.
func TestHashes(t *testing.T) {
	for kind, want := range map[string]string{
		"sha":    "a9993e364706816aba3e25717850c26c9cd0d89d",
		"sha224": "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7",
		"sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
		"sha384": "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7",
		"sha512": "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
	} {
		if err := (upstream.Sum{Algorithm: kind, Hex: want}).Check("x"); err != nil || sumOf(kind, []byte("abc")) != want {
			t.Errorf("%s: not %s", kind, want)
		}
	}
	for _, kind := range []string{"md5", "crc", ""} {
		if (upstream.Sum{Algorithm: kind, Hex: "00"}).Check("x") == nil {
			t.Errorf("%s counts", kind)
		}
	}
}
