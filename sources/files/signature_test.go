package files

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/pgpkeys"
	"github.com/gapbundle/gapbundle/internal/test/plantest"
	"github.com/gapbundle/gapbundle/internal/test/upstreamtest"
)

func detached(t *testing.T, e *openpgp.Entity, content []byte, armored bool) []byte {
	t.Helper()
	sign := openpgp.DetachSign
	if armored {
		sign = openpgp.ArmoredDetachSign
	}
	var b bytes.Buffer
	if err := sign(&b, e, bytes.NewReader(content), plantest.SignedAt()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// keyring writes public keys next to the spec; armored, each has a block of its
// own, as cat makes it of several files.
func (s *site) keyring(name string, armored bool, keys ...*openpgp.Entity) {
	s.t.Helper()
	var content bytes.Buffer
	for _, e := range keys {
		if !armored {
			if err := e.Serialize(&content); err != nil {
				s.t.Fatal(err)
			}
			continue
		}
		block, err := pgpkeys.Armor(openpgp.EntityList{e})
		if err != nil {
			s.t.Fatal(err)
		}
		content.Write(block)
	}
	if err := os.WriteFile(filepath.Join(s.dir, name), content.Bytes(), 0o644); err != nil {
		s.t.Fatal(err)
	}
}

func TestSignedSums(t *testing.T) {
	alice, bob, eve := plantest.NewSigner(t, "alice", 0), plantest.NewSigner(t, "bob", 0), plantest.NewSigner(t, "eve", 0)
	lapsed := plantest.NewSigner(t, "lapsed", 60*24*time.Hour)
	list := []byte(sumX.Hex() + "  x\n")
	for _, test := range []struct {
		name  string
		files map[string][]byte // besides x
		keys  []*openpgp.Entity
		extra string // keys of the source
		by    *openpgp.Entity
		want  []string // parts of the refusal, otherwise by signs
	}{
		{name: "binary", files: map[string][]byte{"SHA256SUMS": list, "SHA256SUMS.gpg": detached(t, alice, list, false)}, keys: []*openpgp.Entity{bob, alice}, by: alice},
		{name: "armored", files: map[string][]byte{"SHA256SUMS": list, "SHA256SUMS.asc": detached(t, bob, list, true)}, keys: []*openpgp.Entity{alice, bob}, by: bob},
		{name: "sign", files: map[string][]byte{"SHA256SUMS": list, "SHA256SUMS.sign": detached(t, alice, list, true)}, keys: []*openpgp.Entity{alice}, by: alice},
		{name: "clear-signed", files: map[string][]byte{"SHA256SUMS": plantest.ClearSign(t, list, alice)}, keys: []*openpgp.Entity{alice}, by: alice},
		{name: "missing", files: map[string][]byte{"SHA256SUMS": list}, keys: []*openpgp.Entity{alice}, want: []string{"/SHA256SUMS: no signature", "SHA256SUMS.sign", pgpkeys.Fingerprint(alice)}},
		{name: "somebody else", files: map[string][]byte{"SHA256SUMS": list, "SHA256SUMS.gpg": detached(t, eve, list, false)}, keys: []*openpgp.Entity{alice}, want: []string{"/SHA256SUMS.gpg: signature by " + pgpkeys.Fingerprint(eve), pgpkeys.Fingerprint(alice)}},
		{name: "clear-signed by somebody else", files: map[string][]byte{"SHA256SUMS": plantest.ClearSign(t, list, eve)}, keys: []*openpgp.Entity{alice}, want: []string{"/SHA256SUMS: signature by " + pgpkeys.Fingerprint(eve), pgpkeys.Fingerprint(alice)}},
		{name: "other text", files: map[string][]byte{"SHA256SUMS": append(list, list...), "SHA256SUMS.gpg": detached(t, alice, list, false)}, keys: []*openpgp.Entity{alice}, want: []string{"signature by " + pgpkeys.Fingerprint(alice)}},
		{name: "clear-signed, text altered", files: map[string][]byte{"SHA256SUMS": bytes.Replace(plantest.ClearSign(t, list, alice), []byte("  x"), []byte("  y"), 1)}, keys: []*openpgp.Entity{alice}, want: []string{"signature by " + pgpkeys.Fingerprint(alice)}},
		{name: "clear-signed, text behind", files: map[string][]byte{"SHA256SUMS": append(plantest.ClearSign(t, list, alice), list...)}, keys: []*openpgp.Entity{alice}, want: []string{"text after the signed block"}},
		{name: "a bad one is not passed over", files: map[string][]byte{"SHA256SUMS": list, "SHA256SUMS.gpg": detached(t, eve, list, false), "SHA256SUMS.asc": detached(t, alice, list, true)}, keys: []*openpgp.Entity{alice}, want: []string{"SHA256SUMS.gpg: signature by " + pgpkeys.Fingerprint(eve)}},
		{name: "not a signature", files: map[string][]byte{"SHA256SUMS": list, "SHA256SUMS.gpg": []byte("<html>")}, keys: []*openpgp.Entity{alice}, want: []string{"SHA256SUMS.gpg: signature not readable"}},
		{name: "key lapsed before it signed", files: map[string][]byte{"SHA256SUMS": list, "SHA256SUMS.gpg": detached(t, lapsed, list, false)}, keys: []*openpgp.Entity{lapsed}, want: []string{pgpkeys.Fingerprint(lapsed), "expired"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, armored := range []bool{false, true} {
				s, up := newSite(t), upstreamtest.New(t)
				up.Put("/r/x", []byte("x"))
				for name, content := range test.files {
					up.Put("/r/"+name, content)
				}
				s.keyring("keys", armored, test.keys...)
				all, err := s.plan("- {name: s, urls: [" + up.URL("/r/x") + "], checksums: " + up.URL("/r/SHA256SUMS") + ", keyring: keys}\n")
				if test.want != nil {
					for _, want := range test.want {
						if err == nil || !strings.Contains(err.Error(), want) {
							t.Errorf("got  %v\nwant %s", err, want)
						}
					}
					if !errors.Is(err, fetch.ErrRefused) || errors.Is(err, bundle.ErrUsage) {
						t.Errorf("%v: want fetch.ErrRefused alone", err)
					}
					continue
				}
				if err != nil {
					t.Fatal(err)
				}
				vouched := bundle.VouchedOpenPGP + pgpkeys.Fingerprint(test.by)
				a := find(t, all["s"], hostPath(up)+"/r/x")
				if a.File.Digest != sumX || a.Evidence.Vouched != vouched || a.Collected != nil {
					t.Errorf("got %+v %+v, want %s", a.File, a.Evidence, vouched)
				}
				// The upstream's proof travels with the content.
				for name, content := range test.files {
					a := find(t, all["s"], hostPath(up)+"/r/"+name)
					b, _, err := read(t, a)
					if err != nil || !bytes.Equal(b, content) || a.File.Digest != bundle.DigestOf(content) || a.Evidence.Vouched != vouched {
						t.Errorf("%s: %+v %+v, %v", name, a.File, a.Evidence, err)
					}
				}
			}
		})
	}
}

// A key's validity is judged by the time that is handed in.
func TestJudgingTime(t *testing.T) {
	lapsed := plantest.NewSigner(t, "lapsed", 60*24*time.Hour)
	list := []byte(sumX.Hex() + "  x\n")
	s, up := newSite(t), upstreamtest.New(t)
	up.Put("/x", []byte("x"))
	up.Put("/SHA256SUMS", list)
	up.Put("/SHA256SUMS.gpg", detached(t, lapsed, list, false))
	s.keyring("keys", false, lapsed)
	s.env.Now = plantest.SignedAt().Now().AddDate(0, 0, 1)
	s.mustPlan("- {name: s, urls: [" + up.URL("/x") + "], checksums: " + up.URL("/SHA256SUMS") + ", keyring: keys}\n")
}

func TestUnsignedSums(t *testing.T) {
	list := []byte("SHA256 (x) = " + sumX.Hex() + "\n")
	for _, test := range []struct {
		name, sums, vouched string
		text                string
	}{
		{"plain", string(list), bundle.VouchedNone, ""},
		{"pinned", string(list), bundle.VouchedIndex, ", sha256: " + bundle.DigestOf(list).Hex()},
		{"clear-signed, nobody asked", string(plantest.ClearSign(t, list, plantest.NewSigner(t, "alice", 0))), bundle.VouchedNone, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, up := newSite(t), upstreamtest.New(t)
			up.Put("/r/x", []byte("x"))
			up.Put("/r/SUMS", []byte(test.sums))
			all := s.mustPlan(fmt.Sprintf("- {name: s, urls: [%s], checksums: [{url: %s%s}]}\n", up.URL("/r/x"), up.URL("/r/SUMS"), test.text))
			a := find(t, all["s"], hostPath(up)+"/r/x")
			if a.File.Digest != sumX || a.Evidence.Vouched != test.vouched || !strings.Contains(a.Evidence.Reason, "listed in "+up.URL("/r/SUMS")) {
				t.Errorf("got %+v %+v", a.File, a.Evidence)
			}
		})
	}
}

func TestSumsErrors(t *testing.T) {
	s, up := newSite(t), upstreamtest.New(t)
	up.Put("/r/x", []byte("x"))
	up.Put("/r/SUMS", []byte(sumY.Hex()+"  x\n"))
	up.Put("/r/page", []byte("<html>\n"))
	s.write("nokeys", "hello")
	x, sums := up.URL("/r/x"), up.URL("/r/SUMS")
	for _, test := range []struct {
		name, text string
		class      error
		want       string
	}{
		{"the spec says otherwise", "urls: [{url: " + x + ", sha256: " + sumX.Hex() + "}], checksums: " + sums, fetch.ErrRefused, "the spec pins " + sumX.String() + ", " + sums + " says " + sumY.String()},
		{"pinned sums differ", "urls: [" + x + "], checksums: {url: " + sums + ", sha256: " + sumX.Hex() + "}", fetch.ErrRefused, sums + ": not what the spec pins: want " + sumX.String() + ", got sha256:"},
		{"not there", "urls: [" + x + "], checksums: " + up.URL("/r/no"), fetch.ErrUpstream, "spec.yaml:2:"},
		{"not checksums", "urls: [" + x + "], checksums: " + up.URL("/r/page"), fetch.ErrUpstream, "/r/page: line 1: \"<html>\" is no checksum"},
		{"keyring not there", "urls: [" + x + "], checksums: " + sums + ", keyring: no", bundle.ErrUsage, "keyring: "},
		{"keyring without keys", "urls: [" + x + "], checksums: " + sums + ", keyring: nokeys", bundle.ErrUsage, "keyring "},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := s.plan("- {name: s, " + test.text + "}\n")
			if !errors.Is(err, test.class) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got  %v\nwant %s", err, test.want)
			}
		})
	}
}

// A SHA256SUMS file at a URL with a query has its path, and its signature, from the spec.
func TestMovedSums(t *testing.T) {
	alice := plantest.NewSigner(t, "alice", 0)
	list := []byte(sumX.Hex() + "  x\n")
	s, up := newSite(t), upstreamtest.New(t)
	up.Put("/x", []byte("x"))
	up.Put("/get", list)
	up.Put("/sig", detached(t, alice, list, false))
	s.keyring("keys", false, alice)
	text := "- name: s\n  urls: " + up.URL("/x") + "\n  keyring: keys\n  checksums:\n  - url: " + up.URL("/get?f=sums") + "\n    path: sums/f\n"
	if _, err := s.plan(text); !errors.Is(err, fetch.ErrRefused) || !strings.Contains(err.Error(), "no signature") {
		t.Errorf("without a signature: got %v", err)
	}
	all := s.mustPlan(text + "    signature: " + up.URL("/sig") + "\n")
	for _, path := range []string{"sums/f", "sums/f.sig", hostPath(up) + "/x"} {
		if a := find(t, all["s"], path); a.Evidence.Vouched != bundle.VouchedOpenPGP+pgpkeys.Fingerprint(alice) {
			t.Errorf("%s: %+v", path, a.Evidence)
		}
	}
}

// Two sources with one SHA256SUMS file fetch and carry it once.
func TestSharedSums(t *testing.T) {
	s, up := newSite(t), upstreamtest.New(t)
	up.Put("/x", []byte("x"))
	up.Put("/y", []byte("y"))
	up.Put("/SUMS", []byte(sumX.Hex()+"  x\n"+sumY.Hex()+"  y\n"))
	all := s.mustPlan("- {name: a, urls: [" + up.URL("/x") + "], checksums: " + up.URL("/SUMS") + "}\n- {name: b, urls: [" + up.URL("/y") + ", " + up.URL("/SUMS") + "], checksums: " + up.URL("/SUMS") + "}\n")
	if len(all["a"]) != 2 || len(all["b"]) != 1 {
		t.Errorf("got %v and %v", paths(all["a"]), paths(all["b"]))
	}
	if n := up.Requests("/SUMS"); n != 1 {
		t.Errorf("%d requests", n)
	}
}

// A signature over SHA-1 counts for nothing: two lists with one SHA-1 can be
// made. gpg made those of testdata, over the list of x and with one key; the
// library makes none.
func TestForgeableSums(t *testing.T) {
	key, err := os.ReadFile("testdata/old.gpg")
	if err != nil {
		t.Fatal(err)
	}
	for name, sums := range map[string]string{"sha256.sig": sumX.Hex() + "  x\n", "sha1.sig": sumX.Hex() + "  x\n", "sha256.asc": "", "sha1.asc": ""} {
		sig, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		s, up := newSite(t), upstreamtest.New(t)
		up.Put("/r/x", []byte("x"))
		up.Put("/r/SHA256SUMS", []byte(sums))
		up.Put("/r/SHA256SUMS.gpg", sig)
		if sums == "" { // clear-signed
			up.Put("/r/SHA256SUMS", sig)
		}
		if err := os.WriteFile(filepath.Join(s.dir, "keys"), key, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err = s.plan("- {name: s, urls: [" + up.URL("/r/x") + "], checksums: " + up.URL("/r/SHA256SUMS") + ", keyring: keys}\n")
		switch {
		case strings.HasPrefix(name, "sha256") && err != nil:
			t.Errorf("%s: %v", name, err)
		case strings.HasPrefix(name, "sha1") && (!errors.Is(err, fetch.ErrRefused) || !strings.Contains(err.Error(), "not trusted: SHA-1")):
			t.Errorf("%s: %v, want it refused", name, err)
		}
	}
}
