//go:build clients

package rpm

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"github.com/gapbundle/gapbundle/internal/pgpkeys"
	"github.com/gapbundle/gapbundle/sources/rpm/rpmsig"
	"github.com/gapbundle/gapbundle/sources/rpm/rpmtest"
)

// TestRPMKeysAgrees: what counts as signed here is what rpm takes, as dnf asks
// it with gpgcheck=1.
func TestRPMKeysAgrees(t *testing.T) {
	home, err := built()
	if err != nil {
		t.Fatal(err)
	}
	key, eve := newKey(t), newKey(t)
	text, err := os.ReadFile(filepath.Join(home, "upstream.asc"))
	if err != nil {
		t.Fatal(err)
	}
	keys, err := pgpkeys.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	keys = append(keys, key)
	dir := t.TempDir()
	writeKeys(t, filepath.Join(dir, "keys.asc"), key)
	for _, name := range []string{filepath.Join(dir, "keys.asc"), filepath.Join(home, "upstream.asc")} {
		if _, err := tool(home, dir, "rpmkeys", "--dbpath", filepath.Join(dir, "db"), "--import", name); err != nil {
			t.Fatal(err)
		}
	}
	packages := map[string][]byte{}
	for name, file := range map[string]string{"real": "signed/os/hello-2.10-1.x86_64.rpm", "real, not signed": "plain/os/hello-2.10-1.x86_64.rpm", "real source": "signed/os/hello-2.10-1.src.rpm"} {
		if packages[name], err = os.ReadFile(filepath.Join(home, file)); err != nil {
			t.Fatal(err)
		}
	}
	size := len(packages["real"])
	for name, at := range map[string]int{"last byte": size - 1, "payload": size * 2 / 3, "lead": 20, "signature header": 400} {
		spoilt := bytes.Clone(packages["real"])
		spoilt[at] ^= 1
		packages["real, changed: "+name] = spoilt
	}
	for name, p := range map[string]rpmtest.Package{
		"header": {Form: rpmtest.Header}, "header alone": {Form: rpmtest.HeaderAlone}, "both": {Form: rpmtest.Both}, "not signed": {Form: rpmtest.Unsigned},
		"version 3": {Form: rpmtest.Both, Signature: func(b []byte) []byte { return rpmtest.Version3(t, key, b, time.Now().Add(-time.Hour)) }},
		"of a text": {Signature: func(b []byte) []byte { return rpmtest.Raw(t, key, b, packet.SigTypeText, 8, crypto.SHA256) }},
		"two in one": {Signature: func(b []byte) []byte {
			return bytes.Repeat(rpmtest.Sign(t, key, b, crypto.SHA256, time.Now().Add(-time.Hour)), 2)
		}},
		"of something else": {Signature: func([]byte) []byte {
			return rpmtest.Sign(t, key, []byte("x"), crypto.SHA256, time.Now().Add(-time.Hour))
		}},
		"no signature":             {Signature: func([]byte) []byte { return []byte("signature") }},
		"signature of nothing":     {Signature: func([]byte) []byte { return []byte{} }},
		"another payload's digest": {InHeader: []rpmtest.Entry{rpmtest.Texts(5092, strings.Repeat("0", 64))}},
		"header's SHA-1 is another": {InSignature: func(_, _ []byte) []rpmtest.Entry {
			return []rpmtest.Entry{{Tag: 269, Kind: 6, Count: 1, Data: append(bytes.Repeat([]byte("0"), 40), 0)}}
		}},
		"header's SHA-256 is another": {InSignature: func(_, _ []byte) []rpmtest.Entry {
			return []rpmtest.Entry{{Tag: 273, Kind: 6, Count: 1, Data: append(bytes.Repeat([]byte("0"), 64), 0)}}
		}},
		"MD5 is another": {InSignature: func(_, _ []byte) []rpmtest.Entry { return []rpmtest.Entry{rpmtest.Bin(1004, make([]byte, 16))} }},
		"header and both": {InSignature: func(_, both []byte) []rpmtest.Entry {
			return []rpmtest.Entry{rpmtest.Bin(1002, rpmtest.Sign(t, key, both, crypto.SHA256, time.Now().Add(-time.Hour)))}
		}},
		"header, and both by another": {InSignature: func(_, both []byte) []rpmtest.Entry {
			return []rpmtest.Entry{rpmtest.Bin(1002, rpmtest.Sign(t, eve, both, crypto.SHA256, time.Now().Add(-time.Hour)))}
		}},
		"both, header's by another": {Form: rpmtest.Both, InSignature: func(head, _ []byte) []rpmtest.Entry {
			return []rpmtest.Entry{rpmtest.Bin(268, rpmtest.Sign(t, eve, head, crypto.SHA256, time.Now().Add(-time.Hour)))}
		}},
		"in the other's tag": {InSignature: func(head, _ []byte) []rpmtest.Entry {
			return []rpmtest.Entry{{Tag: 268}, rpmtest.Bin(267, rpmtest.Sign(t, key, head, crypto.SHA256, time.Now().Add(-time.Hour)))}
		}},
		"something behind it": {Spoil: func(b []byte) []byte { return append(b, 0) }},
		"cut":                 {Spoil: func(b []byte) []byte { return b[:len(b)-1] }},
		"by another":          {Form: rpmtest.Header, Signer: eve}, "both, by another": {Form: rpmtest.Both, Signer: eve},
	} {
		p.Name, p.Version, p.Release, p.Arch, p.Signed = "made", "1", "1", "noarch", time.Now().Add(-time.Hour)
		if p.Signer == nil {
			p.Signer = key
		}
		packages[name] = p.Build(t)
		if name != "not signed" {
			p.Spoil = func(b []byte) []byte { b[len(b)-1] ^= 1; return b }
			packages[name+", payload changed"] = p.Build(t)
		}
	}
	for name, content := range packages {
		file := filepath.Join(dir, "x.rpm")
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), "rpmkeys", "--dbpath", filepath.Join(dir, "db"), "--define", "_pkgverify_level signature", "--checksig", "--verbose", file)
		out, err := cmd.CombinedOutput()
		if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
			t.Fatal(err)
		}
		v := rpmsig.New(keys, time.Now())
		_, _ = v.Write(content)
		verdict, own := v.Verdict()
		if ok := own == nil && len(verdict.Signers) > 0; ok != (err == nil) {
			t.Errorf("%s: here %t (%v), rpmkeys %t:\n%s", name, ok, own, err == nil, out)
		}
	}
}

// newKey returns one of an hour ago, of a kind that every rpm reads.
func newKey(t *testing.T) *openpgp.Entity {
	t.Helper()
	e, err := openpgp.NewEntity("made", "", "made@a.example", &packet.Config{
		Algorithm: packet.PubKeyAlgoRSA, RSABits: 2048, Time: func() time.Time { return time.Now().Add(-2 * time.Hour) },
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := e.PrivateKey.PrivateKey.(*rsa.PrivateKey); !ok {
		t.Fatal("not RSA")
	}
	return e
}
