package rpm

import (
	"bytes"
	"crypto"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/pgpkeys"
	"github.com/gapbundle/gapbundle/internal/upstreamtest"
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
	_, err = plan(t, newEnv(t, a.dir, base), strings.Replace(a.spec(), "baseurl: "+a.server.URL(a.at), "mirrorlist: "+a.server.URL("/list"), 1))
	refused(t, err, fetch.ErrRefused, other.URL("/"), "the last export had it")
	_, err = plan(t, newEnv(t, a.dir, nil), a.spec("repo-gpgcheck: true"))
	refused(t, err, fetch.ErrRefused, nameSignature, "has to be signed")
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
