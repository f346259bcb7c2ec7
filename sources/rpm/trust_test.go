package rpm

import (
	"bytes"
	"crypto"
	"io"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/pgpkeys"
	"github.com/gapbundle/gapbundle/internal/test/upstreamtest"
	"github.com/gapbundle/gapbundle/sources/keyring"
	"github.com/gapbundle/gapbundle/sources/rpm/rpmtest"
)

// A package is vouched for by its own key where there is one that may sign,
// and else by the index.
func TestVouched(t *testing.T) {
	a := newArchive(t, t.TempDir())
	key, eve := signers(t)
	for name, test := range map[string]struct {
		signed         bool
		keys           int
		more           string
		repomd, of     string
		unpinned, note bool
	}{
		"signed":             {signed: true, keys: 1, repomd: "openpgp:", of: "openpgp:"},
		"two keys":           {signed: true, keys: 2, repomd: "openpgp:", of: "index"},
		"not signed":         {keys: 1, repomd: "none", of: "openpgp:"},
		"unsigned let in":    {keys: 1, more: "allow-unsigned: true", repomd: "none", of: "none"},
		"and repomd signed":  {signed: true, keys: 1, more: "allow-unsigned: true", repomd: "openpgp:", of: "index"},
		"no key, no signing": {keys: 0, more: "allow-unsigned: true", repomd: "none", of: "none"},
	} {
		t.Run(name, func(t *testing.T) {
			a.t = t
			a.Signer = nil
			a.server.Remove(a.at + "/" + nameSignature)
			if test.signed {
				a.Signer = key
			}
			a.publish()
			spec := a.spec(test.more)
			switch test.keys {
			case 0:
				spec = strings.Replace(spec, "  gpgkey: archive.asc\n", "", 1)
			case 2:
				writeKeys(t, filepath.Join(a.dir, "eve.asc"), eve)
				spec = a.spec("gpgkey: [archive.asc, eve.asc]")
				spec = strings.Replace(spec, "  gpgkey: archive.asc\n", "", 1)
			}
			r := mustPlan(t, newEnv(t, a.dir, nil), spec)
			all := artifacts(t, r, "epel")
			if got := all[nameRepomd].Evidence.Vouched; !strings.HasPrefix(got, test.repomd) {
				t.Errorf("repomd.xml: %s, want %s", got, test.repomd)
			}
			if got := all[a.find("Packages/hello")].Evidence.Vouched; !strings.HasPrefix(got, test.of) {
				t.Errorf("package: %s, want %s", got, test.of)
			}
			if allowed := r.Repositories[0].Annotations[bundle.AllowedKey]; (allowed != "") != (test.more != "") {
				t.Errorf("annotation %q", allowed)
			}
		})
	}
}

// What the base has counts if it was checked by the same keys; what it has
// under other keys, or from elsewhere, is read again.
func TestKnownContentIsCheckedToo(t *testing.T) {
	dir := t.TempDir()
	a := newArchive(t, dir)
	_, eve := signers(t)
	writeKeys(t, filepath.Join(dir, "eve.asc"), eve)
	a.Signer = nil
	a.publish()
	hello := a.find("Packages/hello")
	base := record(t, mustPlan(t, newEnv(t, dir, nil), a.spec()))
	if x := artifacts(t, mustPlan(t, newEnv(t, dir, base), a.spec("repo-gpgcheck: false")), "epel")[hello]; x.Known != nil {
		t.Error("checked again by the same keys")
	}
	other := strings.Replace(a.spec(), "archive.asc", "eve.asc", 1)
	x := artifacts(t, mustPlan(t, newEnv(t, dir, base), other), "epel")[hello]
	if x.Known == nil {
		t.Fatal("not checked by the other key")
	}
	refused(t, x.Known(t.Context()), fetch.ErrRefused, hello)
	x = artifacts(t, mustPlan(t, newEnv(t, dir, nil), a.spec()), "epel")[hello]
	if err := x.Known(t.Context()); err != nil {
		t.Error(err)
	}
	a.server.Put(a.at+"/"+hello, []byte("something else"))
	refused(t, x.Known(t.Context()), fetch.ErrUpstream, hello, "want sha256:")
}

// A signature that the last export had and that is gone is refused.
func TestSignatureTakenOff(t *testing.T) {
	a := newArchive(t, t.TempDir())
	a.publish()
	base := record(t, mustPlan(t, newEnv(t, a.dir, nil), a.spec()))
	a.server.Remove(a.at + "/" + nameSignature)
	_, err := plan(t, newEnv(t, a.dir, base), a.spec())
	refused(t, err, fetch.ErrRefused, nameSignature, "the last export had it")
	other := upstreamtest.New(t)
	for name, content := range a.files {
		if name != nameSignature {
			other.Put("/"+name, content)
		}
	}
	a.server.Put("/list", []byte(other.URL("/")))
	there := newEnv(t, a.dir, base)
	there.Fetch.Name(other.URL("")) // a mirror that the spec may lead to
	_, err = plan(t, there, strings.Replace(a.spec(), "baseurl: "+a.server.URL(a.at), "mirrorlist: "+a.server.URL("/list"), 1))
	refused(t, err, fetch.ErrRefused, other.URL("/"), "the last export had it")
	// Several addresses: whoever can make the first one fail does not choose.
	first := upstreamtest.New(t)
	for name, content := range a.files {
		first.Put("/"+name, content)
	}
	several := strings.Replace(a.spec(), "baseurl: "+a.server.URL(a.at), "baseurl: ["+first.URL("/")+", "+other.URL("/")+"]", 1)
	base = record(t, mustPlan(t, newEnv(t, a.dir, nil), several))
	first.FailAlways("/"+nameRepomd, upstreamtest.Status(404))
	_, err = plan(t, newEnv(t, a.dir, base), several)
	refused(t, err, fetch.ErrRefused, other.URL("/"), "the last export had it")
	_, err = plan(t, newEnv(t, a.dir, nil), a.spec("repo-gpgcheck: true"))
	refused(t, err, fetch.ErrRefused, nameSignature, "no signature")
}

// Whoever reads as many bytes as the index says, and no end, does not get the
// last of a package that is refused.
func TestLastByteWaitsForTheVerdict(t *testing.T) {
	a := newArchive(t, t.TempDir())
	_, eve := signers(t)
	a.Packages[0].Payload, a.Packages[0].Signer = bytes.Repeat([]byte("payload "), 40_000), eve
	a.publish()
	hello := a.find("Packages/hello")
	for _, size := range []int{1, 1000, 1 << 20} {
		c, err := artifacts(t, mustPlan(t, newEnv(t, a.dir, nil), a.spec()), "epel")[hello].Open(t.Context(), 0, "")
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for p := make([]byte, size); err == nil && n < len(a.files[hello]); {
			var more int
			more, err = c.Body.Read(p[:min(size, len(a.files[hello])-n)])
			n += more
		}
		if n != len(a.files[hello])-1 {
			t.Errorf("%d of %d bytes", n, len(a.files[hello]))
		}
		refused(t, err, fetch.ErrRefused, hello)
		if err := c.Body.Close(); err != nil {
			t.Error(err)
		}
	}
}

// A signature of repomd.xml over SHA-1 counts for nothing: two files with one
// SHA-1 can be made.
func TestForgeableSignature(t *testing.T) {
	a := newArchive(t, t.TempDir())
	a.publish()
	sign := func(kind packet.SignatureType, id byte, hash crypto.Hash) {
		a.server.Put(a.at+"/"+nameSignature, rpmtest.Raw(t, a.key, a.files[nameRepomd], kind, id, hash))
	}
	sign(packet.SigTypeBinary, 8, crypto.SHA256)
	mustPlan(t, newEnv(t, a.dir, nil), a.spec())
	for id, hash := range map[byte]crypto.Hash{1: crypto.MD5, 2: crypto.SHA1} {
		sign(packet.SigTypeBinary, id, hash)
		_, err := plan(t, newEnv(t, a.dir, nil), a.spec())
		refused(t, err, fetch.ErrRefused, nameSignature, pgpkeys.Fingerprint(a.key))
	}
}

// A package that is rightly signed cannot stand for another one, however the
// index puts it.
func TestIdentity(t *testing.T) {
	for name, test := range map[string]struct{ from, to string }{
		"version":                     {`ver="2.10" rel="1.el9"/><checksum`, `ver="2.11" rel="1.el9"/><checksum`},
		"epoch":                       {`epoch="0" ver="2.10"`, `epoch="1" ver="2.10"`},
		"architecture":                {"<name>hello</name><arch>x86_64</arch>", "<name>hello</name><arch>src</arch>"},
		"name":                        {"<name>hello</name>", "<name>hallo</name>"},
		"same NEVRA":                  {`<name>hello</name><arch>x86_64</arch><version epoch="0" ver="2.10" rel="1.el9"/>`, `<name>hello-2.10</name><arch>x86_64</arch><version epoch="0" ver="1.el9" rel=""/>`},
		"attribute of another prefix": {`ver="2.10" rel="1.el9"/><checksum`, `x:ver="2.10" ver="2.11" rel="1.el9"/><checksum`},
		"element of another prefix":   {`ver="2.10" rel="1.el9"/><checksum`, `ver="2.11" rel="1.el9"/><x:version epoch="0" ver="2.10" rel="1.el9"/><checksum`},
		"hyphen":                      {`<name>hello</name><arch>x86_64</arch><version epoch="0" ver="2.10" rel="1.el9"/>`, `<name>hello</name><arch>x86_64</arch><version epoch="0" ver="2.10-1.el9" rel=""/>`},
	} {
		t.Run(name, func(t *testing.T) {
			a := newArchive(t, t.TempDir())
			a.Edit = func(kind, content string) string {
				if kind != "primary" || !strings.Contains(content, test.from) {
					return content
				}
				return strings.Replace(content, test.from, test.to, 1)
			}
			a.publish()
			hello := a.find("Packages/hello")
			_, err := readArtifact(t, artifacts(t, mustPlan(t, newEnv(t, a.dir, nil), a.spec()), "epel")[hello])
			refused(t, err, fetch.ErrRefused, hello, "is hello-2.10-1.el9.x86_64 by its own header", "the index says")
		})
	}
}

// The same content under two names is looked at under both.
func TestIdentityOfKnownContent(t *testing.T) {
	key, _ := signers(t)
	a := newArchive(t, t.TempDir())
	twice := func(second string) {
		a.Edit = func(kind, content string) string {
			at := strings.Index(content, "</package>\n")
			if kind != "primary" || at < 0 {
				return content
			}
			at += len("</package>\n")
			from := strings.Index(content, "<package ")
			again := strings.NewReplacer(`ver="2.10" rel="1.el9"/><checksum`, `ver="2.11" rel="1.el9"/><checksum`, "Packages/hello-2.10", second).Replace(content[from:at])
			return content[:at] + again + content[at:]
		}
	}
	// In one repository, at two places.
	twice("Packages/hello-2.11")
	a.publish()
	hello := a.find("Packages/hello")
	other := strings.Replace(hello, "2.10", "2.11", 1)
	a.server.Put(a.at+"/"+other, a.files[hello])
	all := artifacts(t, mustPlan(t, newEnv(t, a.dir, nil), a.spec()), "epel")
	if all[other].Known == nil {
		t.Fatal("the same content as another package: not looked at")
	}
	refused(t, all[other].Known(t.Context()), fetch.ErrRefused, other, "the index says hello-2.11")
	// At one place.
	twice("Packages/hello-2.10")
	a.publish()
	for _, more := range []string{"", "packages: [hello]"} {
		env := newEnv(t, a.dir, nil)
		env.Site = key
		_, err := plan(t, env, a.spec(more))
		refused(t, err, fetch.ErrUpstream, hello, "another package")
	}
	// In two sources.
	a.Edit = nil
	a.publish()
	b := newArchive(t, a.dir)
	b.Packages, b.at = b.Packages[:1], "/other"
	b.Edit = replace(`ver="2.10" rel="1.el9"/><checksum`, `ver="2.11" rel="1.el9"/><checksum`)
	b.publish()
	second := strings.Replace(b.spec(), "name: epel", "name: other", 1)
	all = artifacts(t, mustPlan(t, newEnv(t, a.dir, nil), a.spec()+second), "other")
	if all[hello].Known == nil {
		t.Fatal("the same content as another source's package: not looked at")
	}
	refused(t, all[hello].Known(t.Context()), fetch.ErrRefused, b.server.URL(b.at), "the index says hello-2.11")
	// In the base, before the index called it something else.
	b.Edit = nil
	b.publish()
	base := record(t, mustPlan(t, newEnv(t, a.dir, nil), b.spec()))
	b.Edit = replace(`ver="2.10" rel="1.el9"/><checksum`, `ver="2.11" rel="1.el9"/><checksum`)
	b.publish()
	if x := artifacts(t, mustPlan(t, newEnv(t, a.dir, base), b.spec()), "epel")[hello]; x.Known == nil {
		t.Error("the same content as in the base, as another package: not looked at")
	}
}

// A signer's clock may be a little ahead, and a connection that nobody can have
// changed vouches for what is not signed.
func TestAheadAndOverTLS(t *testing.T) {
	a := newArchive(t, t.TempDir())
	a.server, a.Signer = upstreamtest.NewTLS(t), nil
	a.Packages[0].Signed, a.Packages[1].Signed = now.Add(keyring.ClockSkew/2), now.Add(time.Hour)
	a.publish()
	env := newEnv(t, a.dir, nil)
	host := strings.TrimPrefix(a.server.URL(""), "https://")
	client, err := fetch.New(fetch.Options{Env: func(string) string { return "" }, Home: a.dir, Retries: -1, Hosts: map[string]fetch.HostOptions{host: {CA: a.server.CA()}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	env.Fetch = client
	all := artifacts(t, mustPlan(t, env, a.spec()), "epel")
	if e := all[nameRepomd].Evidence; e.Vouched != bundle.VouchedTLS {
		t.Errorf("%+v", e)
	}
	if _, err := readArtifact(t, all[a.find("Packages/hello")]); err != nil {
		t.Error(err)
	}
	_, err = readArtifact(t, all[a.find("Packages/libhello")])
	refused(t, err, fetch.ErrRefused, "Packages/libhello")
}

// allow-unsigned lets packages without a signature in, and no others that
// would be refused.
func TestAllowUnsigned(t *testing.T) {
	a := newArchive(t, t.TempDir())
	_, eve := signers(t)
	a.Packages[0].Form, a.Packages[1].Signer, a.Packages[2].Form = rpmtest.Unsigned, eve, rpmtest.HeaderAlone
	a.publish()
	all := artifacts(t, mustPlan(t, newEnv(t, a.dir, nil), a.spec("allow-unsigned: true")), "epel")
	hello, libhello, data := a.find("Packages/hello"), a.find("Packages/libhello"), a.find("Packages/data")
	if got, err := readArtifact(t, all[hello]); err != nil || !bytes.Equal(got, a.files[hello]) {
		t.Error(err)
	}
	_, err := readArtifact(t, all[libhello])
	refused(t, err, fetch.ErrRefused, libhello, pgpkeys.Fingerprint(eve), pgpkeys.Fingerprint(a.key))
	_, err = readArtifact(t, all[data])
	refused(t, err, fetch.ErrRefused, data, "over the header alone")
}

// What is built again under the same name is not what the base has. Of content
// whose SHA-256 upstream does not tell, the checksum that it does tell decides.
func TestBuiltAgain(t *testing.T) {
	for _, sum := range []string{"sha256", "sha512"} {
		t.Run(sum, func(t *testing.T) { builtAgain(t, sum) })
	}
}

func builtAgain(t *testing.T, sum string) {
	a := newArchive(t, t.TempDir())
	a.Sum = sum
	a.publish()
	hello, other := a.find("Packages/hello"), a.find("Packages/other")
	base := record(t, mustPlan(t, newEnv(t, a.dir, nil), a.spec()))
	a.Packages[0].Payload = []byte("built again")
	a.publish()
	all := artifacts(t, mustPlan(t, newEnv(t, a.dir, base), a.spec()), "epel")
	if x := all[other]; x.File.Digest != bundle.DigestOf(a.files[other]) || x.Known != nil {
		t.Errorf("%s, unchanged: %v", other, x.File)
	}
	if x := all[hello]; sum == "sha512" && !x.File.Digest.IsZero() || sum == "sha256" && x.File.Digest != bundle.DigestOf(a.files[hello]) || x.Known == nil {
		t.Errorf("%s, changed: taken for %v, which the base has", hello, x.File)
	}
	// A size that the index has wrong is a contradiction, whatever the checksum says.
	a.Edit = func(kind, content string) string {
		return strings.Replace(content, `<size package="`, `<size package="1`, 1)
	}
	a.publish()
	_, err := readArtifact(t, artifacts(t, mustPlan(t, newEnv(t, a.dir, nil), a.spec()), "epel")[hello])
	refused(t, err, bundle.ErrCorrupt, hello, "bytes)")
}

// Whoever stops in the middle leaves nothing running.
func TestClosedInTheMiddle(t *testing.T) {
	a := newArchive(t, t.TempDir())
	for _, p := range a.Packages {
		p.Form, p.Payload = rpmtest.Both, bytes.Repeat([]byte("payload "), 40_000)
	}
	a.publish()
	x := artifacts(t, mustPlan(t, newEnv(t, a.dir, nil), a.spec()), "epel")[a.find("Packages/hello")]
	c, err := x.Open(t.Context(), 0, "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c.Body, make([]byte, 100_000)); err != nil {
		t.Fatal(err)
	}
	if err := c.Body.Close(); err != nil {
		t.Error(err)
	}
	stack := make([]byte, 1<<20)
	for range 10_000 {
		runtime.Gosched()
		if !bytes.Contains(stack[:runtime.Stack(stack, true)], []byte("rpmsig.stream")) {
			return
		}
	}
	t.Error("a signature is still being checked")
}
